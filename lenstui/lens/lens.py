"""The base class of lenses: a transport from each row of the residual stream to the basis of the last row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias

from lenstui.lens.names import keys_of
from lenstui.model.rows import Row
from lenstui.support.errors import LensError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lenstui.model.load import Model

_NOTHING: Mapping[str, Any] = MappingProxyType({})

Carried: TypeAlias = "tuple[Callable[..., Tensor], tuple[Tensor, ...]]"
"""A transport that can be carried elsewhere: a plain function, and the tensors that it takes behind `h`."""


class Lens(ABC):
    """A lens, which reads row `i` as `head(final_norm(T_i(h_i)))`, and the last row as the model itself does.

    Its transport `T_i` defines a lens. A kind of lens is a subclass, and an entry of `lenstui.lens.kinds`.

    Attributes:
        kind: the kind of lens, one word, as `--lenses` and the files spell it.
        name: the name of this lens among those of its kind; empty where there can be only one.
        file: the file that the lens was read from, or None.
        config: the model that the lens is for.
        fit: how the lens was fitted, and the KL that it reached.
        remarks: remarks for the user, each a sentence without its full stop.
        final_norm: whether the final norm is applied between the transport and the unembedding.
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
        """Return `T_i(h_i)` of a row below the last, `[cols, d]`, in the dtype of `h`."""

    def carried(self, row: int) -> Carried | None:
        """Return `T_i` of a row as something that can be sent elsewhere; None where it runs here alone.

        The function is one of a module's own, which calls nothing but torch: it is sent as source.
        """
        return None

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
        """The number of blocks and the width of the lens's model; None where any model will do."""
        return None

    def check_fits(self, num_blocks: int, d_model: int) -> None:
        """Refuse a model of another shape than the one that this lens is for.

        Raises:
            LensError: if the shapes differ; the message names both.
        """
        if self.shape is not None and self.shape != (num_blocks, d_model):
            blocks, d = self.shape
            raise LensError(
                f"This lens is for a model of {blocks} blocks and width {d}; the open model has {num_blocks} "
                f"blocks and width {d_model}. Choose a lens for this model, or fit one."
            )

    def doubt(self, num_blocks: int) -> str | None:
        """Return what its file leaves open on a model that it fits, as a sentence without its full stop."""
        return None

    def without_final_norm(self) -> Lens:
        """Return this lens without the final norm, where that makes sense; by default the lens itself."""
        return self

    def normed(self, model: Model, h: Tensor, row: int) -> Tensor:
        """Return the input of the head's matrix, `[cols, d]`, for `h_i` of row `i`.

        This method alone decides which transport and which norm apply. For the last row, every lens returns
        the final norm of `h_L`. To be called in inference mode.
        """
        if row == model.num_blocks:
            return model.head.norm(h)
        h = self.transport(h, row)
        return model.head.norm(h) if self.final_norm else h

    def logits(self, model: Model, h: Tensor, row: int) -> Tensor:
        """Return the logits of `h_i`, `[cols, vocabulary]`, float32. To be called in inference mode."""
        return model.head.logits(self.normed(model, h, row))


def lenses_for(model: Model, lenses: Sequence[Lens]) -> tuple[Lens, ...]:
    """Return the lenses on the device of a model that they fit.

    Raises:
        LensError: if one does not fit the model, or there is none.
    """
    if not lenses:
        raise LensError("There is no lens to read through.")
    for lens in lenses:
        lens.check_fits(model.num_blocks, model.d_model)
    return tuple(lens.to(model.device) for lens in lenses)


def lens_keys(lenses: Sequence[Lens]) -> tuple[str, ...]:
    """Return a key for each lens, as from `keys_of`."""
    return keys_of([(lens.kind, lens.name) for lens in lenses])
