"""An evaluation of lenses as JSON, and as a table of text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lenstui.export.columns import column_lines, column_runs
from lenstui.export.json_contract import keys_with, without_nan
from lenstui.export.table import summary
from lenstui.export.text_width import wrapped
from lenstui.lens.kinds import JACOBIAN
from lenstui.model.not_finite import LEFT_OUT
from lenstui.opening.source import Source
from lenstui.readout.cells import row_labels
from lenstui.support.fixed_text import NONE, fixed_text
from lenstui.support.version import __version__

if TYPE_CHECKING:
    from lenstui.evaluation.evaluate import Quality

VERSION = 1

_NOT_JUDGED = "a Jacobian lens reads what may be said later: its KL does not say how good it is"


def evaluation_json(qualities: Mapping[str, Quality], source: Source, data: Sequence[str]) -> str:
    """Return an evaluation as one line of JSON, ASCII alone.

    Lists are by row, `emb` first; a lens that was not evaluated is null. Tokens whose logits are not finite
    count in no mean: `left_out` is their number, of all `tokens`. A mean without tokens is null.

    Args:
        qualities: the qualities by lens, under their keys.
        source: the model and lenses.
        data: the files that were read, as the user named them.
    """
    first = next(iter(qualities.values()))  # all have the same tokens and rows
    content = {
        "version": VERSION,
        "lenstui": __version__,
        "model": source.model,
        "revision": source.revision,
        "dtype": source.dtype,
        "lens": source.lens,
        "data": list(data),
        "tokens": first.tokens,
        "rows": _rows(first),
        **{name: _numbers(qualities.get(name)) for name in keys_with(qualities)},
    }
    return json.dumps(content, allow_nan=False) + "\n"


def evaluation_table(qualities: Mapping[str, Quality], source: Source, width: int | None = None) -> str:
    """Return an evaluation as a table of text: the last row first, standard errors behind KL.

    What is wider than `width` becomes several tables, one below the other.

    Args:
        qualities: the qualities by lens, under their keys.
        source: the model and lenses.
        width: the width of a line in terminal cells; None for as wide as it takes.
    """
    first = next(iter(qualities.values()))  # all have the same tokens and rows
    judged = {name: quality for name, quality in qualities.items() if not _is_jacobian(name)}
    means = ", ".join(f"{name} {fixed_text(quality.mean_kl, 3)}" for name, quality in judged.items())
    captions = [
        f"mean KL, the last row left out: {means}",
        *([_NOT_JUDGED] if len(judged) < len(qualities) else []),
        f"{first.tokens} tokens · nats; top-1: how often it is the final top-1",
        *([LEFT_OUT] if any(quality.left_out for quality in qualities.values()) else []),
        summary(source),
    ]
    lines = [*_lines(qualities, width), *(wrapped(caption, width) for caption in captions)]
    return "".join(f"{line}\n" for line in lines)


def _is_jacobian(key: str) -> bool:
    return key.partition(":")[0] == JACOBIAN


def _lines(qualities: Mapping[str, Quality], width: int | None) -> Iterator[str]:
    """Yield the lines of the tables, an empty one behind each."""
    labels = ["row", *_rows(next(iter(qualities.values())))[::-1]]
    columns = [column for name, quality in qualities.items() for column in _columns(name, quality)]
    if len(column_runs(labels, columns, width)) > 1:  # then a lens is not always beside its name
        columns = [
            column for name, quality in qualities.items() for column in _columns(name, quality, named=True)
        ]
    yield from column_lines(labels, [[head, *body[::-1]] for head, *body in columns], width)


def _columns(name: str, quality: Quality, *, named: bool = False) -> Iterator[list[str]]:
    """Yield the columns of a lens, each a head and a text for each row.

    Args:
        name: the lens.
        quality: its quality.
        named: whether all heads name the lens, not the first alone.
    """
    prefix = f"{name} " if named else ""
    errors = [f" ± {fixed_text(error, 3)}" for error in quality.kl_sem] or [""] * len(quality.kl)
    kl = [f"{fixed_text(value, 3)}{error}" for value, error in zip(quality.kl, errors, strict=True)]
    for row in quality.lacks:
        kl[row] = NONE
    yield [f"{name} KL", *kl]
    yield [f"{prefix}CE", *(fixed_text(value, 3) for value in quality.ce)]
    yield [f"{prefix}top-1", *map(_share_text, quality.top1_agreement)]
    if quality.left_out:
        yield [f"{prefix}left out", *map(str, quality.left_out)]


def _share_text(share: float) -> str:
    return NONE if math.isnan(share) else f"{share:.1%}"


def _rows(quality: Quality) -> list[str]:
    return list(row_labels(len(quality.kl) - 1))


def _numbers(quality: Quality | None) -> dict[str, Any] | None:
    if quality is None:
        return None
    return {
        "kl": without_nan(quality.kl),
        "kl_sem": without_nan(quality.kl_sem) or None,
        "ce": without_nan(quality.ce),
        "top1_agreement": without_nan(quality.top1_agreement),
        "left_out": list(quality.left_out) or [0] * len(quality.kl),
    }
