"""Every private name of Textual that lenstui uses, behind a plain one.

Textual promises nothing about these names. Each of them is described with the reason for its use, and the
test that fails once it is gone or means something else. `tests/test_private_names.py` holds that they are
used here alone. The private names of textual-fspicker are in `fspicker_hacks`: the start of the program need
not wait for that library.
"""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from rich.cells import cell_len
from rich.console import Console, RenderableType
from textual._compositor import ChopsUpdate, Compositor, LayoutUpdate
from textual._parser import Parser
from textual._styles_cache import StylesCache
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.driver import Driver
from textual.events import Event, Paste
from textual.message import Message
from textual.screen import Screen, ScreenResultType
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets._footer import FooterKey

# A piece of a line: where it begins (x, y), and its content.
Piece = tuple[int, int, Strip]
# A function that turns pieces of lines into what the terminal receives.
Write = Callable[[Iterable[Piece], Console], str]


def footer_key_width(widget: Widget) -> int:
    """Return the width of a key of a footer with its description, in terminal cells; 0 for anything else.

    Why: a footer cuts off the keys that it has no room for within their words.

    Uses: `textual.widgets._footer.FooterKey`, its `key_display` and `description`.

    Noticed by `test_the_footer_shows_whole_keys_alone` in `test_clicks.py`.
    """
    if not isinstance(widget, FooterKey):
        return 0
    return cell_len(widget.key_display) + cell_len(widget.description) + 3  # and the spaces around them


def forget_lines() -> None:
    """Have Textual forget the lines that it has painted of widgets that are gone.

    Why: it remembers the colours of the last 1024 widgets by their caches of lines, and so keeps these.

    Uses: `textual._styles_cache.StylesCache` and its `get_inner_outer`, which remembers its results.

    Noticed by `test_the_lines_of_a_dialog_are_gone_with_it` in `tests/tui/test_let_go.py`.
    """
    StylesCache.get_inner_outer.cache_clear()


def forget_watchers(app: App[Any]) -> None:
    """Have an app forget the widgets that watched it and are gone.

    Why: it keeps each text area, with all its lines, until the theme changes, which text areas watch.

    Uses: `__watchers` of `textual.reactive`, and `MessagePump._closing`, by which Textual forgets them then.

    Noticed by `test_nothing_is_left_of_closed_screens` in `tests/tui/test_let_go.py`.
    """
    for watchers in getattr(app, "__watchers", {}).values():
        watchers[:] = [(node, callback) for node, callback in watchers if not node._closing]


def holds_paint_back(app: App[Any]) -> bool:
    """Return whether an app paints nothing for now: for some 50 ms, while an action of the palette begins.

    Why: a key that comes meanwhile must not act on a screen that nobody has seen.

    Uses: `App._batch_count`.

    Noticed by `test_keys_behind_an_action_of_the_palette_wait_for_its_screen` in `test_random_keys.py`.
    """
    return app._batch_count > 0


def painted(screen: Screen[Any]) -> RenderableType:
    """Return all that a screen shows, without the dialogs and notifications over it.

    Why: `App.export_screenshot` takes the screen in front, which is the dialog that asks for the picture.

    Uses: `Screen._compositor` and its `render_update`.

    Noticed by `test_the_picture_of_the_screen_is_of_explore` in `test_export.py`.
    """
    picture = screen._compositor.render_update(full=True)
    assert picture is not None  # only a partial update may be None
    return picture


def key_events(typed: str) -> list[Event]:
    """Return the events of keys, from what a terminal sends for them.

    Why: keys that are typed before Textual reads the terminal have been received by another reader.

    Uses: `textual._xterm_parser.XTermParser`, by way of `CarefulParser`.

    Noticed by `test_keys_from_before_the_program_runs` in `tests/tui/test_textual_hacks.py`.
    """
    parser = CarefulParser()
    found = [*parser.feed(typed), *parser.feed("")] if typed else []  # an empty text says that it is all
    return [event for event in found if isinstance(event, Event)]


