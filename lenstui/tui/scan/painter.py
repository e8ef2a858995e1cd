"""The drawing of what a query has found: the table, the plot, the titles, the match under the cursor."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from lenstui.export.names import shown_path
from lenstui.lens.names import lens_title
from lenstui.readout.number_texts import probability_text
from lenstui.scan.queries import NAMED_QUERIES, queries_for
from lenstui.support.duration import duration
from lenstui.support.printable import printable
from lenstui.tui.scan import columns
from lenstui.tui.scan.columns import Record
from lenstui.tui.scan.means_plot import MeansPlot
from lenstui.tui.scan.state import ScanState, View, sort_of
from lenstui.tui.scan.table import ScanTable
from lenstui.tui.shared.shown import shown
from lenstui.tui.shared.status_bar import StatusBar
from lenstui.tui.shared.still_input import StillInput

NOTHING = "No records yet: n scans a text, o opens the records of a scan."
_BAR = 20  # cells


@dataclass(frozen=True, slots=True, eq=False)
class ScanWidgets:
    """The widgets of error analysis, from top to bottom.

    Attributes:
        status: the top line.
        folder: the line about the records.
        queries: the named queries, the chosen one marked.
        condition: the input of an own condition.
        said: the line about a search, a scan, or an error.
        message: what is shown in place of the table while there is nothing.
        frame: the frame around table and plot.
        heading: the names of two sides that are compared, above table and plot.
        body: table and plot.
        table: the table.
        plot: the plot of means.
        detail: the match under the cursor.
    """

    status: StatusBar
    folder: Static
    queries: Static
    condition: StillInput
    said: Static
    message: Static
    frame: Vertical
    heading: Static
    body: Horizontal
    table: ScanTable
    plot: MeansPlot
    detail: Static


class ScanPainter:
    """The part of the screen that draws its state."""

    def __init__(self, state: ScanState, widgets: ScanWidgets) -> None:
        self._state = state
        self._widgets = widgets

    def draw(self) -> None:
        """Draw everything."""
        state, widgets = self._state, self._widgets
        widgets.folder.update(self._folder_line())
        widgets.queries.update(self._query_line())
        has_found = state.has_found
        widgets.frame.display = has_found
        widgets.detail.display = has_found and state.view in {View.MATCHES, View.COMPARISON}
        widgets.heading.display = state.view is View.COMPARISON
        widgets.message.display = not has_found
        if has_found:
            self._draw_table()
            self.draw_title()
        else:
            widgets.message.update(shown(NOTHING if state.folder is None else state.trouble))
        self.draw_detail()

    # ── lines ────────────────────────────────────────────────────────────────────────────────────────────

    def _folder_line(self) -> Text:
        line = Text(no_wrap=True, overflow="ellipsis")
        if self._state.folder is None:
            line.append("error analysis", "bold")
            return line.append(" · the places of a text where a model is wrong, late or unsure", "dim")
        line.append(printable(shown_path(self._state.folder)), "bold")
        found = self._state.found
        if found is not None and self._state.has_found:
            manifest, count = found.records.manifest, found.records.count
            names = ", ".join(printable(name.rpartition("/")[2]) for name in manifest.data)
            parts = [f"{count:,} records of {names}", printable(str(manifest.source.get("model")))]
            parts += ["not finished: g goes on"] * (not manifest.finished and self._state.grown is None)
            line.append(f" · {' · '.join(parts)}", "dim")
        return line

    def _query_line(self) -> Text:
        """Return the named queries with their keys, and the lens."""
        chosen, line = self._state.asked.query, Text(no_wrap=True, overflow="ellipsis")
        found = self._state.found
        second = None if found is None else found.records.manifest.second
        offered = queries_for(second, "" if found is None else found.matches.lens)
        names = [(str(key), each.name) for key, each in enumerate(NAMED_QUERIES, 1) if each in offered]
        for key, name in (*names, ("0", "all")):
            is_chosen = name == chosen or (chosen is None and key == "0")
            line.append(f" {key} ", "dim").append(name, "bold reverse" if is_chosen else "")
            line.append(" ")
        if self._state.found is not None:
            line.append(f"  L {lens_title(self._state.found.matches.lens)}", "dim")
        return line

    def say(self, text: Text | str, *, wrong: bool = False) -> None:
        """Write on the line about searches, scans and errors."""
        said = self._widgets.said
        said.set_class(wrong, "-wrong")
        said.update(Text(text, no_wrap=True, overflow="ellipsis") if isinstance(text, str) else text)

    def say_wrong_at(self, place: int, why: str, text: str) -> None:
        """Write what is wrong with the condition, beside a mark under its place if there is room.

        Args:
            place: the place, in characters from 0.
            why: what is wrong there.
            text: the same with the place, as a sentence.
        """
        said, condition = self._widgets.said.content_region, self._widgets.condition.content_region
        at, why = condition.x - said.x + place, printable(why)
        if at + 2 + len(why) <= said.width:
            self.say(f"{' ' * at}▲ {why}", wrong=True)
        elif len(why) < at:
            self.say(f"{why.rjust(at - 1)} ▲", wrong=True)
        else:
            self.say(printable(text), wrong=True)

    def say_scan(self) -> None:
        """Write how far the scan under way is."""
        grown = self._state.grown
        if grown is None:
            return
        share = grown.done / max(grown.most, 1)
        full = round(_BAR * share)
        line = Text("━" * full, no_wrap=True, overflow="ellipsis")
        line.append("━" * (_BAR - full), "dim")
        left = "" if grown.left is None else f" · at most {duration(grown.left)} left"
        line.append(f"  scanning: {grown.done:,} of at most {grown.most:,} tokens{left} · s stops")
        self.say(line)

    # ── what was found ───────────────────────────────────────────────────────────────────────────────────

    def draw_title(self) -> None:
        """Write on the frame what was found, and which view of it is shown."""
        state, frame = self._state, self._widgets.frame
        assert state.found is not None
        matches = state.found.matches
        views = Text()
        for view in state.views:
            views.append(f" {view.value} ", "bold reverse" if view is state.view else "dim")
        if state.view is View.COMPARISON:
            count = (
                state.compared.comparison.positions if state.compared and state.has_compared else matches.of
            )
            frame.border_title, frame.border_subtitle = Text(f"all {count:,} positions"), views
            return
        share = probability_text(matches.count / max(matches.of, 1))
        so_far = f" · searching, {matches.of / state.found.records.count:.0%}" * state.is_searching
        frame.border_title = Text(
            f"{matches.count:,} of {matches.of:,} positions ({share}){so_far}: {printable(state.found.title)}"
        )
        name, is_descending = sort_of(matches.sort)
        if state.view is View.MATCHES:
            first = f"first {len(matches.top):,} " if matches.count > len(matches.top) else ""
            views.append(f" · {first}by {printable(name)}{' ▾' if is_descending else ' ▴'}")
        frame.border_subtitle = views

    def _draw_table(self) -> None:
        state, table, plot = self._state, self._widgets.table, self._widgets.plot
        assert state.found is not None
        matches, manifest = state.found.matches, state.found.records.manifest
        has_plot = state.view in {View.MEANS, View.COMPARISON}
        table.display = True
        self._widgets.detail.remove_class("-captions")
        self._widgets.body.set_class(has_plot, "-means")
        plot.display = has_plot
        if state.view is View.MATCHES:
            self._draw_matches()
            return
        if state.view is View.COMPARISON:
            self._draw_comparison()
            return
        if state.view is View.TOKENS:
            heads, lines = columns.token_counts(matches)
        elif state.view is View.ROWS:
            width = max((table.size.width or 80) // 2 - 16, 10)
            heads, lines = columns.row_counts(matches, manifest.rows, width)
        else:
            heads, lines = columns.row_means(matches, manifest.rows)
            plot.show(matches, state.measure, manifest.rows)
        table.show(heads, lines, fixed=1, cursor=table.cursor)

    def _draw_matches(self) -> None:
        state = self._state
        assert state.found is not None
        matches, records = state.found.matches, state.found.records
        state.columns = columns.shown_columns(records.columns, matches.lens, records.manifest.lenses)
        lines = [[column.cell(record) for column in state.columns] for record in matches.top]
        positions = [record["position"] for record in matches.top]
        cursor = positions.index(state.position) if state.position in positions else 0
        name, is_descending = sort_of(matches.sort)
        names = [column.name for column in state.columns]
        self._widgets.table.show(
            [column.table for column in state.columns],
            lines,
            fixed=columns.FIXED,
            cursor=cursor,
            sorted_by=names.index(name) if name in names else None,
            descending=is_descending,
        )

    def _draw_comparison(self) -> None:
        state, widgets = self._state, self._widgets
        assert state.found is not None
        compared = state.compared if state.has_compared else None
        widgets.heading.update(shown(state.no_comparison if compared is None else compared.heading))
        key = None if compared is None else columns.pair_of(compared, state.found.matches.lens)
        # Where no row is compared the captions say why.
        widgets.detail.set_class(key is not None, "-captions")
        widgets.plot.display = widgets.table.display = key is not None
        if compared is not None and key is not None:
            widgets.table.show(
                *columns.comparison_by_row(compared, key), fixed=1, cursor=widgets.table.cursor
            )
            widgets.plot.show_pair(compared, key, state.pair_measure)

    @property
    def chosen(self) -> Record | None:
        """The record of the highlighted match; None where no match is shown."""
        state = self._state
        if state.found is None or not state.has_found or state.view is not View.MATCHES:
            return None
        top, cursor = state.found.matches.top, self._widgets.table.cursor
        return top[cursor] if cursor < len(top) else None

    def draw_detail(self) -> None:
        """Write the match under the cursor in full."""
        text, record, state = Text(overflow="ellipsis"), self.chosen, self._state
        if record is not None and state.found is not None:
            around = columns.around_of(record)
            names = ("document", "block", "column")
            text.append(" · ".join(f"{name} {record[name]}" for name in names), "bold")
            text.append("  ").append(around.before).append(around.token, "bold reverse")
            text.append(around.after, "dim").append("\n")
            text.append(" · ".join(columns.detail_words(state.found.records.columns, record)), "dim")
        if state.view is View.COMPARISON and state.compared is not None and state.has_compared:
            text.append("\n".join(state.compared.captions), "dim")
        self._widgets.detail.update(text)
