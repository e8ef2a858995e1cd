"""Two sides of a prompt set: opened, read, and what is said of them in files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lenstui.opening.second_side import AskedAgainst, OpenedSide, open_side
from lenstui.readout.reading import Reading
from lenstui.support.errors import LensError

if TYPE_CHECKING:
    from lenstui.export.set_tidy import SecondSide
    from lenstui.lens.lens import Lens
    from lenstui.opening.opened import Opened
    from lenstui.opening.source import Source
    from lenstui.readout.sets.cases import CaseReadout, FailedCase
    from lenstui.readout.sets.prompt_fields import Case
    from lenstui.readout.sets.sides import SetSide


@dataclass(frozen=True, eq=False)
class TwoSides:
    """Two open sides that read a prompt set.

    Attributes:
        first: the first side.
        second: the second.
        reading: how each prompt is read; the last row alone, where the models are not of the same depth.
        facts: what is said of the second side.
        opened: the second side's model with its lenses.
        remarks: remarks for the user.
    """

    first: SetSide
    second: SetSide
    reading: Reading
    facts: SecondSide
    opened: Opened
    remarks: tuple[str, ...]

    @property
    def options(self) -> list[str]:
        """The options of `lenstui read --prompts` that request the second side, wherever they are typed.

        Raises:
            LensError: if none do, as it is the bundled model, or a lens in no file.
        """
        from lenstui.lens.kinds import LOGIT, made_lens
        from lenstui.model.name import BUNDLED_MODEL
        from lenstui.opening.opened import files_to_name

        lenses = tuple(self.second.lenses.values())
        if any(made_lens(lens.kind) is None and (not lens.file or not lens.file.exists()) for lens in lenses):
            raise LensError("No command reads the same: the second side's lens is in no file.")
        if not self.facts.is_model:
            return [f"--against-lens={each.file.absolute() if each.file else LOGIT}" for each in lenses]
        source = self.facts.source.from_anywhere
        if source.model == BUNDLED_MODEL:
            raise LensError("No command reads the same: the bundled model is the first of two there.")
        words = [f"--against-model={source.model}"]
        words += [] if source.revision is None else [f"--against-revision={source.revision}"]
        return [
            *words,
            *(f"--against-lens={file.absolute()}" for file in files_to_name(self.opened, lenses)),
        ]

    @property
    def lenses(self) -> Sequence[Lens]:
        """The first side's lenses; the logit lens where the last rows alone are compared."""
        from lenstui.lens.logit import LogitLens

        return list(self.first.lenses.values()) or [LogitLens()]

    def read(self, cases: Sequence[Case], *, exact_targets: bool) -> Iterator[CaseReadout | FailedCase]:
        """Return the readouts of the cases by both sides."""
        from lenstui.readout.sets.sides import read_two_sides

        return read_two_sides(
            self.first, self.second, cases, reading=self.reading, exact_targets=exact_targets
        )


def open_two_sides(
    first: Opened,
    lenses: Sequence[Lens],
    asked: AskedAgainst,
    reading: Reading,
    on_stage: Callable[[str], None],
) -> TwoSides:
    """Open the second side of a prompt set, as `two_sides` has it.

    Args:
        first: the first side.
        lenses: its lenses that were asked for.
        asked: the request for the second.
        reading: how each prompt is read.
        on_stage: called with each stage, in a few words.

    Raises:
        LensError: if it cannot be opened, does not have the tokens of the first, or none of these lenses.
    """
    return two_sides(first, lenses, open_side(first, asked, on_stage), reading)


def two_sides(first: Opened, lenses: Sequence[Lens], side: OpenedSide, reading: Reading) -> TwoSides:
    """Return two open sides with the lenses that both are read through.

    Args:
        first: the first side.
        lenses: its lenses that were asked for.
        side: the second.
        reading: how each prompt is read.

    Raises:
        LensError: if both have none of these lenses.
    """
    from lenstui.export.set_tidy import SecondSide
    from lenstui.lens.lens import lens_keys
    from lenstui.lens.logit import LogitLens
    from lenstui.opening.opened import source_of
    from lenstui.readout.sets.sides import LAST_ROW, SetSide

    mine = dict(zip(lens_keys(first.lenses), first.lenses, strict=True))
    if not side.is_model:
        pairs = dict(side.lenses)  # one lens against another, whatever else was asked for
    else:
        pairs = {key: lens for key, lens in side.lenses.items() if key in lens_keys(lenses)}
    if side.lenses and not pairs:
        raise LensError("Both models have none of the lenses that were asked for: leave --lenses out.")
    theirs = list(pairs.values()) or [LogitLens()]
    reading = reading if pairs else replace(reading, rows=LAST_ROW)
    sources = [
        source_of(first, [mine[key] for key in pairs] or [LogitLens()], reading),
        source_of(side.opened, theirs, reading),
    ]
    return TwoSides(
        SetSide(first.model, {key: mine[key] for key in pairs}),
        SetSide(side.opened.model, pairs),
        reading,
        SecondSide(sources[1], _names(sources, is_model=side.is_model), side.is_model),
        side.opened,
        side.remarks,
    )


def _names(sources: Sequence[Source], *, is_model: bool) -> tuple[str, str]:
    """Return the names of two sides: of two models, or of two lenses of one."""
    if is_model:
        first, second = (
            f"{source.title}{f' at {source.revision}' if source.revision else ''}" for source in sources
        )
        return first, second
    first, second = (_lens_name(source) for source in sources)
    return first, second


def _lens_name(source: Source) -> str:
    """Return the only lens of a source, with its file or name; the logit lens where there is no other."""
    from lenstui.lens.kinds import LOGIT
    from lenstui.lens.names import lens_title

    if not source.lenses:
        return lens_title(LOGIT)
    (lens,) = source.lenses
    return f"{lens_title(lens.kind)} {lens.file or lens.name or ''}".rstrip()
