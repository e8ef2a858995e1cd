"""The logit lens: every row is read as if it were the last.

nostalgebraist, "interpreting GPT: the logit lens", 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from lenstui.lens.lens import Carried, Lens
from lenstui.model.rows import Row

if TYPE_CHECKING:
    from torch import Tensor


def unchanged(h: Tensor) -> Tensor:
    """Return `h` itself."""
    return h


@dataclass(frozen=True, eq=False)
class LogitLens(Lens):
    """The logit lens, `T_i(h) = h`. It reads the additions of attention and MLP, too.

    The rows of additions are read with `lenstui.model.contribution`.

    Attributes:
        final_norm: whether the final norm is applied; in the last row it always is.
    """

    kind: ClassVar[str] = "logit"
    final_norm: bool = True

    def transport(self, h: Tensor, row: int) -> Tensor:
        """Return `h` itself."""
        return unchanged(h)

    def carried(self, row: int) -> Carried:
        """Return `T_i` of a row as something that can be sent elsewhere."""
        return unchanged, ()

    def reads(self, row: Row) -> bool:
        """Return True: the logit lens has numbers for every row."""
        return True

    def without_final_norm(self) -> LogitLens:
        """Return the logit lens without the final norm."""
        return replace(self, final_norm=False)


def with_logit_lens(lenses: Lens | Sequence[Lens] | None, *, final_norm: bool = True) -> tuple[Lens, ...]:
    """Return the lenses of a readout: those of a list, or the logit lens with the one that is given, if any.

    Args:
        lenses: a list for exactly these; a single lens to be read beside the logit lens; None for the logit
            lens alone.
        final_norm: False leaves out the logit lens's final norm.
    """
    if lenses is None:
        lenses = (LogitLens(),)
    elif isinstance(lenses, Lens):
        lenses = (LogitLens(), lenses)
    return tuple(lenses) if final_norm else tuple(lens.without_final_norm() for lens in lenses)
