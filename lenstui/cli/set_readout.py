"""A prompt set on the command line: read case by case, and written in the requested form."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from lenstui.cli.asked_set import AskedSet, opened_prompts
from lenstui.cli.instant import open_with_lens
from lenstui.cli.output import STREAMED, deliver, deliver_figure, show_text, table_width
from lenstui.cli.reference_set import ScoreTally, opened_reference
from lenstui.cli.stderr import aside, each_aside, progress, say
from lenstui.export.command import set_command
from lenstui.export.set_sides import open_two_sides
from lenstui.export.shape import Shape
from lenstui.model.not_finite import case_not_numbers_remark
from lenstui.support.atomic_file import check_place, written
from lenstui.support.errors import LensError
from lenstui.support.request import Start

if TYPE_CHECKING:
    from lenstui.export.set_tidy import SetHeading
    from lenstui.lens.lens import Lens
    from lenstui.model.tokens import TokenTexts
    from lenstui.opening.opened import Opened
    from lenstui.readout.sets.cases import CaseReadout, FailedCase
    from lenstui.readout.sets.outliers import OutlierReference
    from lenstui.readout.sets.prompts import PromptSet

_FOR_PROGRAMS = ("json", *STREAMED)
_MOST_NUMBERS = 20  # prompts that a remark lists by number
_NAMED = 3  # prompts that cannot be read, listed with their reasons
_TICK = 0.1  # seconds between two reports of progress


@dataclass(slots=True)
class _Tally:
    """Counts of cases for the remarks after reading."""

    cases: int = 0
    failed: int = 0
    first_failed: list[FailedCase] = field(default_factory=list)
    cut: int = 0
    parts: int = 0
    not_whole: list[str] = field(default_factory=list)  # reasons
    no_difference: list[str] = field(default_factory=list)  # reasons, by the number of the case
    long_foils: int = 0
    not_numbers: list[int] = field(default_factory=list)  # numbers of the cases
    scores: ScoreTally = field(default_factory=ScoreTally)

    def add(self, readout: CaseReadout | FailedCase) -> None:
        """Count one case."""
        from lenstui.readout.sets.cases import FailedCase

        self.cases += 1
        if isinstance(readout, FailedCase):
            self.failed += 1
            if len(self.first_failed) < _NAMED:
                self.first_failed.append(readout)
        else:
            self.cut += readout.dropped > 0
            self.scores.add(readout)
            if readout.not_numbers:
                self.not_numbers.append(readout.case.number)
            self.long_foils += readout.foil is not None and not readout.foil.whole
            if readout.no_difference:
                self.no_difference.append(f"{readout.case.number}: {readout.no_difference}")
            self.parts += readout.target is not None and not readout.target.whole
            if readout.not_whole:
                self.not_whole.append(readout.not_whole)


def show_set(asked: Start, shape: Shape, asked_set: AskedSet) -> int:
    """Read the prompts, write the readout, and return the exit status."""
    if shape.output is not None:
        check_place(shape.output, special=True)
    prompts = opened_prompts(asked_set)  # before the model, since loading takes long
    reference = opened_reference(asked_set, prompts)
    # Formats without means are written while reading, unless to a terminal, which shows the line of progress.
    streamed = shape.format in STREAMED and (shape.output is not None or not sys.stdout.isatty())
    tally = _Tally()
    with progress() as on_stage:
        from lenstui.export.reading import set_heading_of
        from lenstui.opening.opened import lacking_rows, lenses_to_read

        with aside():
            opened = open_with_lens(asked, on_stage)
        lenses: Sequence[Lens] = lenses_to_read(opened, shape.lenses)
        exact, sides = asked_set.exact_targets, None
        if asked_set.against is not None:
            with aside():
                sides = open_two_sides(opened, lenses, asked_set.against, shape.reading, on_stage)
            lenses, shape = sides.lenses, replace(shape, reading=sides.reading)
        heading = set_heading_of(
            opened, lenses, prompts, shape.reading, edits=shape.edits, exact_targets=exact
        )
        heading = replace(heading, second=None if sides is None else sides.facts)
        if asked_set.above is not None:
            heading = replace(heading, above=asked_set.above)
        fitted = None
        if reference is not None:
            fitted = reference.fit(opened, lenses, shape.reading, on_stage)
            heading = replace(heading, outliers=reference.facts(fitted, heading.rows))
        reading = each_aside(
            _reading(opened, lenses, prompts, shape, fitted, exact_targets=exact)
            if sides is None
            else sides.read(prompts.cases, exact_targets=exact)
        )
        readouts = _some(_watched(reading, tally, on_stage, len(prompts.cases)), prompts)
        if streamed:
            _write_data(readouts, heading, opened.model.texts, shape)
        else:
            readouts = iter(list(readouts))
    remarks = chain(_remarks(opened, shape, prompts, tally), lacking_rows(lenses, heading.rows))
    remarks = remarks if sides is None else chain(sides.remarks, remarks)
    if reference is not None and fitted is not None:
        remarks = chain(remarks, reference.remarks(fitted, heading.rows, tally.scores))
        if shape.format in STREAMED:  # which have no room for it
            remarks = chain(remarks, reference.areas(tally.scores))
    for remark in remarks:
        say(remark)
    if shape.format in _FOR_PROGRAMS:
        if not streamed:
            _write_data(readouts, heading, opened.model.texts, shape)
        return 0
    from lenstui.export.set_forms import SetManner, set_figure_of, set_text
    from lenstui.export.set_table import set_table
    from lenstui.export.set_values import mean_value
    from lenstui.opening.opened import files_to_name

    cases = list(readouts)
    value = mean_value(asked_set.value, cases)
    shape = replace(shape, value=value.key)
    if shape.format == "table":
        show_text(set_table(cases, heading, value, table_width(shape.output)), shape.output)
    else:
        files = files_to_name(opened, lenses)
        command = set_command(heading.source, asked_set.options, files, asked, shape)
        manner = SetManner(opened.model.texts, value.key, command, shape.style)
        if shape.is_figure:
            deliver_figure(set_figure_of(shape.format, cases, heading, manner), shape.output)
        else:
            deliver(set_text("md", cases, heading, manner), shape.output)
    return 0


def _reading(
    opened: Opened,
    lenses: Sequence[Lens],
    prompts: PromptSet,
    shape: Shape,
    fitted: OutlierReference | None,
    *,
    exact_targets: bool,
) -> Iterator[CaseReadout | FailedCase]:
    """Return the readouts of the cases, under edits where there are any, with scores against a reference."""
    from lenstui.edits.edited_set import read_edited_set
    from lenstui.readout.sets.cases import read_set

    model, cases, reading = opened.model, prompts.cases, shape.reading
    if not shape.edits:
        readouts = read_set(
            model,
            cases,
            lenses,
            reading=reading,
            exact_targets=exact_targets,
            trajectories=fitted is not None,
        )
        return readouts if fitted is None else map(fitted.scored, readouts)
    return read_edited_set(model, cases, shape.edits, lenses, reading=reading, exact_targets=exact_targets)


def _watched(
    readouts: Iterator[CaseReadout | FailedCase], tally: _Tally, on_stage: Callable[[str], None], total: int
) -> Iterator[CaseReadout | FailedCase]:
    """Yield the readouts, count them, and report the number now and then."""
    reported = 0.0
    for readout in readouts:
        tally.add(readout)
        if time.monotonic() - reported >= _TICK:
            on_stage(f"prompt {tally.cases} of {total} read")
            reported = time.monotonic()
        yield readout


def _some(
    readouts: Iterator[CaseReadout | FailedCase], prompts: PromptSet
) -> Iterator[CaseReadout | FailedCase]:
    """Return the readouts, and raise `LensError` if no prompt could be read."""
    from lenstui.readout.sets.cases import CaseReadout

    failed: list[FailedCase] = []
    for readout in readouts:
        if isinstance(readout, CaseReadout):
            return chain(failed, [readout], readouts)
        failed.append(readout)
    raise LensError(f"No prompt of {prompts.name} can be read: {failed[0].reason}")


def _remarks(opened: Opened, shape: Shape, prompts: PromptSet, tally: _Tally) -> Iterator[str]:
    from lenstui.opening.opened import missing_lenses

    yield from opened.remarks
    yield from prompts.remarks
    yield from missing_lenses(opened, shape.lenses)
    if tally.failed:
        unit = prompts.skipped.unit
        why = [f"{unit} {failed.case.number}: {failed.reason}" for failed in tally.first_failed]
        more = [f"And {tally.failed - len(why)} more."] if tally.failed > len(why) else []
        are = "is" if tally.failed == 1 else "are"
        what = f"{are} left out" if shape.edits else "cannot be read"
        yield f"{tally.failed} of {tally.cases} prompts {what}: {' '.join([*why, *more])}"
    if tally.not_numbers:
        numbers = tally.not_numbers
        which = f"{prompts.skipped.unit} {', '.join(map(str, numbers[:_MOST_NUMBERS]))}"
        if len(numbers) > _MOST_NUMBERS:
            which += f" and {len(numbers) - _MOST_NUMBERS} more"
        yield case_not_numbers_remark(len(numbers), tally.cases, which, opened.model.dtype_name)
    if tally.cut:
        said = "is too long for the model: its beginning was"
        said = said if tally.cut == 1 else "are too long for the model: their beginnings were"
        yield f"{tally.cut} of {tally.cases} prompts {said} cut."
    if tally.parts:
        whose = f"of {tally.parts} of {tally.cases} prompts"
        summed = "" if len(tally.not_whole) == tally.parts else ", and log p of all of them is summed"
        followed = f"the first of them is followed{summed}."
        yield (
            f"The target {whose} is several tokens: {followed}"
            if tally.parts == 1
            else f"The targets {whose} are several tokens each: {followed}"
        )
    yield from _foil_remarks(prompts, tally)
    if tally.not_whole:
        count = len(tally.not_whole)
        said = f"{count} of {tally.cases} targets {'is' if count == 1 else 'are'} not read whole"
        yield f"{said}: {tally.not_whole[0]}"


def _foil_remarks(prompts: PromptSet, tally: _Tally) -> Iterator[str]:
    if tally.long_foils:
        whose = f"of {tally.long_foils} of {tally.cases} prompts"
        foils = f"foil {whose} is" if tally.long_foils == 1 else f"foils {whose} are"
        yield f"The {foils} several tokens: the logit difference is that of first tokens."
    if tally.no_difference:
        count, unit = len(tally.no_difference), prompts.skipped.unit
        why = [f"{unit} {each}" for each in tally.no_difference[:_NAMED]]
        more = [f"And {count - len(why)} more."] if count > len(why) else []
        have = "has" if count == 1 else "have"
        yield f"{count} of {tally.cases} prompts {have} no logit difference: {' '.join([*why, *more])}"


def _write_data(
    readouts: Iterator[CaseReadout | FailedCase], heading: SetHeading, texts: TokenTexts, shape: Shape
) -> None:
    """Write a form for programs; these have no chosen means."""
    from lenstui.export.set_forms import SetManner, set_text, write_set_bytes

    manner = SetManner(texts)
    if shape.format == "parquet":
        with nullcontext(sys.stdout.buffer) if shape.output is None else written(shape.output) as file:
            write_set_bytes(readouts, heading, manner, file)
    else:
        deliver(set_text(shape.format, readouts, heading, manner), shape.output)
