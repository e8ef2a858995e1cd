"""A lens: it brings a row of the residual stream into the basis of the last row, where the head reads it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from lenstui.lens.names import keys_of
from lenstui.model.rows import Row
from lenstui.support.errors import LensError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lenstui.model.load import Model

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Lens(ABC):
    """Reads row `i` as `head(final_norm(T_i(h_i)))`; the last row as the model itself does.

    What makes a lens is its transport `T_i`. A kind of lens is a subclass, and an entry of
    `lenstui.lens.kinds`.

    Attributes:
        kind: what kind of lens it is, in a word, as `--lenses` and the files spell it.
        name: what to call this one of its kind; empty where there is but one.
        file: where it came from, or None.
        config: which model it is for.
        fit: how it was fitted, and what it reached.
        remarks: what has to be said of it, each a sentence without its full stop.
        final_norm: whether the final norm stands between the transport and the unembedding.
    """

    kind: ClassVar[str]
    name: str = ""
    file: Path | None = None
    config: Mapping[str, Any] = _NOTHING
    fit: Mapping[str, Any] = _NOTHING
    remarks: tuple[str, ...] = ()
    final_norm: bool = True

    @abstractmethod
    def transport(self, h: Tensor, row: int) -> Tensor:
        """Return `T_i(h_i)` of row `i`, `[cols, d]`, in `h`'s dtype; `i` is below the last row."""

    def reads(self, row: Row) -> bool:
        """Return whether it has numbers for a row: by default for those of the residual stream.

        A lens that reads what attention and MLP add has the logits of these parts without its transport:
        only so do they add up.
        """
        return row.part is None

    def to(self, device: torch.device) -> Self:
        """Return this lens with its tensors on `device`."""
        return self

    @property
    def shape(self) -> tuple[int, int] | None:
        """How many blocks the model has that it is for, and how wide it is; None where any model will do."""
        return None

    def check_fits(self, num_blocks: int, d_model: int) -> None:
        """Raise `LensError`, naming both shapes, unless this lens is for a model of that shape."""
        if self.shape is not None and self.shape != (num_blocks, d_model):
            blocks, d = self.shape
            raise LensError(
                f"This lens is for a model of {blocks} blocks and width {d}; the open model has {num_blocks} "
                f"blocks and width {d_model}. Choose a lens for this model, or fit one."
            )

    def without_final_norm(self) -> Lens:
        """Return this lens passing over the final norm, where that makes sense: by default itself."""
        return self

    def normed(self, model: Model, h: Tensor, row: int) -> Tensor:
        """Return what the head's matrix is applied to, `[cols, d]`, for `h_i` of row `i`.

        This alone decides which transport and which norm apply. In the last row it is the final norm of
        `h_L` for every lens. In inference mode.
        """
        if row == model.num_blocks:
            return model.head.norm(h)
        h = self.transport(h, row)
        return model.head.norm(h) if self.final_norm else h

    def logits(self, model: Model, h: Tensor, row: int) -> Tensor:
        """Return the logits of `h_i`, `[cols, vocabulary]`, float32. In inference mode."""
        return model.head.logits(self.normed(model, h, row))


def lenses_for(model: Model, lenses: Sequence[Lens]) -> tuple[Lens, ...]:
    """Return the lenses on the device of a model that they fit.

    Raises:
        LensError: for one that does not fit the model, or where there is none.
    """
    if not lenses:
        raise LensError("There is no lens to read through.")
    for lens in lenses:
        lens.check_fits(model.num_blocks, model.d_model)
    return tuple(lens.to(model.device) for lens in lenses)


def lens_keys(lenses: Sequence[Lens]) -> tuple[str, ...]:
    """Return a key for each lens, as `keys_of` makes them."""
    return keys_of([(lens.kind, lens.name) for lens in lenses])
