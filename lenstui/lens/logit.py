"""The logit lens: every row is read as if it were the last.

nostalgebraist, "interpreting GPT: the logit lens", 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from lenstui.lens.lens import Lens
from lenstui.model.rows import Row

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class LogitLens(Lens):
    """`T_i(h) = h`. It reads what attention and MLP add, too (`lenstui.model.contribution`).

    Attributes:
        final_norm: False has it pass over the final norm, but for the last row.
    """

    kind: ClassVar[str] = "logit"
    final_norm: bool = True

    def transport(self, h: Tensor, row: int) -> Tensor:
        """Return `h` itself."""
        return h

    def reads(self, row: Row) -> bool:
        """Return True: there is no row that it has no numbers for."""
        return True

    def without_final_norm(self) -> LogitLens:
        """Return the logit lens that passes over the final norm."""
        return replace(self, final_norm=False)


def with_logit_lens(lenses: Lens | Sequence[Lens] | None, *, final_norm: bool = True) -> tuple[Lens, ...]:
    """Return the lenses that a readout is asked for.

    Args:
        lenses: exactly these; a single lens is read beside the logit lens, and None is that alone.
        final_norm: False has the logit lens pass over the final norm.
    """
    if lenses is None:
        lenses = (LogitLens(),)
    elif isinstance(lenses, Lens):
        lenses = (LogitLens(), lenses)
    return tuple(lenses) if final_norm else tuple(lens.without_final_norm() for lens in lenses)
