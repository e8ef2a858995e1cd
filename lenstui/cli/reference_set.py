"""The reference set of outlier scores on the command line: read, fitted on, and remarked on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lenstui.cli.asked_set import AskedOutliers, AskedSet, opened_prompts
from lenstui.cli.stderr import each_aside

if TYPE_CHECKING:
    from lenstui.export.set_outliers import OutlierFacts
    from lenstui.lens.lens import Lens
    from lenstui.opening.opened import Opened
    from lenstui.readout.reading import Reading
    from lenstui.readout.sets.cases import CaseReadout
    from lenstui.readout.sets.outliers import OutlierReference
    from lenstui.readout.sets.prompts import PromptSet

_NAMED = 3  # prompts without scores, listed with their reasons
_TICK = 0.1  # seconds between two reports of progress


@dataclass(slots=True)
class ScoreTally:
    """What the remarks after reading need to know about scores.

    Attributes:
        without: number and reason of each prompt that has none.
        scored: the prompts that have any, without their numbers by row.
    """

    without: list[tuple[int, str]] = field(default_factory=list)
    scored: list[CaseReadout] = field(default_factory=list)

    def add(self, readout: CaseReadout) -> None:
        """Take one prompt that was read."""
        if readout.not_scored:
            self.without.append((readout.case.number, readout.not_scored))
        elif readout.scores:
            self.scored.append(replace(readout, lenses={}, next_logprob={}))


@dataclass(frozen=True, slots=True)
class ReferenceSet:
    """The reference set of the outlier scores of another set.

    Attributes:
        cases: its cases.
        scored: those of the other set.
        outliers: the requested scores.
        exact_targets: whether to take targets as written.
    """

    cases: PromptSet
    scored: PromptSet
    outliers: AskedOutliers
    exact_targets: bool

    def fit(
        self, opened: Opened, lenses: Sequence[Lens], reading: Reading, on_stage: Callable[[str], None]
    ) -> OutlierReference:
        """Read the set, and fit the scores on it.

        Raises:
            LensError: as `fit_outliers` does.
        """
        from lenstui.readout.sets.cases import read_set
        from lenstui.readout.sets.outliers import fit_outliers
        from lenstui.readout.sets.trajectories import reference_cases, trajectory_kinds

        trajectory = self.outliers.trajectory or trajectory_kinds()[0].key
        cases = reference_cases(self.cases.cases, trajectory)
        model, exact = opened.model, self.exact_targets
        readouts, reported = [], 0.0
        for readout in each_aside(
            read_set(model, cases, lenses, reading=reading, exact_targets=exact, trajectories=True)
        ):
            readouts.append(readout)
            if time.monotonic() - reported >= _TICK:
                on_stage(f"prompt {len(readouts)} of {len(cases)} of the reference read")
                reported = time.monotonic()
        return fit_outliers(readouts, trajectory=trajectory, methods=self.outliers.methods)

    def facts(self, fitted: OutlierReference, rows: Sequence[str]) -> OutlierFacts:
        """Return the facts about the scores, for the heading of files."""
        from lenstui.export.set_outliers import outlier_facts

        return outlier_facts(fitted, self.cases.name, rows, self.outliers.normal)

    def remarks(self, fitted: OutlierReference, rows: Sequence[str], tally: ScoreTally) -> Iterator[str]:
        """Yield the remarks on the set, and on prompts without scores."""
        from lenstui.export.set_outliers import reference_remarks
        from lenstui.readout.sets.outlier_methods import NEEDS_EXTRA, outlier_methods

        if self.cases.skipped.count:
            yield f"Reference: {self.cases.skipped}"
        yield from reference_remarks(fitted, self.scored, rows)
        if self.outliers.methods is None and len(fitted.methods) < len(outlier_methods()):
            yield NEEDS_EXTRA
        if without := tally.without:
            unit, total = self.scored.skipped.unit, len(self.scored.cases)
            why = " ".join(f"{unit} {number}: {reason}" for number, reason in without[:_NAMED])
            more = f" And {len(without) - _NAMED} more." if len(without) > _NAMED else ""
            have = "has" if len(without) == 1 else "have"
            yield f"{len(without)} of {total} prompts {have} no scores: {why}{more}"
        groups = {each.case.group for each in tally.scored if each.case.group is not None}
        if len(groups) == 1:
            yield f"All prompts with scores are in one group, {groups.pop()!r}: AUROC needs another one."
        elif self.outliers.normal is not None and self.outliers.normal not in groups:
            yield f"No prompt of the group {self.outliers.normal!r} has scores: there is no AUROC."

    def areas(self, tally: ScoreTally) -> Iterator[str]:
        """Yield how well the scores tell groups apart, a line for each, for forms that do not have it."""
        from lenstui.export.set_outliers import separation_text
        from lenstui.readout.sets.auroc import separations

        yield from map(separation_text, separations(tally.scored, self.outliers.normal))


def opened_reference(asked: AskedSet, prompts: PromptSet) -> ReferenceSet | None:
    """Read the cases of the reference set, and check what needs no model.

    Args:
        asked: the requested prompt set.
        prompts: its cases.
        output: the file that results are written to; None for stdout.

    Returns:
        None where no outlier scores are requested.

    Raises:
        LensError: as `open_prompts` does; if a method lacks scikit-learn, or there is no group of normal
            prompts of the requested name.
    """
    from lenstui.readout.sets.auroc import check_normal
    from lenstui.readout.sets.outlier_methods import methods_named

    outliers = asked.outliers
    if outliers is None:
        return None
    methods_named(outliers.methods)
    check_normal(outliers.normal, prompts.groups)
    return ReferenceSet(opened_prompts(asked.of_reference(outliers)), prompts, outliers, asked.exact_targets)
