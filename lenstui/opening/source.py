"""Where the numbers of a readout come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from lenstui.lens.kinds import TUNED
from lenstui.support.version import __version__

if TYPE_CHECKING:
    from lenstui.lens.lens import Lens
    from lenstui.model.tokens import Prompt
    from lenstui.readout.cells import FloatArray


_OF_A_FIT = ("method", "preset", "steps", "tokens", "seed", "data", "held_out_kl", "time")


@dataclass(frozen=True, slots=True)
class LensSource:
    """Which fitted lens numbers were read through.

    Attributes:
        key: what the readout calls it.
        kind: of lens.
        name: what to call it.
        file: name of its file; None where it is in none.
        card: what it was fitted on, as plain values.
    """

    key: str
    kind: str
    name: str
    file: str | None
    card: Mapping[str, Any]

    @classmethod
    def of(cls, key: str, lens: Lens) -> LensSource:
        """Return what there is to say of a lens, under its key in a readout."""
        said = {"model": lens.config.get("base_model_name_or_path")}
        said |= {name: _without_nan(lens.fit[name]) for name in _OF_A_FIT if name in lens.fit}
        return cls(key, lens.kind, lens.name, None if lens.file is None else lens.file.name, said)

    @property
    def facts(self) -> dict[str, Any]:
        """It as plain values by name."""
        return {"kind": self.kind, "name": self.name, "file": self.file, "card": dict(self.card)}


def _without_nan(value: Any) -> Any:
    """A plain value, null where a number is not finite: JSON knows no other."""
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


@dataclass(frozen=True, slots=True)
class Source:
    """What has to be said with a readout, so that it can be trusted and made again.

    Attributes:
        model: what the user called it: a hub id, a folder, or the bundled model.
        revision: the hub revision that was asked for, if any.
        dtype: of the weights, as PyTorch calls it.
        wiring: the worst difference that each wiring check found, all of them passed.
        device: where it ran.
        versions: of torch and transformers, by name.
        final_norm: whether the logit lens applied the model's final norm, as it is defined to.
        chat: whether the prompt was put into the tokenizer's chat template.
        sublayers: whether there are rows of what attention and MLP add.
        lenses: the fitted lenses that were read.
        kinds: of all lenses that were read, in their order.
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
    lenses: tuple[LensSource, ...] = ()
    kinds: tuple[str, ...] = ()

    @property
    def lens(self) -> str | None:
        """File name of the tuned lens that was read, or None."""
        return next((each.file for each in self.lenses if each.kind == TUNED), None)

    @property
    def read_through(self) -> str:
        """The fitted lenses that were read, in words: `tuned lens quick-1.pt`."""
        named = [f"{each.kind} lens {each.file or each.name}" for each in self.lenses]
        return ", ".join(named) or f"without a {TUNED} lens"


def facts(source: Source, prompt: Prompt) -> dict[str, Any]:
    """The source of a readout and its prompt, as plain values by name."""
    return source_facts(source) | {
        "prompt": prompt.text,
        "dropped": prompt.dropped,
        "appended": prompt.appended,
    }


def source_facts(source: Source) -> dict[str, Any]:
    """The source alone."""
    return {
        "lenstui": __version__,
        "model": source.model,
        "revision": source.revision,
        "dtype": source.dtype,
        "lens": source.lens,
        "lens_files": {each.key: each.facts for each in source.lenses},
        "device": source.device,
        "versions": dict(source.versions),
        "final_norm": source.final_norm,
        "chat": source.chat,
        "sublayers": source.sublayers,
    }


def sublayers_text(source: Source, left_over: FloatArray | None) -> str:
    """What the numbers in the rows of attention and MLP are, and how far they add up to the final logits.

    Args:
        source: of the readout.
        left_over: what they leave over in each column, nats, `[cols]`, where that is known.
    """
    scale = ", at the scale that the final norm has in the last row" if source.final_norm else ""
    text = f"k.attn, k.mlp: the logits that attention and MLP of block k add{scale}"
    if left_over is None or not np.isfinite(left_over).any():
        return text
    return f"{text}; with emb and biases they add up to the final logits to {np.nanmax(left_over):.1e}"


def versions_text(source: Source) -> str:
    """What made a readout: `lenstui 0.1.0, torch 2.8.0`."""
    return ", ".join(f"{name} {version}" for name, version in (("lenstui", __version__), *source.versions))
