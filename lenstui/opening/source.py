"""The source of a readout's numbers: model, lenses, options and versions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lenstui.lens.kinds import TUNED
from lenstui.lens.names import (
    OF_BASE,
    adapter_of,
    instant_lens_named,
    instant_words,
    is_instant,
    kind_word,
    lens_title,
)
from lenstui.model.turns import turns_named
from lenstui.readout.number_texts import nats_text
from lenstui.readout.reading import WORDS_ONLY
from lenstui.support.paths import instant_lenses
from lenstui.support.version import __version__

if TYPE_CHECKING:
    from lenstui.lens.lens import Lens
    from lenstui.model.adapter_files import Adapter
    from lenstui.model.tokens import Prompt
    from lenstui.readout.cells import FloatArray


_OF_A_FIT = (
    *("method", "preset", "steps", "tokens", "n_prompts", "skip_first", "target", "rule", "estimator"),
    *("seed", "data", "merged", "held_out_kl", "convergence", "time"),
)


@dataclass(frozen=True, slots=True)
class LensSource:
    """A fitted lens that numbers were read through.

    Attributes:
        key: the lens's key in the readout.
        kind: the kind of lens.
        name: the lens's name.
        file: the name of its file; None where it has none, or is an instant lens in its folder.
        card: the metadata of its fit, as plain values.
        is_of_base: whether an adapted model was read through it though it was not fitted under that adapter.
    """

    key: str
    kind: str
    name: str
    file: str | None
    card: Mapping[str, Any]
    is_of_base: bool = False

    @classmethod
    def of(cls, key: str, lens: Lens, *, is_of_base: bool = False) -> LensSource:
        """Return the source of a lens, under its key in a readout."""
        said = {"model": lens.config.get("base_model_name_or_path")}
        if (adapter := adapter_of(lens.config)) is not None:
            said["adapter"] = adapter
        said |= {name: _without_nan(lens.fit[name]) for name in _OF_A_FIT if name in lens.fit}
        is_named = lens.file is not None and lens.file.parent != instant_lenses()
        file = lens.file.name if lens.file and is_named else None
        return cls(key, lens.kind, lens.name, file, said, is_of_base)

    def in_words(self, quoted: Callable[[str], str] = str) -> str:
        """Return the lens in words: `tuned lens quick-1.pt`, `instant lens (closed form, 8,192 tokens)`.

        Args:
            quoted: returns the name of a file or lens as it is to be written.
        """
        if self.file is None and is_instant(self.card):
            return instant_lens_named(instant_words(self.card))
        return f"{kind_word(self.kind)} lens {quoted(self.file or self.name)}{OF_BASE * self.is_of_base}"

    @property
    def facts(self) -> dict[str, Any]:
        """The lens's kind, name, file and card, as plain values by name."""
        said = {"kind": self.kind, "name": self.name, "file": self.file, "card": dict(self.card)}
        return said | {"of_base": self.is_of_base}


def _without_nan(value: Any) -> Any:
    """Return a plain value with None for numbers that are not finite, which JSON does not have."""
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


@dataclass(frozen=True, slots=True)
class AdapterSource:
    """The adapter that a model was under.

    Attributes:
        name: as it is typed: a folder, `OWNER/NAME` or `OWNER/NAME@REVISION`.
        kind: what it is called: `LoRA`.
        hash: a hash of its numbers.
    """

    name: str
    kind: str
    hash: str

    @classmethod
    def of(cls, adapter: Adapter) -> AdapterSource:
        """Return the source of an adapter."""
        return cls(adapter.typed, adapter.kind, adapter.digest)

    @property
    def facts(self) -> dict[str, str]:
        """The adapter's name, kind and hash, as plain values by name."""
        return {"name": self.name, "kind": self.kind, "hash": self.hash}


