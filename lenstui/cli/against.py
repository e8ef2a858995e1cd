"""A second side, another model or another lens, to compare with: of `lenstui scan`, and of a prompt set."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lenstui.cli.arguments import Parser, given_name
from lenstui.lens.kinds import LOGIT
from lenstui.model.name import split_revision
from lenstui.opening.second_side import AskedAgainst, open_side
from lenstui.support.request import Start
from lenstui.support.typed_path import expanded

if TYPE_CHECKING:
    from lenstui.lens.lens import Lens
    from lenstui.opening.opened import Opened
    from lenstui.readout.against import Against
    from lenstui.scan.columns import Second

OPTIONS = ("against_model", "against_revision", "against_lens")


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
        type=given_name,
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
        type=given_name,
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
        return AskedAgainst(None, None if lenses[0] == LOGIT else expanded(lenses[0])) if lenses else None
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
        lenses=tuple(dict.fromkeys(map(expanded, lenses))),
    )
    return AskedAgainst(start)


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
