"""The list of the lenses on the hub: one line for each, with what is known before it is downloaded."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text
from textual.widgets.option_list import Option

from lenstui.lens.names import kind_word
from lenstui.lens.published.published_lens import PublishedLens
from lenstui.readout.number_texts import size_text
from lenstui.support.printable import printable
from lenstui.tui.lenses.table import LensLines, fit_text

_FITS, _KIND, _SIZE = 8, 8, 7  # terminal cells
_HEADINGS = ("lens on the hub", "from", "fits", "kind", "size")


class HubTable(LensLines):
    """The list of lenses on the hub, those for the open model first."""

    def __init__(self) -> None:
        super().__init__()
        self._lenses: tuple[PublishedLens, ...] = ()
        self._here: frozenset[str] = frozenset()

    def show(self, lenses: Sequence[PublishedLens], here: frozenset[str]) -> None:
        """Show some lenses, with a mark on those that are here; the highlight stays on its lens."""
        if (self._lenses, self._here) == (tuple(lenses), here):
            return
        before = self.chosen
        self._lenses, self._here = tuple(lenses), here
        self.clear_options()
        self.add_options([Option(HubLine(lens, is_here=lens.name in here)) for lens in lenses])
        if lenses:
            wanted = [i for i, lens in enumerate(lenses) if before and lens.name == before.name]
            self.highlighted = next(iter(wanted), 0)

    @property
    def chosen(self) -> PublishedLens | None:
        """The highlighted lens."""
        return None if self.highlighted is None else self._lenses[self.highlighted]


class HubLine:
    """A lens on the hub on one line, or the headings where there is no lens."""

    def __init__(self, lens: PublishedLens | None = None, *, is_here: bool = False) -> None:
        self._lens = lens
        self._is_here = is_here

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield a line as wide as there is room; path (cut on the left) and repository share the rest."""
        room = max(options.max_width - 2 - (_FITS + _KIND + _SIZE + 3) - 1, 2)
        path = round(room * 0.7)
        name, *others = self._texts()
        name = fit_text(name, path, False) if self._lens is None else _fit_end(name, path)
        widths = (room - path, _FITS, _KIND, _SIZE)
        numbers = (False, False, False, True)
        cells = " ".join([name, *map(fit_text, others, widths, numbers)])
        yield Text(f"{'✓' if self._is_here else ' '} {cells}", no_wrap=True)

    def _texts(self) -> tuple[str, ...]:
        lens = self._lens
        if lens is None:
            return _HEADINGS
        return (
            printable(lens.path),
            printable(lens.repository),
            "" if lens.suits is None else lens.suits.value,
            kind_word(lens.kind),
            size_text(lens.size),
        )


def _fit_end(text: str, width: int) -> str:
    """Return `text` in exactly `width` terminal cells; of a longer one its end, where the file's name is."""
    if cell_len(text) > width:
        while cell_len(text) > width - 1 and text:
            text = text[1:]
        text = f"…{text}"
    return set_cell_size(text, width)
