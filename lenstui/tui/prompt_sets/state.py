"""The state of the screen of prompt sets: the cases read so far, and the view of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lenstui.jobs.set_messages import ReadCase, SetEnd, SetSource
from lenstui.jobs.sets import SetRequest
from lenstui.readout.sets.first_rows import ABOVE
from lenstui.readout.sets.mean_values import MeanValue, shown_means
from lenstui.readout.sets.outlier_methods import OutlierMethod
from lenstui.tui.prompt_sets.view import (
    OF_EDITS,
    OF_LENSES,
    OF_MODELS,
    SETTLES,
    Pairing,
    SetView,
    SortColumn,
    sort_columns,
)

if TYPE_CHECKING:  # these need torch
    from lenstui.export.set_outliers import OutlierFacts
    from lenstui.readout.sets.auroc import Separation


@dataclass(eq=False)
class SetRun:
    """A prompt set that is being read, or was read.

    Attributes:
        request: the request to read the prompt set.
        name: the name of the prompt set.
        total: the number of all its cases.
        groups: the groups of the cases, in order of appearance, as display texts.
        skipped: the number of lines of the file that held no prompt.
        remark: a remark on the skipped lines; None where there are none.
        cases: the cases that were read so far, in the file's order.
        texts: display texts of every token in the cases.
        source: the source of the cases; None before the model begins.
        seconds: seconds from that beginning to the last cases.
        end: how the reading ended; None while more cases come.
        why: why the reading ended so.
        is_stale: whether another model was opened since.
        reference_read: how many cases of the reference of its outlier scores were read, and how many there
            are; None where it has none.
        normal: the group of normal prompts, if the user chose one; else it is the first.
        areas: how well the scores tell groups apart; none before all cases are read.
        stage: what is done to open the second side; empty for nothing.
    """

    request: SetRequest
    name: str
    total: int
    groups: tuple[str, ...]
    skipped: int
    remark: str | None
    cases: list[ReadCase] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    source: SetSource | None = None
    seconds: float = 0.0
    end: SetEnd | None = None
    why: str = ""
    is_stale: bool = False
    reference_read: tuple[int, int] | None = None
    normal: str | None = None
    areas: Sequence[Separation] = ()
    stage: str = ""

    @property
    def lenses(self) -> Sequence[str]:
        """The keys of the lenses that the set is read through; none while that is not known."""
        return () if self.source is None else self.source.lenses

    @property
    def pairing(self) -> Pairing | None:
        """What both runs of each prompt are: clean and edited, or by two sides; None for one run."""
        if self.source is None:
            return None
        second = self.source.heading.second
        if second is not None:
            return OF_MODELS if second.is_model else OF_LENSES
        return OF_EDITS if self.source.edits else None

    @property
    def has_long_targets(self) -> bool:
        """Whether any target that was read is several tokens."""
        return any(case.line.whole for case in self.cases)

    @property
    def has_foils(self) -> bool:
        """Whether any case has a foil."""
        return self.source is not None and self.source.heading.has_foils

    @property
    def outliers(self) -> OutlierFacts | None:
        """The facts about the outlier scores of its cases; None where there are none."""
        return None if self.source is None else self.source.heading.outliers

    @property
    def methods(self) -> Sequence[OutlierMethod]:
        """The methods of the outlier scores."""
        return () if self.outliers is None else self.outliers.methods


@dataclass(eq=False)
class SetState:
    """The state of the screen of prompt sets.

    Attributes:
        run: the prompt set that is shown; None before one is read.
        asked: the last request to read a prompt set.
        is_opening: whether the file of that request is being opened.
        is_naming: whether the user has gone to the line of the file, or edited it, since the last request.
        view: the sorting and the filter of the cases.
        plotted: the key of the value whose means are plotted.
        reference: the file of the reference of outlier scores as it was typed; empty for none.
        against: the second side as it was typed, a model, a lens or edits; empty for none.
        rows: which rows the last columns show: `settles`, those where the top-1 settles, or the key of a
            first row of the target.
        above: the limit of the first row where the target's probability is above it.
    """

    run: SetRun | None = None
    asked: SetRequest | None = None
    is_opening: bool = False
    is_naming: bool = False
    view: SetView = field(default_factory=SetView)
    plotted: str = shown_means()[0].key
    reference: str = ""
    against: str = ""
    rows: str = SETTLES
    above: float = ABOVE

    @property
    def is_reading(self) -> bool:
        """Whether more cases are to come."""
        return self.run is not None and self.run.end is None

    @property
    def means(self) -> Sequence[MeanValue]:
        """The values whose means may be plotted: those against foils only where there are foils."""
        return [mean for mean in shown_means() if self.has_foils or not mean.of_foil]

    @property
    def mean(self) -> MeanValue:
        """The value whose means are plotted; the first of all where this set does not have the last one."""
        return next((mean for mean in self.means if mean.key == self.plotted), self.means[0])

    @property
    def has_foils(self) -> bool:
        """Whether any case of the set has a foil."""
        return self.run is not None and self.run.has_foils

    @property
    def lenses(self) -> Sequence[str]:
        """The keys of the lenses that the set is read through; none while that is not known."""
        return () if self.run is None else self.run.lenses

    @property
    def columns(self) -> tuple[SortColumn, ...]:
        """The columns of the table, by which it may be sorted."""
        if self.run is None:
            return sort_columns(())
        return sort_columns(
            self.lenses,
            pairing=self.run.pairing,
            methods=self.run.methods,
            has_long_targets=self.run.has_long_targets,
            has_foils=self.has_foils,
            rows=self.rows,
            above=self.above,
        )

    def run_of(self, number: int) -> SetRun | None:
        """Return the shown prompt set, or None if its reading has another number."""
        return self.run if self.run is not None and number == self.run.request.number else None
