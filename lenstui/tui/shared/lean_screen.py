"""A screen that sends the terminal little: the cells that changed, and of their style what changes.

Textual sends a changed span from the left edge of its widget on, and the whole style of every segment with a
reset after it. For two grids of coloured cells over SSH that is several times too much.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from rich.color import ColorSystem
from rich.console import Console
from rich.style import Style
from textual._compositor import ChopsUpdate, Compositor, LayoutUpdate
from textual.screen import Screen, ScreenResultType
from textual.strip import Strip

# Where a piece of a line begins, and what it holds.
Piece = tuple[int, int, Strip]


class LeanScreen(Screen[ScreenResultType]):
    """A screen whose updates are lean."""

    def __init__(self, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name, id, classes)
        self._compositor = _LeanCompositor()

    def take_size(self) -> None:
        """Have the classes of its size before there is anything on it: else all is styled a second time."""
        width, height = self.app.size
        classes = [
            *self._get_breakpoint_classes(width, self.HORIZONTAL_BREAKPOINTS or []),
            *self._get_breakpoint_classes(height, self.VERTICAL_BREAKPOINTS or []),
        ]
        self.update_classes(dict.fromkeys(classes, True), update=False)

    def _compositor_refresh(self) -> None:
        """Paint, unless another screen covers this one: Textual would paint that for each change here."""
        top = self.app.screen
        if top is self or top.styles.background.a < 1:
            super()._compositor_refresh()
        else:  # it is painted as a whole when it comes back
            self._compositor._dirty_regions.clear()
            self._dirty_widgets.clear()


class _LeanCompositor(Compositor):
    """Textual's, but for how its updates are written."""

    def render_full_update(self, simplify: bool = False) -> LayoutUpdate:
        update = super().render_full_update(simplify)
        return _LeanLayout(update.strips, update.region)

    def render_partial_update(self) -> ChopsUpdate | None:
        update = super().render_partial_update()
        return _LeanChops(update.chops, update.spans, update.chop_ends) if update else None


class _LeanLayout(LayoutUpdate):
    def render_segments(self, console: Console) -> str:
        return _written(self._pieces(), console)

    def _pieces(self) -> Iterator[Piece]:
        for y, line in enumerate(self.strips, self.region.y):
            yield self.region.x, y, Strip.join(line)


class _LeanChops(ChopsUpdate):
    def render_segments(self, console: Console) -> str:
        return _written(self._pieces(), console)

    def _pieces(self) -> Iterator[Piece]:
        for y, start, stop in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if strip is not None and x < stop and end > start:
                    left = max(x, start)
                    yield left, y, strip.crop(left - x, min(end, stop) - x)


def _written(pieces: Iterable[Piece], console: Console) -> str:
    """Pieces of lines as what the terminal is to receive."""
    system = console._color_system or ColorSystem.TRUECOLOR
    sequences: list[str] = []
    position: tuple[int, int] | None = None
    current: Style | None = None
    for x, y, strip in pieces:
        if position != (x, y):
            sequences.append(f"\x1b[{y + 1};{x + 1}H")
        position = (x + strip.cell_length, y)
        for text, style, _ in strip:
            if style is not current:
                sequences.append(_change(current, style, system))
                current = style
            sequences.append(text)
    sequences.append(_change(current, None, system))
    return "".join(sequences)


@lru_cache(maxsize=1 << 14)
def _change(old: Style | None, new: Style | None, system: ColorSystem) -> str:
    """From one style to another."""
    before, after = _codes(old, system), _codes(new, system)
    links = (old.link if old else None, new.link if new else None)
    link = "" if links[0] == links[1] else f"\x1b]8;;{links[1] or ''}\x1b\\"
    if before == after:
        return link
    if before[0] == after[0] and all(after[1:]):
        changed = [code for code, was in zip(after, before, strict=True) if code != was]
    else:
        changed = ["0", *filter(None, after)]
    return f"{link}\x1b[{';'.join(changed)}m"


def _codes(style: Style | None, system: ColorSystem) -> tuple[str, str, str]:
    """The codes of a style's attributes, its colour and its background, each empty where there is none."""
    if style is None:
        return "", "", ""
    colour, background = (
        ";".join(part.downgrade(system).get_ansi_codes(foreground)) if part else ""
        for part, foreground in ((style.color, True), (style.bgcolor, False))
    )
    return Strip.render_ansi(style.without_color, system), colour, background
