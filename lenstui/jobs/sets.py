"""The jobs of a prompt set: they open its file, read it case by case, and write its numbers.

The file thread opens and writes. The model thread reads, and gives way after every case, so that prompts are
answered meanwhile and a fit goes on. Torch is imported inside the jobs.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.export.figures.style import FIGURE_FORMS
from lenstui.export.names import typed_path
from lenstui.jobs.export_messages import ViewKept
from lenstui.jobs.export_things import LENS_IN_NO_FILE
from lenstui.jobs.failures import reporting
from lenstui.jobs.keeping import keep_view
from lenstui.jobs.messages import Post
from lenstui.jobs.set_messages import (
    CaseLine,
    CasesRead,
    ReadCase,
    ReferenceRead,
    SetEnd,
    SetEnded,
    SetNotWritten,
    SetOpened,
    SetSource,
    SetStarted,
    SetWritten,
    SideOpening,
)
from lenstui.jobs.set_reference import ReferenceReader
from lenstui.jobs.thread import POST_EVERY, JobThread, Stop
from lenstui.model.tokens import visible
from lenstui.opening.opened import Opened
from lenstui.readout.number_texts import logprob_text
from lenstui.readout.reading import Reading
from lenstui.readout.sets.first_rows import ABOVE, first_row
from lenstui.readout.sets.prompt_fields import PromptFile
from lenstui.readout.sets.prompts import EXAMPLES, PromptSet, example_prompts, open_prompts
from lenstui.support.errors import SHORTER_PROMPT, LensError, named_line
from lenstui.support.paths import made
from lenstui.support.printable import printable
from lenstui.support.request import Start

if TYPE_CHECKING:
    from lenstui.edits.edit import Edit
    from lenstui.export.set_sides import TwoSides
    from lenstui.lens.lens import Lens
    from lenstui.readout.sets.cases import CaseReadout, FailedCase
    from lenstui.readout.sets.outliers import OutlierReference

_KIND = "prompt set"

NO_MODEL = "No model is open yet: its prompts cannot be read."
OTHER_MODEL = "another model was opened"


@dataclass(frozen=True, slots=True, eq=False)
class SetRequest:
    """A request to read a prompt set.

    Attributes:
        number: the number of the reading.
        typed: the file as it was typed, or `examples`.
        start: the request that the program was started with.
        reading: the options for reading each prompt; without sublayers.
        edits: the edits that each prompt is read under, besides being read clean.
        kind: the only kind of lens to read through, as words in the edits have their directions through it;
            None for all.
        given_up: set once nobody wants more cases.
        reference: the file of the reference of outlier scores as it was typed, or `examples`; empty for none.
        above: the limit of the first row where a target's probability is above it.
        against: the second side as it was typed, a model or a lens, for `typed_side`; empty for none.
    """

    number: int
    typed: str
    start: Start
    reading: Reading = field(default=Reading())
    edits: tuple[Edit, ...] = ()
    kind: str | None = None
    given_up: threading.Event = field(default_factory=threading.Event)
    reference: str = ""
    above: float = ABOVE
    against: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class _Files:
    """The opened files of a prompt set.

    Attributes:
        prompts: the set.
        reference: the reference of its outlier scores, if any.
        options: the options of `lenstui read` that name both.
    """

    prompts: PromptSet
    reference: PromptSet | None
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SetOrder:
    """An order to write a prompt set to a file.

    Attributes:
        cases: all cases that were read, in the file's order, those that failed among them.
        source: the source of the cases.
        texts: display texts of every token in the cases.
        form: the key of one of `SET_FILES`, or `command`; of no meaning for the notebook.
        value: the value whose means are shown, in a form that shows only one.
        file: the file to write; None for the notebook.
    """

    cases: Sequence[CaseReadout | FailedCase]
    source: SetSource
    texts: Mapping[int, str]
    form: str
    value: str
    file: Path | None


class SetService:
    """A service that reads one prompt set at a time. Its methods return at once; the results are posted."""

    def __init__(
        self,
        opened: Callable[[], Opened | None],
        at_hand: Callable[[], Sequence[Opened]],
        thread: JobThread,
        file_thread: JobThread,
    ) -> None:
        """Prepare the service; nothing is read yet.

        Args:
            opened: returns the open model with its lenses, or None.
            at_hand: returns the models on Explore's sides, which need not be opened again.
            thread: the thread that does model work.
            file_thread: the thread that looks at files.
        """
        self._opened = opened
        self._at_hand = at_hand
        self._thread = thread
        self._file_thread = file_thread

    def read(self, request: SetRequest, post: Post) -> None:
        """Open a file of prompts and read its cases; the reading of another prompt set ends."""
        self._file_thread.submit(_KIND, lambda stop: self._open(request, post, stop))

    def write(self, order: SetOrder, post: Post) -> None:
        """Write a prompt set in a form of `lenstui read --prompts`, or the command that reads it again."""
        self._file_thread.submit(f"write {order.file}", lambda stop: _write(order, post))

    # ── on the file thread ───────────────────────────────────────────────────────────────────────────────

    def _open(self, request: SetRequest, post: Post, stop: Stop) -> None:
        number, of_reference = request.number, False
        try:
            prompts, path = _opened_file(request.typed)
            files = _Files(prompts, None, (f"--prompts={path}",))
            if of_reference := bool(request.reference):
                reference, path = _opened_file(request.reference)
                files = _Files(prompts, reference, (*files.options, f"--outliers={path}"))
        except LensError as error:
            post(SetEnded(number, SetEnd.FAILED, str(error), of_reference))
            return
        except Exception as error:  # whatever pyarrow and the disk come up with
            post(SetEnded(number, SetEnd.FAILED, named_line(error), of_reference))
            return
        if stop() or request.given_up.is_set():
            post(SetEnded(number, SetEnd.STOPPED))
            return
        skipped = prompts.skipped
        remark = " ".join(prompts.remarks) or None
        count, groups = len(prompts.cases), prompts.groups
        post(SetOpened(number, prompts.name, count, groups, skipped.count, remark, prompts.unread))
        self._thread.submit(
            _KIND,
            lambda stop: self._guarded(self._read(request, files, post, stop), number, post),
            priority=1,
        )  # fmt: skip

    # ── on the model thread ──────────────────────────────────────────────────────────────────────────────

    def _guarded(self, steps: Iterator[None], number: int, post: Post) -> Iterator[None]:
        """Run the steps of a job; an error is posted as `SetEnded`."""
        with reporting(
            lambda text: post(SetEnded(number, SetEnd.FAILED, text)), "Reading failed", SHORTER_PROMPT
        ):
            yield from steps

    def _read(self, request: SetRequest, files: _Files, post: Post, stop: Stop) -> Iterator[None]:
        opened, number = self._opened(), request.number
        if opened is None:
            raise LensError(NO_MODEL)

        prompts, reference = files.prompts, files.reference
        fitted: OutlierReference | None = None
        remarks: tuple[str, ...] = ()
        sides = None
        if request.against:
            sides = self._open_sides(request, opened, post, stop)
            remarks = sides.remarks
            yield
            if (ended := self._ended(request, opened, stop)) is not None:
                post(ended)
                return
        source = _source(opened, request, prompts, files.options, sides)
        if reference is not None:
            of_reference = ReferenceReader(opened.model, _lenses(opened, request), reference, request.reading)
            posted = 0.0
            for done in of_reference.steps():
                if time.monotonic() - posted >= POST_EVERY:
                    posted = time.monotonic()
                    post(ReferenceRead(number, done, len(reference.cases)))
                yield
                if (ended := self._ended(request, opened, stop)) is not None:
                    post(ended)
                    return
            fitted, source, remarks = of_reference.fit(source, prompts)
        post(SetStarted(number, source, remarks))
        began = posted = time.monotonic()
        batch: list[ReadCase] = []
        texts: set[int] = set()

        def post_cases() -> None:
            nonlocal posted
            posted = time.monotonic()
            if batch:
                found = opened.model.texts.of(texts)
                post(CasesRead(number, tuple(batch), found, posted - began))
                batch.clear()
                texts.clear()

        for readout in _readouts(opened, request, prompts, fitted, sides):
            batch.append(ReadCase(case_line(readout, source), readout))
            texts |= _tokens(readout)
            if time.monotonic() - posted >= POST_EVERY:
                post_cases()
            yield
            if (ended := self._ended(request, opened, stop)) is not None:
                post_cases()
                post(ended)
                return
        post_cases()
        post(SetEnded(number, SetEnd.DONE))

    def _open_sides(self, request: SetRequest, opened: Opened, post: Post, stop: Stop) -> TwoSides:
        """Return both sides of a request, the second of them opened as the first was."""
        from lenstui.export.set_sides import two_sides
        from lenstui.opening.second_side import open_side, typed_side

        def on_stage(stage: str) -> None:
            post(SideOpening(request.number, stage))

        model = opened.model
        like_first = [
            each
            for each in self._at_hand()
            if (each.model.dtype_name, each.model.device) == (model.dtype_name, model.device)
        ]
        start = replace(
            request.start,
            dtype=model.dtype_name.partition(" ")[0],
            adapter=None if model.adapter is None else model.adapter.typed,
        )
        side = open_side(
            opened,
            typed_side(request.against, start),
            on_stage,
            lambda: stop() or request.given_up.is_set(),
            like_first,
        )
        return two_sides(opened, _lenses(opened, request), side, request.reading)

    def _ended(self, request: SetRequest, opened: Opened, stop: Stop) -> SetEnded | None:
        """Return that no more cases come, if nobody wants them or another model is open now."""
        now = self._opened()
        if now is None or now.model is not opened.model:
            return SetEnded(request.number, SetEnd.STOPPED, OTHER_MODEL)
        if stop() or request.given_up.is_set():
            return SetEnded(request.number, SetEnd.STOPPED)
        return None


def _readouts(
    opened: Opened,
    request: SetRequest,
    prompts: PromptSet,
    fitted: OutlierReference | None,
    sides: TwoSides | None,
) -> Iterator[CaseReadout | FailedCase]:
    """Return the readouts of the cases, with scores where a reference is fitted, or by both of two sides."""
    from lenstui.edits.edited_set import read_edited_set
    from lenstui.readout.sets.cases import read_set

    if sides is not None:
        return sides.read(prompts.cases, exact_targets=False)
    model, lenses, reading = opened.model, _lenses(opened, request), request.reading
    if fitted is not None:
        readouts = read_set(model, prompts.cases, lenses, reading=reading, trajectories=True)
        return map(fitted.scored, readouts)
    if not request.edits:
        return read_set(model, prompts.cases, lenses, reading=reading)
    return read_edited_set(model, prompts.cases, request.edits, lenses, reading=reading)


def _lenses(opened: Opened, request: SetRequest) -> tuple[Lens, ...]:
    """Return the lenses that a set is read through."""
    return opened.lenses if request.kind is None else opened.lenses_of(request.kind)


def case_line(readout: CaseReadout | FailedCase, source: SetSource) -> CaseLine:
    """Return the line of the table for a case."""
    from lenstui.export.set_values import (
        change_text,
        foil_sentence,
        foil_text,
        target_difference,
        target_text,
        whole_number,
        whole_text,
    )
    from lenstui.readout.sets.cases import FailedCase

    case = readout.case
    prompt = printable(case.text)
    group = None if case.group is None else printable(case.group)
    if isinstance(readout, FailedCase):
        return CaseLine(case.number, prompt, group, reason=printable(readout.reason))
    column = next(iter(readout.lenses.values()))  # any lens will do: in the last row all lenses agree
    has_target, second = readout.target is not None, source.heading.second
    return CaseLine(
        case.number,
        prompt,
        group,
        final=readout.final_text or "",
        final_prob=_number(readout.final_prob),
        target=target_text(readout),
        target_prob=_number(float(column.target_prob[-1])) if has_target else None,
        target_rank=int(column.target_rank[-1]) if has_target and column.target_rank[-1] >= 0 else None,
        whole=visible(case.target or "") if readout.has_long_target else "",
        whole_logprobs=(whole_text(readout), logprob_text(float(column.target_logprob[-1]))),
        settles=tuple(readout.lenses[name].crystallization for name in source.lenses),
        effect=_number(target_difference(readout, of_models=second is None or second.is_model)),
        change=change_text(readout),
        scores=tuple(readout.scores.values()),
        not_scored=readout.not_scored,
        foil=foil_text(readout),
        logit_diff=_number(float(column.logit_diff[-1])),
        whole_logprob=_number(whole_number(readout)),
        leads=first_places(readout, "leads", source.heading.above),
        above=first_places(readout, "above", source.heading.above),
        difference=printable(foil_sentence(readout)),
    )


def first_places(readout: CaseReadout | FailedCase, key: str, above: float) -> tuple[int | None, ...]:
    """Return, for each lens, the index of a first row of the target, as named by `first_rows`."""
    from lenstui.readout.sets.cases import FailedCase

    if isinstance(readout, FailedCase) or readout.target is None:
        return ()
    first = first_row(key)
    return tuple(first.of(column, above) for column in readout.lenses.values())


def _number(number: float) -> float | None:
    return None if math.isnan(number) else number


def _tokens(readout: CaseReadout | FailedCase) -> set[int]:
    """Return the ids of every token in the readout of a case."""
    from lenstui.readout.sets.cases import FailedCase

    if isinstance(readout, FailedCase):
        return set()
    tokens = {pin.id for pin in (readout.target, readout.foil) if pin is not None}
    for column in readout.lenses.values():
        tokens.update(token for token in column.top_id.tolist() if token >= 0)
    return tokens if readout.before is None else tokens | _tokens(readout.before)


def _opened_file(typed: str) -> tuple[PromptSet, str]:
    """Return the typed prompt set, and its name on the command line."""
    if typed.strip() == EXAMPLES:
        return example_prompts(), EXAMPLES
    path = typed_path(typed)
    return open_prompts(PromptFile(path)), str(path)


def _source(
    opened: Opened,
    request: SetRequest,
    prompts: PromptSet,
    options: tuple[str, ...],
    sides: TwoSides | None,
) -> SetSource:
    from lenstui.export.reading import set_heading_of
    from lenstui.lens.lens import lens_keys
    from lenstui.opening.opened import files_to_name

    reading, lenses = request.reading, tuple(_lenses(opened, request))
    if sides is not None:
        reading, lenses = sides.reading, tuple(sides.lenses)
    heading = set_heading_of(opened, lenses, prompts, reading, edits=request.edits)
    heading = replace(heading, source=heading.source.from_anywhere)
    no_command = None
    if any(lens.file is None or not lens.file.exists() for lens in opened.fitted):
        no_command = LENS_IN_NO_FILE
    if sides is not None:
        source = sides.facts.source.from_anywhere
        heading = replace(heading, second=replace(sides.facts, source=source))
        try:
            options = (*options, *sides.options)
        except LensError as error:
            no_command = no_command or str(error)
    named = () if no_command else files_to_name(opened, lenses)
    files = tuple(file.absolute() for file in named)
    return SetSource(
        heading,
        lens_keys(lenses),
        reading,
        request.start,
        options,
        files,
        no_command,
        request.edits,
        request.kind,
    ).with_above(request.above)


def _write(order: SetOrder, post: Post) -> None:
    from lenstui.export.set_forms import SetManner, write_set
    from lenstui.support.atomic_file import written

    source, file = order.source, order.file
    try:
        if file is None:
            post(_kept(order))
            return
        made(file.parent)
        if order.form == "command":
            with written(file) as out:
                out.write(f"{source.command(order.value)}\n".encode())
            post(SetWritten(file))
            return
        command = source.command(order.value, order.form, file) if order.form in {*FIGURE_FORMS, "md"} else ""
        write_set(order.form, order.cases, source.heading, SetManner(order.texts, order.value, command), file)
    except LensError as error:
        post(SetNotWritten(str(error)))
    except Exception as error:  # a full disk, no memory
        post(SetNotWritten(f"It was not written: {named_line(error)}"))
    else:
        post(SetWritten(file))


def _kept(order: SetOrder) -> ViewKept:
    """Keep a prompt set in the lab notebook, with why no command repeats it where none does."""
    from lenstui.export.set_forms import SetManner, set_figure_of, set_text

    source, cases, heading = order.source, order.cases, order.source.heading

    def manner(form: str) -> SetManner:
        reason = source.no_command
        command = source.command(order.value, form) if reason is None else f"# {reason}"
        return SetManner(order.texts, order.value, command)

    return keep_view(
        "prompt set",
        heading.prompts,
        "".join(set_text("md", cases, heading, manner("md"))),
        lambda: set_figure_of("svg", cases, heading, manner("svg")),
    )
