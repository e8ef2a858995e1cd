"""How far the two sides of a scan are apart, as a table of text, Markdown, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from lenstui.export.columns import column_lines, column_runs
from lenstui.export.json_contract import without_nan
from lenstui.export.markdown import markdown_table, number_text
from lenstui.export.scan_columns import JOINS, PARTS
from lenstui.export.text_width import wrapped
from lenstui.export.tidy import row_index
from lenstui.lens.names import lens_title
from lenstui.support.fixed_text import NONE, fixed_text
from lenstui.support.printable import printable
from lenstui.support.version import __version__

if TYPE_CHECKING:
    from lenstui.scan.columns import Second
    from lenstui.scan.comparison import Estimate, PairComparison, ScanComparison
    from lenstui.scan.folder import Manifest
    from lenstui.scan.matches import ScanRecords

VERSION = 1

_BOTH = " ‖ "  # between the names of two sides
_MEANINGS = {
    "KL": "KL(first ‖ second) in nats",
    "same top-1": "how often the likeliest tokens of both are the same",
    "parts": PARTS,
    "joins": JOINS,
}


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison, and what is needed to write it down.

    Attributes:
        comparison: the comparison.
        records: the records that it is of.
    """

    comparison: ScanComparison
    records: ScanRecords

    @property
    def second(self) -> Second:
        """The second side."""
        second = self.records.manifest.second
        assert second is not None
        return second

    @property
    def heading(self) -> str:
        """The names of both sides, and how far their final distributions are apart, on one line."""
        of, manifest = self.comparison, self.records.manifest
        said = [_BOTH.join(sides_of(manifest))]
        if of.kl is not None and of.parted is not None:
            said.append(f"KL of the final distributions {_with_error(of.kl, 0)}")
            said.append(f"parted (other likeliest final tokens) {_with_error(of.parted, 0, is_share=True)}")
        return printable(" · ".join(said))

    @property
    def captions(self) -> list[str]:
        """What was read, and what the columns are, a line each."""
        of, manifest = self.comparison, self.records.manifest
        blocks = "1 block" if of.blocks == 1 else f"{of.blocks} blocks"
        unfinished = "" if manifest.finished else ", the scan is not finished"
        error = " · ± standard error" if of.blocks > 1 else ""
        shown = " · ".join(f"{name}: {_MEANINGS[name]}" for name in self._heads)
        return [
            printable(
                f"{of.positions} positions in {blocks}{unfinished}{error} · text {', '.join(manifest.data)}"
            ),
            shown
            if of.pairs
            else "the two models are not of the same depth, so that no other row is compared",
        ]

    @property
    def _heads(self) -> list[str]:
        return [name for name in _MEANINGS if self.second.is_model or name != "parts"]

    def columns(self) -> list[list[list[str]]]:
        """The columns of a table for each lens, each a head and a text for each row, the last row first."""
        tables = []
        for key in self.comparison.pairs:
            columns = self.columns_of(key)
            columns[0][0] = f"{self.pair_name(key)} {columns[0][0]}"
            tables.append(columns)
        return tables

    def columns_of(self, key: str) -> list[list[str]]:
        """The columns of the table for one lens, each a head and a text for each row, the last row first."""
        texts = _texts(self.comparison.pairs[key])
        return [[name, *texts[name][::-1]] for name in self._heads]

    def pair_name(self, key: str) -> str:
        """The lens of the first side by its key, and that of the second where it has another."""
        other = self.second.lenses[key]
        return key if key == other else f"{key}{_BOTH}{other}"


def sides_of(manifest: Manifest) -> tuple[str, str]:
    """Return the names of the two sides: of two models, or of two lenses of one."""
    second = manifest.second
    assert second is not None
    if second.is_model:
        return _model(manifest.source), _model(second.source)
    [(key, other)] = second.lenses.items()
    return _lens(manifest.source, key), _lens(second.source, other)


def _model(source: Mapping[str, Any]) -> str:
    revision = source.get("revision")
    return f"{source.get('model')}@{revision}" if revision else str(source.get("model"))


def _lens(source: Mapping[str, Any], key: str) -> str:
    """Return a lens by its key, with its file or name."""
    facts = (source.get("lens_files") or {}).get(key) or {}
    name = facts.get("file") or facts.get("name") or ""
    return f"{lens_title(key.partition(':')[0])} {name}".rstrip()


def _texts(pair: PairComparison) -> dict[str, list[str]]:
    """Return the texts by column, `emb` first."""
    rows = range(len(pair.parts))
    return {
        "KL": [_with_error(pair.kl, row) for row in rows],
        "same top-1": [_with_error(pair.same_top1, row, is_share=True) for row in rows],
        "parts": [str(count) for count in pair.parts.tolist()],
        "joins": [str(count) for count in pair.joins.tolist()],
    }


