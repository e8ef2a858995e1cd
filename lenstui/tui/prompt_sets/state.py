"""What the screen of prompt sets shows: the set that is read, or was, and how it is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lenstui.jobs.set_messages import ReadCase, SetEnd, SetSource
from lenstui.jobs.sets import SetRequest
from lenstui.readout.sets.mean_values import MeanValue, shown_means
from lenstui.tui.prompt_sets.view import SetView


@dataclass(eq=False)
class SetRun:
    """A set that is read, or was.

    Attributes:
        request: what was asked for.
        name: of the set.
        total: how many cases there are.
        groups: their groups, in order of appearance, as display texts.
        skipped: how many lines of the file held no prompt.
        remark: which these are.
        cases: what was read, in the file's order.
        texts: display texts of every token in them.
        source: where the numbers come from; None before the model begins.
        seconds: since then.
        end: how it ended; None while more come.
        why: it ended so.
        is_stale: another model was opened since.
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

    @property
    def lenses(self) -> Sequence[str]:
        """The keys of the lenses that the set is read through; none while that is not known."""
        return () if self.source is None else self.source.lenses


@dataclass(eq=False)
class SetState:
    """What is shown, and how.

    Attributes:
        run: the set that is shown; None before one is read.
        asked: the last request.
        is_opening: its file is being opened.
        is_naming: the line of the file was asked for, or edited, since it was read.
        view: which cases are shown, and in which order.
        plotted: index of the means that are plotted.
    """

    run: SetRun | None = None
    asked: SetRequest | None = None
    is_opening: bool = False
    is_naming: bool = False
    view: SetView = field(default_factory=SetView)
    plotted: int = 0

    @property
    def is_reading(self) -> bool:
        """Whether cases are to come."""
        return self.run is not None and self.run.end is None

    @property
    def mean(self) -> MeanValue:
        """The means that are plotted."""
        return shown_means()[self.plotted]

    @property
    def lenses(self) -> Sequence[str]:
        """The keys of the lenses that the set is read through; none while that is not known."""
        return () if self.run is None else self.run.lenses

    def run_of(self, number: int) -> SetRun | None:
        """Return the set that is shown, if it has this number."""
        return self.run if self.run is not None and number == self.run.request.number else None