@dataclass(frozen=True, slots=True)
class Source:
    """The facts that a readout needs so that it can be trusted and repeated.

    Attributes:
        model: the name that the user gave: a hub id, a folder, or the bundled model.
        revision: the hub revision that the user named, if any.
        dtype: PyTorch's name of the weights' dtype.
        wiring: the worst difference that each wiring check found, all of them passed.
        device: the device that the model ran on.
        versions: the versions of torch and transformers, by name.
        final_norm: whether the logit lens applied the model's final norm, as by definition.
        chat: whether the prompt was put into the tokenizer's chat template.
        sublayers: whether there are sublayer rows.
        words_only: whether tokens without a letter or digit were left out of the ranking of each cell.
        lenses: the fitted lenses that were read.
        kinds: of all lenses that were read, in their order.
        edits: the edits of the forward pass that were in force, as they are typed.
        edit_lens: the kind and name of the lens through which words in these edits have directions; empty
            where none has.
        adapter: the adapter that the model was under, if any.
        beside: the second model, where two stand side by side.
        service: what has the model's weights, `NDIF (api.ndif.us)`; empty where they are here.
    """

    model: str
    revision: str | None
    dtype: str
    wiring: tuple[float, ...]
    device: str = "cpu"
    versions: tuple[tuple[str, str], ...] = ()
    final_norm: bool = True
    chat: bool = False
    sublayers: bool = False
    words_only: bool = False
    lenses: tuple[LensSource, ...] = ()
    kinds: tuple[str, ...] = ()
    edits: tuple[str, ...] = ()
    edit_lens: str = ""
    adapter: AdapterSource | None = None
    beside: Beside | None = None
    service: str = ""

    @property
    def ran(self) -> str:
        """The dtype of the weights, and what has them if they are elsewhere: `bfloat16 on NDIF (…)`."""
        return f"{self.dtype} on {self.service}" if self.service else self.dtype

    @property
    def title(self) -> str:
        """The model with its adapter, in words: `OWNER/NAME + ADAPTER`; of two, both, with `and`."""
        title = self.model if self.adapter is None else f"{self.model} + {self.adapter.name}"
        return title if self.beside is None else f"{title} and {self.beside.source.title}"

    @property
    def models(self) -> tuple[Source, ...]:
        """The source of each model's numbers: of one, or of two that stand side by side."""
        if self.beside is None:
            return (self,)
        return replace(self, beside=None), self.beside.source

    @property
    def from_anywhere(self) -> Source:
        """This source with folders named so that they are found wherever the program is started."""
        adapter = self.adapter
        if adapter is not None:
            adapter = replace(adapter, name=from_anywhere(adapter.name))
        beside = self.beside
        if beside is not None:
            beside = replace(beside, source=beside.source.from_anywhere)
        return replace(self, model=from_anywhere(self.model), adapter=adapter, beside=beside)

    @property
    def lens(self) -> str | None:
        """The file name of the tuned lens that was read, or None."""
        return next((each.file for each in self.lenses if each.kind == TUNED), None)

    @property
    def read_through(self) -> str:
        """The fitted lenses that were read, in words: `tuned lens quick-1.pt`."""
        named = [each.in_words() for each in self.lenses]
        return ", ".join(named) or f"without a {TUNED} lens"


@dataclass(frozen=True, slots=True)
class Beside:
    """A second model that stands beside a first one.

    Attributes:
        source: the source of its numbers.
        rows: the labels of its rows beside those of the first, where the models are not of the same depth.
        final_kl: KL(first ‖ second) of the final distributions by column, nats.
    """

    source: Source
    rows: tuple[str, ...] = ()
    final_kl: tuple[float, ...] = ()


def depth_text(source: Source) -> str:
    """Return which rows of a second model stand beside those of the first; nothing where all do."""
    if source.beside is None or not source.beside.rows:
        return ""
    rows = ", ".join(source.beside.rows)
    return f"rows of {source.beside.source.title} beside them, at the same relative depth: {rows}"


def parting_text(source: Source) -> str:
    """Return how far the last rows of two models part, column by column; nothing for one model."""
    if source.beside is None or not source.beside.final_kl:
        return ""
    numbers = ", ".join(f"{column}: {nats_text(kl)}" for column, kl in enumerate(source.beside.final_kl))
    return f"KL(first ‖ second) of the last rows by column, nats: {numbers}"


def from_anywhere(name: str) -> str:
    """Return a model's or an adapter's name: of a folder the absolute path."""
    return str(Path(name).absolute()) if Path(name).is_dir() else name