def _with_error(estimate: Estimate, place: int, *, is_share: bool = False) -> str:
    """Return a mean with its standard error, if there is one; – where there is no mean."""
    mean, error = float(estimate.mean[place]), float(estimate.sem[place])
    if math.isnan(mean):
        return NONE

    def text(value: float) -> str:
        return f"{value:.1%}" if is_share else fixed_text(value, 4)

    return text(mean) if math.isnan(error) else f"{text(mean)} ± {text(error)}"


def comparison_lines(of: Compared, width: int | None) -> Iterator[str]:
    """Yield the lines of a comparison: its heading, a table by row, and captions."""
    yield wrapped(of.heading, width)
    yield ""
    labels, tables = ["row", *of.records.manifest.rows[::-1]], of.columns()
    together = list(chain.from_iterable(tables))
    if len(column_runs(labels, together, width)) == 1:
        tables = [together]
    for columns in tables:
        yield from column_lines(labels, columns, width)
    for caption in of.captions:
        yield wrapped(caption, width)


def comparison_table(of: Compared, width: int | None = None) -> str:
    """Return a comparison as a table of text.

    Args:
        of: the comparison.
        width: the width of a line in terminal cells; None for no limit.
    """
    return "".join(f"{line}\n" for line in comparison_lines(of, width))


def markdown_lines(of: Compared) -> Iterator[str]:
    """Yield the lines of a comparison as Markdown, an empty one at the end of each part."""
    yield from (f"**{number_text(of.heading)}**", "")
    for columns in of.columns():
        heads, *rows = zip(*columns, strict=True)
        yield from markdown_table(heads, of.records.manifest.rows[::-1], rows)
        yield ""
    for caption in of.captions:
        yield from (number_text(caption), "")


def comparison_markdown(of: Compared, command: str) -> str:
    """Return a comparison as Markdown, with the command that repeats it."""
    return "\n".join([*markdown_lines(of), "```sh", command, "```", ""])


def comparison_facts(of: Compared) -> dict[str, Any]:
    """Return a comparison as plain values by name; lists by row begin with `emb`."""
    comparison = of.comparison
    return {
        "second": dict(of.second.source),
        "positions": comparison.positions,
        "blocks": comparison.blocks,
        **_numbers("kl", comparison.kl),
        **_numbers("parted", comparison.parted),
        "by_row": {
            key: {
                "second": of.second.lenses[key],
                **_by_row("kl", pair.kl),
                **_by_row("same_top1", pair.same_top1),
                "parts": pair.parts.tolist(),
                "joins": pair.joins.tolist(),
            }
            for key, pair in comparison.pairs.items()
        },
    }


def _numbers(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    """Return a single mean and its standard error by name; None for what there is not."""
    if estimate is None:
        return {name: None, f"{name}_sem": None}
    return {each: values[0] for each, values in _by_row(name, estimate).items()}


def _by_row(name: str, estimate: Estimate) -> dict[str, list[Any]]:
    sem = without_nan(estimate.sem.tolist())
    return {name: list(without_nan(estimate.mean.tolist())), f"{name}_sem": list(sem)}


def comparison_json(of: Compared) -> str:
    """Return a comparison as one line of JSON, ASCII alone."""
    manifest = of.records.manifest
    content = {
        "version": VERSION,
        "lenstui": __version__,
        "folder": str(of.records.folder),
        "source": dict(manifest.source),
        "data": list(manifest.data),
        "finished": manifest.finished,
        "rows": list(manifest.rows),
        "lenses": list(manifest.lenses),
        "comparison": comparison_facts(of),
    }
    return json.dumps(content, allow_nan=False) + "\n"


def comparison_csv(of: Compared) -> str:
    """Return a comparison as CSV, a line for each lens and row; what is missing is an empty field.

    Where no row is compared there is one line, with the numbers of the final distributions.
    """
    facts = comparison_facts(of)
    first, second = sides_of(of.records.manifest)
    finals = {f"final_{name}": facts[name] for name in ("kl", "kl_sem", "parted", "parted_sem")}
    same = {
        "positions": facts["positions"],
        "blocks": facts["blocks"],
        **finals,
        "first": first,
        "second": second,
    }
    names = ("kl", "kl_sem", "same_top1", "same_top1_sem", "parts", "joins")
    found = [
        {"lens": key, "second_lens": by_row["second"], "row": row, "row_index": row_index(row)}
        | {name: by_row[name][place] for name in names}
        | same
        for key, by_row in facts["by_row"].items()
        for place, row in enumerate(of.records.manifest.rows)
    ]
    heads = ["lens", "second_lens", "row", "row_index", *names, *same]
    written = io.StringIO()
    lines = csv.DictWriter(written, heads, lineterminator="\n")
    lines.writeheader()
    lines.writerows(found or [same])
    return written.getvalue()
