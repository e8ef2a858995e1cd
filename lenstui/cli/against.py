"""A second side, another model or another lens, to compare with: of `lenstui scan`, and of a prompt set."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.cli.arguments import Parser
from lenstui.lens.kinds import LOGIT
from lenstui.model.name import split_revision
from lenstui.support.request import Start

if TYPE_CHECKING:
    from lenstui.lens.lens import Lens
    from lenstui.opening.opened import Opened
    from lenstui.readout.against import Against
    from lenstui.scan.columns import Second

OPTIONS = ("against_model", "against_revision", "against_lens")


@dataclass(frozen=True, slots=True)
class AskedAgainst:
    """The requested second side.

    Attributes:
        model: the request for another model; None for another lens of the same one.
        lens: the file of that lens; None for the logit lens.
    """

    model: Start | None
    lens: Path | None = None

    @property
    def options(self) -> list[str]:
        """The options that request the same side."""
        if self.model is None:
            return [f"--against-lens={self.lens or LOGIT}"]
        words = [f"--against-model={self.model.model}"]
        words += [] if self.model.revision is None else [f"--against-revision={self.model.revision}"]
        return [*words, *(f"--against-lens={lens}" for lens in self.model.lenses)]


@dataclass(frozen=True, eq=False)
class OpenedSide:
    """An open second side, and the lenses through which both are compared.

    Attributes:
        opened: its model and lenses; those of the first side, where it is another lens of the same model.
        lenses: its lenses, by the key of the first side's lens that each is compared with.
        is_model: whether it is another model.
        remarks: remarks for the user.
    """

    opened: Opened
    lenses: Mapping[str, Lens]
    is_model: bool
    remarks: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class OpenSecond:
    """An open second side.

    Attributes:
        against: what compares the first side with it.
        side: what the records say of it.
        remarks: remarks for the user.
    """

    against: Against
    side: Second
    remarks: tuple[str, ...]


def add_against(parser: Parser) -> argparse._ArgumentGroup:
    """Add the arguments for a second side, and return their group."""
    group = parser.add_argument_group("comparison")
    group.add_argument(
        "--against-model",
        metavar="ID|FOLDER|GGUF",
        help="compare with another model of the same tokenizer, run in the same way (device, dtype, …)",
    )
    group.add_argument(
        "--against-revision",
        metavar="REVISION",
        help="a branch, tag or commit of --against-model on the hub, or of --model",
    )
    group.add_argument(
        "--against-lens",
        metavar="FILE|FOLDER|logit",
        action="append",
        default=[],
        help="a lens of the second model, which may be given several times; without one, a lens of the same "
        "model to compare with, or logit for the logit lens",
    )
    return group


def asked_against(parser: Parser, given: argparse.Namespace, first: Start) -> AskedAgainst | None:
    """Return the second side that was given; None for none. What makes no sense ends the program.

    Args:
        parser: reports a wrong call.
        given: the parsed arguments.
        first: the request for the first model.
    """
    named, lenses = given.against_model, given.against_lens
    if named is None and given.against_revision is None:
        if len(lenses) > 1:
            parser.error("--against-lens is given twice: without --against-model it is one lens")
        return AskedAgainst(None, None if lenses[0] == LOGIT else Path(lenses[0])) if lenses else None
    if named is None and first.model is None:
        parser.error("--against-revision needs --against-model or --model")
    if LOGIT in lenses:
        parser.error("--against-lens logit is of one model: two are compared through the logit lens anyway")
    model, revision = (first.model, None) if named is None else split_revision(named)
    if revision is not None and given.against_revision not in {None, revision}:
        parser.error(
            f"--against-model names the revision {revision}, --against-revision {given.against_revision}: "
            "leave one out"
        )
    start = replace(
        first,
        model=model,
        revision=revision or given.against_revision,
        demo=False,
        lenses=tuple(dict.fromkeys(map(Path, lenses))),
    )
    return AskedAgainst(start)


def open_side(first: Opened, asked: AskedAgainst, on_stage: Callable[[str], None]) -> OpenedSide:
    """Open the second side.

    Args:
        first: the first side's model and lenses.
        asked: the request.
        on_stage: called with each stage, in a few words.

    Raises:
        LensError: if it cannot be opened, or its model does not have the tokens of the first.
    """
    if asked.model is None:
        key, lens, said = _open_lens(first, asked.lens)
        return OpenedSide(first, {key: lens}, is_model=False, remarks=tuple(said))
    from lenstui.opening.agreement import check_same_tokens, rows_of_both
    from lenstui.opening.opened import open_model
    from lenstui.opening.pairs import lenses_of_both

    second = open_model(asked.model, on_stage)
    check_same_tokens(first.model, second.model)
    remarks, pairs = list(second.remarks), lenses_of_both(first, second)
    if pairs:
        remarks += _lacking(first, second, list(pairs))
    else:
        remarks.append(f"{rows_of_both(first.model, second.model)}: their final distributions are compared.")
    return OpenedSide(second, pairs, is_model=True, remarks=tuple(remarks))


def open_against(first: Opened, asked: AskedAgainst, on_stage: Callable[[str], None]) -> OpenSecond:
    """Open the second side of a scan, as `open_side` does."""
    from lenstui.readout.against import Against

    side = open_side(first, asked, on_stage)
    model, lenses = side.opened.model, side.lenses
    if side.is_model:
        said = _side(side.opened, side.opened.lenses, {key: key for key in lenses}, is_model=True)
    else:
        compared = {key: lens.kind for key, lens in lenses.items()}
        said = _side(first, list(lenses.values()), compared, is_model=False)
    return OpenSecond(Against(model, lenses), said, side.remarks)


def _open_lens(first: Opened, file: Path | None) -> tuple[str, Lens, list[str]]:
    """Return another lens of the same model, the key of the lens to compare it with, and remarks."""
    from lenstui.lens.compatibility import fit_warning
    from lenstui.lens.formats.own import open_lens
    from lenstui.lens.logit import LogitLens
    from lenstui.lens.names import lens_title
    from lenstui.opening.pairs import lens_against

    lens: Lens = LogitLens() if file is None else open_lens(file)
    warning, key = fit_warning(lens, first.model), lens_against(first, lens)
    name = f" {lens.name}" if lens.name else ""
    said = f"The {lens_title(key)} is compared with the {lens_title(lens.kind)}{name}."
    return key, lens, [*([] if warning is None else [warning]), said]


def _lacking(first: Opened, second: Opened, pairs: list[str]) -> Iterator[str]:
    """Yield a remark for each of two models that has lenses which the other has not."""
    from lenstui.lens.lens import lens_keys
    from lenstui.opening.agreement import both_names

    both = both_names(first.model, second.model)
    for name, opened in zip(both, (first, second), strict=True):
        if others := [key for key in lens_keys(opened.lenses) if key not in pairs]:
            lenses = "lens" if len(pairs) == 1 else "lenses"
            yield (
                f"Only {name} has a {' and a '.join(others)} lens: by row they are compared through the "
                f"{' and '.join(pairs)} {lenses}."
            )


def _side(opened: Opened, lenses: Sequence[Lens], compared: Mapping[str, str], *, is_model: bool) -> Second:
    """Return what the records say of the second side.

    Args:
        opened: its model.
        lenses: its lenses.
        compared: the keys of those that are compared, by the key of the first side's lens.
        is_model: whether it is another model.
    """
    from lenstui.opening.opened import source_of
    from lenstui.opening.source import source_facts
    from lenstui.scan.columns import Second

    return Second(source_facts(source_of(opened, lenses)), is_model, compared)
