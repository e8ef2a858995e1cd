"""A prompt set read by two sides, models or lenses: every case by both, to be compared in pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from lenstui.lens.lens import Lens
from lenstui.lens.logit import LogitLens
from lenstui.model.load import Model
from lenstui.model.rows import RowChoice
from lenstui.readout.reading import Reading
from lenstui.readout.sets.cases import CaseReadout, FailedCase, lenses_of_set, read_case
from lenstui.readout.sets.prompt_fields import Case

LAST_ROW = RowChoice((("last", "last"),))


@dataclass(frozen=True, slots=True, eq=False)
class SetSide:
    """One of two sides that read the same cases.

    Attributes:
        model: the model.
        lenses: its lenses, under the keys that both sides have; none where the last rows alone are compared,
            as the models are not of the same depth.
    """

    model: Model
    lenses: Mapping[str, Lens]


def read_two_sides(
    first: SetSide,
    second: SetSide,
    cases: Iterable[Case],
    *,
    reading: Reading | None = None,
    exact_targets: bool = False,
) -> Iterator[CaseReadout | FailedCase]:
    """Read the last column of every case by two sides. Closing the generator stops the work.

    Args:
        first: the first side.
        second: the second, whose lenses have the same keys, and whose model the same tokens.
        cases: from `open_prompts` or `read_cases`.
        reading: rows, final norm, BOS, chat template and readout filter; None for the defaults.
        exact_targets: whether to take targets as written, without putting a space before them.

    Yields:
        The readout of each case by the second side, in order, with that by the first as its `first`; or the
        reason why one of them cannot read it.

    Raises:
        LensError: if a lens or the reading does not fit its model.
    """
    reading = Reading() if reading is None else reading
    if not first.lenses:
        reading = replace(reading, rows=LAST_ROW)
    lenses = [
        lenses_of_set(side.model, list(side.lenses.values()) or [LogitLens()], reading)
        for side in (first, second)
    ]
    for case in cases:
        one = read_case(first.model, case, lenses[0], reading, exact_targets=exact_targets)
        if isinstance(one, FailedCase):
            yield FailedCase(case, f"By the first side: {one.reason}")
            continue
        other = read_case(second.model, case, lenses[1], reading, exact_targets=exact_targets)
        if isinstance(other, FailedCase):
            yield FailedCase(case, f"By the second side: {other.reason}")
            continue
        yield _paired(one, other, tuple(first.lenses) or tuple(one.lenses))


def _paired(first: CaseReadout, second: CaseReadout, keys: tuple[str, ...]) -> CaseReadout:
    """Return the second readout with the first, the lenses of both under the same keys.

    The rows of the second get the indices of the first's, which in models of two depths are not the same.
    """
    of_first = dict(zip(keys, first.lenses.values(), strict=True))
    of_second = {
        key: replace(column, rows=of_first[key].rows)
        for key, column in zip(keys, second.lenses.values(), strict=True)
    }
    return replace(second, lenses=of_second, first=replace(first, lenses=of_first))
