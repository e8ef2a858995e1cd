"""The reference of a prompt set's outlier scores, read on the model thread before the set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lenstui.jobs.set_messages import SetSource
from lenstui.readout.reading import Reading
from lenstui.readout.sets.prompts import PromptSet
from lenstui.support.errors import LensError

if TYPE_CHECKING:
    from lenstui.lens.lens import Lens
    from lenstui.model.load import Model
    from lenstui.readout.sets.cases import CaseReadout, FailedCase
    from lenstui.readout.sets.outliers import OutlierReference


@dataclass(eq=False)
class ReferenceReader:
    """The reading of a reference set, and what comes of it.

    Attributes:
        model: the open model.
        lenses: the lenses that the set is read through, too.
        reference: the cases.
        reading: the options for reading each prompt.
    """

    model: Model
    lenses: Sequence[Lens]
    reference: PromptSet
    reading: Reading
    _read: list[CaseReadout | FailedCase] = field(default_factory=list)

    def steps(self) -> Iterator[int]:
        """Read the cases one by one, and yield how many were read."""
        from lenstui.readout.sets.cases import read_set
        from lenstui.readout.sets.trajectories import reference_cases, trajectory_kinds

        cases = reference_cases(self.reference.cases, trajectory_kinds()[0].key)
        for readout in read_set(self.model, cases, self.lenses, reading=self.reading, trajectories=True):
            self._read.append(readout)
            yield len(self._read)

    def fit(
        self, source: SetSource, prompts: PromptSet
    ) -> tuple[OutlierReference | None, SetSource, tuple[str, ...]]:
        """Fit the scores on what was read.

        Args:
            source: the source of the set that is scored.
            prompts: its cases.

        Returns:
            The reference, the source with its facts, and remarks for the user. Where nothing can be fitted
            the first is None, and the remark says why: the set is then read without scores.
        """
        from lenstui.export.set_outliers import outlier_facts, reference_remarks
        from lenstui.readout.sets.outlier_methods import NEEDS_EXTRA, outlier_methods
        from lenstui.readout.sets.outliers import fit_outliers

        try:
            fitted = fit_outliers(self._read)
        except LensError as error:
            options = tuple(each for each in source.options if not each.startswith("--outliers="))
            return None, replace(source, options=options), (f"No outlier scores: {error}",)
        rows = source.heading.rows
        facts = outlier_facts(fitted, self.reference.name, rows)
        remarks = list(reference_remarks(fitted, prompts, rows))
        if len(fitted.methods) < len(outlier_methods()):
            remarks.append(NEEDS_EXTRA)
        return fitted, replace(source, heading=replace(source.heading, outliers=facts)), tuple(remarks)
