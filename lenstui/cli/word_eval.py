"""`lenstui eval --words`: pass@k of lenses on items with words to find."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.cli.output import deliver, table_width
from lenstui.cli.stderr import aside, bar, progress, say
from lenstui.model.not_finite import items_not_numbers_remark
from lenstui.model.rows import RowChoice
from lenstui.support.atomic_file import check_place
from lenstui.support.errors import LensError, failure
from lenstui.support.request import Start

if TYPE_CHECKING:
    from lenstui.evaluation.pass_at_k import PassAtK
    from lenstui.evaluation.word_items import WordItem
    from lenstui.opening.opened import Opened


@dataclass(frozen=True, slots=True)
class AskedWords:
    """The requested evaluation.

    Attributes:
        words: the file of items.
        band: the rows whose best one counts; None for all.
        correct_only: whether to leave out items that the model does not answer correctly.
        words_only: whether tokens without a letter or digit count in no rank.
    """

    words: Path
    band: RowChoice | None
    correct_only: bool
    words_only: bool


def show_words(asked: Start, asked_words: AskedWords, form: str, output: Path | None) -> int:
    """Evaluate, write the result, and return the exit status."""
    from lenstui.evaluation.word_items import open_items

    if output is not None:
        check_place(output, special=True)
    items = open_items(asked_words.words)  # before the model, since loading takes long
    with progress() as on_stage, aside():
        from lenstui.opening.opened import open_model

        opened = open_model(asked, on_stage)
    for remark in opened.remarks:
        say(remark)
    with aside():
        result = _judge(opened, items, asked_words)

    from lenstui.export.word_evaluation import word_evaluation_json, word_evaluation_table
    from lenstui.opening.opened import source_of

    if result.not_numbers:
        say(items_not_numbers_remark(result.not_numbers, result.items, opened.model.dtype_name))
    source = source_of(opened, opened.lenses)
    shown = (
        word_evaluation_json(result, source, str(asked_words.words))
        if form == "json"
        else word_evaluation_table(result, source, table_width(output))
    )
    deliver(shown, output)
    return 0


def _judge(opened: Opened, items: tuple[WordItem, ...], asked: AskedWords) -> PassAtK:
    from lenstui.evaluation.pass_at_k import pass_at_k

    band = None if asked.band is None else asked.band.of(opened.model.num_blocks)
    try:
        with bar("evaluating", len(items), "items") as on_done:
            return pass_at_k(
                opened.model,
                items,
                opened.lenses,
                band=band,
                correct_only=asked.correct_only,
                words_only=asked.words_only,
                on_item=lambda done: on_done(1),
            )
    except (IndexError, MemoryError, RuntimeError) as error:  # torch's out-of-memory errors are RuntimeErrors
        raise LensError(failure("Evaluating failed", error)) from error
