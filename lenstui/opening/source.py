"""Where the numbers of a readout come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lenstui.support.version import __version__

if TYPE_CHECKING:
    from lenstui.model.tokens import Prompt
    from lenstui.readout.cells import FloatArray


@dataclass(frozen=True, slots=True)
class Source:
    """What has to be said with a readout, so that it can be trusted and made again.

    Attributes:
        model: what the user called it: a hub id, a folder, or the bundled model.
        revision: the hub revision that was asked for, if any.
        dtype: of the weights, as PyTorch calls it.
        lens: file name of the tuned lens that was read, or None.
        wiring: the worst difference that each wiring check found, all of them passed.
        device: where it ran.
        versions: of torch and transformers, by name.
        final_norm: whether the logit lens applied the model's final norm, as it is defined to.
        chat: whether the prompt was put into the tokenizer's chat template.
        sublayers: whether there are rows of what attention and MLP add.
    """

    model: str
    revision: str | None
    dtype: str
    lens: str | None
    wiring: tuple[float, ...]
    device: str = "cpu"
    versions: tuple[tuple[str, str], ...] = ()
    final_norm: bool = True
    chat: bool = False
    sublayers: bool = False


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