def facts(source: Source, prompt: Prompt) -> dict[str, Any]:
    """Return the source of a readout and its prompt, as plain values by name."""
    return source_facts(source) | {
        "prompt": prompt.text,
        "dropped": prompt.dropped,
        "appended": prompt.appended,
        **turn_facts(prompt),
    }


def turn_facts(prompt: Prompt) -> dict[str, Any]:
    """Return the turns of a prompt as plain values by name; nothing for a prompt that is one text.

    `column_turns` and `column_templates` are by column: the index of its turn, or None, and whether it is a
    token of the chat template. Both are None where that is unknown.
    """
    if (of := prompt.turns) is None:
        return {}
    return {
        "turns": of.conversation.messages,
        "thinking": of.conversation.thinking,
        "closed": of.conversation.closed,
        "left_out_turns": list(of.left_out),
        "column_turns": [None if turn < 0 else turn for turn in of.turns] or None,
        "column_templates": list(of.template) or None,
    }


def turns_text(prompt: Prompt) -> str:
    """Return a sentence on the turns of a prompt and their columns; nothing for a prompt that is one text."""
    if (of := prompt.turns) is None:
        return ""
    parts = [
        f"{turn} {of.conversation.role(turn)}, columns {places[0]}–{places[-1]}"
        for turn, group in groupby(range(len(of.turns)), key=of.turns.__getitem__)
        for places in [list(group)]
        if turn >= 0
    ]
    said = f"turns: {'; '.join(parts) or f'unknown in which columns, {of.unknown}'}"
    switch = "" if of.conversation.thinking is None else f"; thinking {_on_or_off(of.conversation.thinking)}"
    return f"{said}{switch}" + (f"; {turns_named(of.left_out)} left out" if of.left_out else "")


def _on_or_off(switch: bool) -> str:
    return "on" if switch else "off"


def source_facts(source: Source) -> dict[str, Any]:
    """Return the source of a readout without its prompt, as plain values by name."""
    return {
        "lenstui": __version__,
        "model": source.model,
        "revision": source.revision,
        "adapter": None if source.adapter is None else source.adapter.facts,
        "dtype": source.dtype,
        "lens": source.lens,
        "lens_files": {each.key: each.facts for each in source.lenses},
        "device": source.device,
        "versions": dict(source.versions),
        "final_norm": source.final_norm,
        "chat": source.chat,
        "sublayers": source.sublayers,
        "words_only": source.words_only,
        "edits": list(source.edits),
        "edit_lens": source.edit_lens or None,
    }


def sublayers_text(source: Source, left_over: FloatArray | None) -> str:
    """Return a sentence on the numbers in sublayer rows, and how far they add up to the final logits.

    Args:
        source: the source of the readout.
        left_over: the `left_over` of the readout, nats, `[cols]`, or None.
    """
    scale = ", at the scale that the final norm has in the last row" if source.final_norm else ""
    text = f"k.attn, k.mlp: the logits that attention and MLP of block k add{scale}"
    if left_over is None or not np.isfinite(left_over).any():
        return text
    return f"{text}; with emb and biases they add up to the final logits to {np.nanmax(left_over):.1e}"


def filter_text(source: Source) -> str:
    """Return a sentence on what the readout filter leaves out of the cells, or nothing where it is off."""
    if not source.words_only:
        return ""
    return (
        f"{WORDS_ONLY}: tokens without a letter or digit are left out of the tokens of a cell; "
        "probabilities, ranks and all other numbers, and the rows where columns settle, are of the whole "
        "vocabulary"
    )


def edits_text(source: Source) -> str:
    """Return the edits that were in force, for a line on a readout: `edited: ablate 4.7; …`; else nothing."""
    directions = f" (directions by the {lens_title(source.edit_lens)})" if source.edit_lens else ""
    return f"edited: {'; '.join(source.edits)}{directions}" if source.edits else ""


def versions_text(source: Source) -> str:
    """Return the versions behind a readout: `lenstui 0.1.0, torch 2.8.0`."""
    return ", ".join(f"{name} {version}" for name, version in (("lenstui", __version__), *source.versions))