class CarefulParser(XTermParser):
    """A parser of what a terminal sends that takes all of a paste for text, and fails at nothing.

    Why: Textual takes an escape sequence within a paste for keys, or for many of them where it does not know
    it, so that what is copied from a hostile page could quit the program. Most terminals leave such sequences
    out of a paste, but tmux does not. An answer that nobody waits for any more is taken for keys, too. And a
    key or a size that Textual cannot compute with, as the release of a key or a window of no pixels, ends it.

    Uses: `textual._xterm_parser.XTermParser`: `feed`, which takes an empty text for the end,
    `parse_mouse_code`, `mouse_pixels`, `terminal_size` and `terminal_pixel_size`; `Parser.__init__`, which
    begins the parsing anew.

    Noticed by `test_what_is_pasted_is_text`, `test_a_paste_comes_in_pieces`, `test_a_late_answer_is_no_key`
    and `test_what_textual_cannot_read_is_passed_over` in `tests/tui/test_pastes.py`.
    """

    def __init__(self, debug: bool = False) -> None:
        super().__init__()  # with `debug`, all that is typed would go to keys.log in the current folder
        self._is_pasting = False
        self._before = ""  # the last characters outside of a paste, which may begin the mark of one
        self._held = ""  # the last ones of a paste that may begin the mark of its end

    def feed(self, data: str) -> Iterable[Message]:
        """Yield the events of what has come; nothing has at the end."""
        if not data:
            yield from super().feed("")
            return
        for part in _SEQUENCES.split(self._without_escapes(data)):
            # A sequence goes in by characters, so that those behind one that fails are read all the same.
            length = _LONGEST if part.startswith("\x1b") else 0
            for piece in (*part[:length], part[length:]):
                yield from self._read(piece)

    def _read(self, text: str) -> Iterable[Message]:
        try:
            for event in super().feed(text) if text else ():
                if isinstance(event, Paste):
                    yield Paste(event.text.replace(_ESCAPE, "\x1b"))
                else:
                    yield event
        except (ArithmeticError, ValueError):
            Parser.__init__(self)

    def parse_mouse_code(self, code: str) -> Message | None:
        """Return the event of a mouse, whose places are of cells where the window has no pixels."""
        self.mouse_pixels = self.mouse_pixels and bool(self.terminal_size and self.terminal_pixel_size)
        return super().parse_mouse_code(code)

    def _without_escapes(self, data: str) -> str:
        found, left = [], self._held + data
        self._held = ""
        while left:
            if self._is_pasting:
                inside, end, left = left.partition(_PASTE_ENDS)
                if not end:
                    inside, self._held = _split_before(inside, _PASTE_ENDS)
                found += [inside.replace("\x1b", _ESCAPE), end]
                self._is_pasting = not end
            else:
                known = len(self._before)
                outside, begin, left = (self._before + left).partition(_PASTE_BEGINS)
                found.append(_ANSWERS.sub("", (outside + begin)[known:]))
                self._before = "" if begin else outside[1 - len(_PASTE_BEGINS) :]
                self._is_pasting = bool(begin)
        return "".join(found)


_SEQUENCES = re.compile(r"(?=\x1b)")
_LONGEST = 64  # characters of a sequence that Textual may know
# Answers to questions about colours, names and the like (OSC, DCS, APC), and about the kind of terminal (DA).
_ANSWERS = re.compile(r"\x1b[]P_^][^\x1b\x07]{1,4096}(?:\x07|\x1b\\)|\x1b\[[?>=][\d;]*c")
_PASTE_BEGINS, _PASTE_ENDS = "\x1b[200~", "\x1b[201~"
_ESCAPE = "\ufdd0"  # stands for ESC in a paste while Textual reads it: no character, and never one


def _split_before(text: str, mark: str) -> tuple[str, str]:
    """Split a text before its end, where that may be the beginning of a mark."""
    length = next((n for n in range(len(mark) - 1, 0, -1) if text.endswith(mark[:n])), 0)
    return text[: len(text) - length], text[len(text) - length :]


def reading_anything(driver: type[Driver]) -> type[Driver]:
    """Return a driver that reads whatever a terminal sends, or says in the log why it could not.

    Why: a driver makes its parser and its decoder itself, and nothing public chooses others. A byte that is
    no UTF-8, as from a terminal in another encoding, would end its thread, and the program without a word.

    Uses: `XTermParser` and `getincrementaldecoder`, names in modules of drivers, `run_input_thread` of
    drivers (overridden), and `App._handle_exception`.

    Noticed by `test_a_paste_presses_no_keys` and `test_bytes_that_are_no_text_are_read` in
    `tests/tui/test_pastes.py`, and `test_a_driver_that_fails_says_so` in `tests/tui/test_textual_hacks.py`.
    """
    own = {"XTermParser": CarefulParser, "getincrementaldecoder": _forgiving_decoder}
    for base in driver.__mro__:
        names = vars(sys.modules[base.__module__])
        names.update({name: value for name, value in own.items() if name in names})
    read = getattr(driver, "run_input_thread", None)
    if read is None:  # a driver without a terminal
        return driver

    def run_input_thread(self: Any) -> None:
        try:
            read(self)
        except Exception as error:
            self._app.call_later(self._app._handle_exception, error)

    kept = {"run_input_thread": run_input_thread, "__module__": driver.__module__}
    return type(driver.__name__, (driver,), kept)


