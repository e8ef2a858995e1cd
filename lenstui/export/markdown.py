"""A readout as Markdown tables, one for each lens, to be pasted into an issue or a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lenstui.export.printable import printable
from lenstui.export.source import Source, versions_text
from lenstui.export.tidy import TokenText
from lenstui.export.values import Value, probability_text, rank_text
from lenstui.lens.cells import Cells
from lenstui.lens.pins import Pin

if TYPE_CHECKING:
    from lenstui.lens.readout import Readout


def markdown(
    readout: Readout,
    texts: TokenText,
    source: Source,
    value: Value,
    *,
    pins: Sequence[Pin] = (),
    command: str,
) -> str:
    """The likeliest token of every cell and a value, the top of the network first, and where they come from.

    Args:
        readout: what was read.
        texts: display text of every token in it.
        source: where it comes from.
        value: what to show behind the tokens.
        pins: the words of its pinned tokens, whose numbers in the last column get a table of their own.
        command: makes this readout again.
    """
    heads = [_code(texts[token]) for token in readout.prompt.ids]
    labels = readout.rows[::-1]
    lines: list[str] = []
    for name, cells in readout.lenses.items():
        lines += [
            f"**{name} lens** · {value.label}",
            "",
            *_table(heads, labels, _cells(cells, texts, value)),
            "",
        ]
    for name, cells in readout.lenses.items() if pins else ():
        words = [_code(texts[pin.id]) for pin in pins]
        title = f"**{name} lens** · pinned, in the last column: probability, rank"
        lines += [title, "", *_table(words, labels, _pinned(cells)), ""]
    lines += [_said(readout, source), "", "```sh", command, "```", ""]
    return "\n".join(lines)


def _table(heads: Sequence[str], labels: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _row(["", *heads])
    yield _row(["--:", *[":--"] * len(heads)])
    for label, row in zip(labels, rows, strict=True):
        yield _row([label, *row])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(cells: Cells, texts: TokenText, value: Value) -> Iterator[list[str]]:
    """Top of the network first."""
    for ids, numbers in zip(cells.top_ids[::-1, :, 0], value.of(cells)[::-1], strict=True):
        yield [
            f"{_code(texts[token])} {_number(value.format(number))}"
            for token, number in zip(ids.tolist(), numbers.tolist(), strict=True)
        ]


def _pinned(cells: Cells) -> Iterator[list[str]]:
    """Top of the network first."""
    probs, ranks = np.exp(cells.pin_logprobs[::-1, -1]), cells.pin_ranks[::-1, -1]
    for row_probs, row_ranks in zip(probs.tolist(), ranks.tolist(), strict=True):
        yield [
            f"{_number(probability_text(prob))}, {rank_text(rank)}"
            for prob, rank in zip(row_probs, row_ranks, strict=True)
        ]


def _said(readout: Readout, source: Source) -> str:
    at = f" at {_code(source.revision)}" if source.revision else ""
    lens = f"tuned lens {_code(source.lens)}" if source.lens else "without a tuned lens"
    norm = "" if source.final_norm else "logit lens without the final norm · "
    norm += "prompt in the chat template · " if source.chat else ""
    return (
        f"{_code(source.model)}{at} · {source.dtype} · {lens} · {norm}"
        f"prompt {_code(readout.prompt.text)} · {versions_text(source)}"
    )


def _number(text: str) -> str:
    return text.replace("<", "&lt;")


def _code(text: str) -> str:
    """A code span: nothing in it is a name to notify, a number of an issue, emphasis or mathematics.

    Pipes and backticks cannot be written in one without fail, so these go into HTML's, in numbers throughout.
    """
    text = printable(text)
    if "|" not in text and "`" not in text:
        return f"`{text}`"
    safe = (c if c.isalnum() or c == " " or not c.isascii() else f"&#{ord(c)};" for c in text)
    return f"<code>{''.join(safe)}</code>"
