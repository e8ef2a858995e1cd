"""The request of a start: which model, lens and prompt to open, and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lenstui.support.turns import Conversation


@dataclass(frozen=True, slots=True)
class Again:
    """A model that was open before, and the lens that the user chose for it, if they still exist.

    Attributes:
        model: the name that the model had, or the requested one.
        lens: the tuned lens that the user chose for that model, if any.
        when: the time at which the model was left, in seconds since 1970; a lens fitted later is said.
        others: the files of the lenses that were on screen beside the tuned lens.
        adapter: the adapter that the model was under, as it is typed; None for none.
    """

    model: str
    lens: Path | None = None
    when: float = 0.0
    others: tuple[Path, ...] = ()
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """A request to read a prompt with a model. Every default means that the user did not specify it.

    Attributes:
        prompt: the text to read, if any.
        model: a hub id or a folder, also of an adapter, whose base is opened with it; None for the default
            choice.
        revision: a branch, tag or commit of that hub id.
        adapter: an adapter for the model: a folder, `OWNER/NAME` or `OWNER/NAME@REVISION`; where no model is
            named, its base is opened with it.
        demo: whether to open the bundled model.
        lenses: the files of lenses for the model; where none is a tuned lens, the one that belongs to the
            model is opened too, if any.
        device: `auto` or a name of PyTorch's.
        dtype: `auto` or a name of PyTorch's.
        device_map: how to spread the model over several devices; None for all of it on `device`.
        quantize: `8bit` or `4bit`; None for no quantization.
        trust_remote_code: whether Python code that comes with `model` may run.
        top_k: the number of likeliest tokens that each cell shows.
        bos: whether the prompt begins with the BOS token; None leaves it to the tokenizer.
        chat: whether to put the prompt into the tokenizer's chat template.
        instant: whether a model without a fitted lens gets an instant one.
        jacobian: whether the bundled model's Jacobian lens is opened too, unless `lenses` has another one.
        again: what is known of the model from before, for whatever the user did not specify.
        turns: the turns of a chat to read in place of a text, if any.
        remote: whether the weights of `model` are on NDIF, and stay there.
    """

    prompt: str | None = None
    model: str | None = None
    revision: str | None = None
    demo: bool = False
    lenses: tuple[Path, ...] = ()
    device: str = "auto"
    dtype: str = "auto"
    device_map: str | None = None
    quantize: str | None = None
    trust_remote_code: bool = False
    top_k: int = 1
    bos: bool | None = None
    chat: bool = False
    instant: bool = False
    jacobian: bool = False
    again: Again | None = None
    adapter: str | None = None
    turns: Conversation | None = None
    remote: bool = False

    @property
    def typed(self) -> str | Conversation | None:
        """What is to be read: the turns, or the text, if any."""
        return self.prompt if self.turns is None else self.turns