def _forgiving_decoder(encoding: str) -> Callable[[], codecs.IncrementalDecoder]:
    """Return what makes a decoder that puts � for each byte that is no text."""
    return partial(codecs.getincrementaldecoder(encoding), errors="replace")


class LoggingApp(App[None]):
    """An app that fails with one line, and an entry in the log, where Textual prints all local variables.

    Why: these hold prompts, and what the line says is what a user can act on.

    Uses: `App._fatal_error` (overridden), `App._exception` and `App._close_messages_no_wait`.

    Noticed by `test_a_screen_that_fails_says_so_in_a_line` in `tests/tui/test_crash.py`.

    Attributes:
        failure: the line, once it has failed.
    """

    failure: str | None = None

    def _fatal_error(self) -> None:
        from lenstui.support.crash_log import crash_line

        if self.failure is None and self._exception is not None:
            self.failure = f"lenstui: {crash_line(self._exception)}"
        self._close_messages_no_wait()


class PieceScreen(Screen[ScreenResultType]):
    """A screen that writes its updates itself, piece by piece, and writes none while another one covers it.

    Why: Textual sends the whole style of every segment, and a changed span from the left edge of its widget
    on; it also paints all of the upper screen for each change of the lower one. Nothing public changes that.

    Uses: `Screen._compositor` (set after `Screen.__init__`); `Compositor.render_full_update` and
    `render_partial_update`, which make a `LayoutUpdate` and a `ChopsUpdate`, and their `render_segments`;
    `Screen._compositor_refresh` (overridden), `Compositor._dirty_regions` and `Screen._dirty_widgets`.

    Noticed by `test_lean_screen.py`: `test_what_is_sent_adds_up_to_the_screen`,
    `test_a_cursor_step_over_two_grids_is_at_most_500_bytes` and
    `test_a_covered_screen_sends_nothing_and_comes_back_as_it_is_by_then`.
    """

    def __init__(self, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name, id, classes)
        self._compositor = _PieceCompositor(self.written)

    def written(self, pieces: Iterable[Piece], console: Console) -> str:
        """Return what the terminal receives for pieces of lines."""
        raise NotImplementedError

    def take_size(self) -> None:
        """Set the classes that belong to the terminal's size, before the screen has any widget.

        Why: Textual sets them at the first `Resize`, when everything has been styled without them, and styles
        everything again.

        Uses: `Screen._get_breakpoint_classes`.

        Noticed by `test_a_screen_has_the_classes_of_its_size_at_once` in `tests/tui/test_textual_hacks.py`.
        """
        width, height = self.app.size
        classes = [
            *self._get_breakpoint_classes(width, self.HORIZONTAL_BREAKPOINTS or []),
            *self._get_breakpoint_classes(height, self.VERTICAL_BREAKPOINTS or []),
        ]
        self.update_classes(dict.fromkeys(classes, True), update=False)

    def _compositor_refresh(self) -> None:
        top = self.app.screen
        if top is self or top.styles.background.a < 1:
            super()._compositor_refresh()
        else:  # this screen is painted as a whole when it comes back
            self._compositor._dirty_regions.clear()
            self._dirty_widgets.clear()


class _PieceCompositor(Compositor):
    """Textual's compositor, except that its updates are written piece by piece."""

    def __init__(self, write: Write) -> None:
        super().__init__()
        self._write = write

    def render_full_update(self, simplify: bool = False) -> LayoutUpdate:
        update = super().render_full_update(simplify)
        return _PieceLayout(update, self._write)

    def render_partial_update(self) -> ChopsUpdate | None:
        update = super().render_partial_update()
        return _PieceChops(update, self._write) if update else None


class _PieceLayout(LayoutUpdate):
    """An update of all of a region, written piece by piece."""

    def __init__(self, update: LayoutUpdate, write: Write) -> None:
        super().__init__(update.strips, update.region)
        self._write = write

    def render_segments(self, console: Console) -> str:
        return self._write(self._pieces(), console)

    def _pieces(self) -> Iterator[Piece]:
        for y, line in enumerate(self.strips, self.region.y):
            yield self.region.x, y, Strip.join(line)


class _PieceChops(ChopsUpdate):
    """An update of the spans that changed, written piece by piece."""

    def __init__(self, update: ChopsUpdate, write: Write) -> None:
        super().__init__(update.chops, update.spans, update.chop_ends)
        self._write = write

    def render_segments(self, console: Console) -> str:
        return self._write(self._pieces(), console)

    def _pieces(self) -> Iterator[Piece]:
        for y, start, stop in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if strip is not None and x < stop and end > start:
                    left = max(x, start)
                    yield left, y, strip.crop(left - x, min(end, stop) - x)
