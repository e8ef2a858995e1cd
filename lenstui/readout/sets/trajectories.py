"""The trajectory of a prompt as features: log-probabilities by row, for every lens, in one vector."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lenstui.lens.kinds import reads_next
from lenstui.readout.cells import FloatArray
from lenstui.readout.sets.cases import CaseReadout
from lenstui.readout.sets.prompt_fields import Case

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A kind of trajectory: what is followed through the rows.

    Attributes:
        key: the short name, as the command line spells it.
        label: what its numbers are.
        of: returns the numbers of a prompt by lens, `[rows]`, nats.
        lacking: why a prompt may have none, a sentence.
        needs_target: whether it is that of the target.
    """

    key: str
    label: str
    of: Callable[[CaseReadout], Mapping[str, FloatArray]]
    lacking: str
    needs_target: bool = False


def _of_target(readout: CaseReadout) -> Mapping[str, FloatArray]:
    lenses = readout.lenses.items()
    return {key: column.whole_logprob for key, column in lenses if reads_next(key.partition(":")[0])}


_KINDS = (
    Trajectory(
        "next",
        "mean over columns of log p(next token), by row",
        lambda readout: readout.next_logprob,
        "It is one token, behind which none comes.",
    ),
    Trajectory(
        "target",
        "log p(whole target) in the last column, by row",
        _of_target,
        "It has no target that is read whole.",
        needs_target=True,
    ),
)


def trajectory_kinds() -> tuple[Trajectory, ...]:
    """Return all kinds of trajectories; the first is the default."""
    return _KINDS


def trajectory_named(key: str) -> Trajectory:
    """Return the kind of trajectory with a key.

    Raises:
        KeyError: if there is none.
    """
    return {kind.key: kind for kind in _KINDS}[key]


def reference_cases(cases: Iterable[Case], key: str) -> list[Case]:
    """Return the cases of a reference set as they are read: a target that no trajectory needs stands back.

    Args:
        cases: the cases.
        key: the key of the kind of trajectory.
    """
    if trajectory_named(key).needs_target:
        return list(cases)
    return [replace(case, target=None) for case in cases]


def features(numbers: Iterable[FloatArray]) -> Numbers:
    """Return the features of a prompt, `[features]`: each lens's rows but the last, which is in it once.

    Args:
        numbers: the numbers of each lens, `[rows]`, which agree in the last row, the model's own.
    """
    of_lenses = [np.asarray(of_lens, np.float64) for of_lens in numbers]
    return np.concatenate([*(of_lens[:-1] for of_lens in of_lenses), of_lenses[0][-1:]])


def feature_names(lenses: Sequence[str], rows: Sequence[str]) -> list[tuple[str | None, str]]:
    """Return the lens and the row of each feature; of the last row the lens is None.

    Args:
        lenses: the keys of the lenses.
        rows: the labels of the rows that were read.
    """
    return [*((lens, row) for lens in lenses for row in rows[:-1]), (None, rows[-1])]
