"""What the user asked for on the command line, as the screen and the readouts take it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Again:
    """What was open in the last session, to be opened again if it is still there.

    Attributes:
        model: by the name it had, or the one that is asked for.
        lens: its tuned lens.
        when: seconds since 1970; a lens that was fitted later is preferred.
    """

    model: str
    lens: Path | None = None
    when: float = 0.0


@dataclass(frozen=True, slots=True)
class Start:
    """Which prompt to read with which model. Every default means that nothing was said.

    Attributes:
        prompt: the text to read, or None.
        model: a hub id or a folder; None for the default choice.
        revision: a branch, tag or commit of that hub id.
        demo: the bundled model was asked for.
        lens: a tuned lens's file; None for the one that the model brings, if any.
        device: by name, `auto` or one of PyTorch's.
        dtype: by name, `auto` or one of PyTorch's.
        device_map: how to spread the model over several devices; None for all on `device`.
        quantize: `8bit` or `4bit`; None for no.
        trust_remote_code: run Python code that `model` brings, if it needs that.
        top_k: how many of the likeliest tokens each cell shows.
        bos: begin with the BOS token or not; None leaves it to the tokenizer.
        chat: put the prompt into the tokenizer's chat template.
        again: the last session, as far as nothing else was asked for.
    """

    prompt: str | None = None
    model: str | None = None
    revision: str | None = None
    demo: bool = False
    lens: Path | None = None
    device: str = "auto"
    dtype: str = "auto"
    device_map: str | None = None
    quantize: str | None = None
    trust_remote_code: bool = False
    top_k: int = 1
    bos: bool | None = None
    chat: bool = False
    again: Again | None = None
