"""`lenstui [PROMPT]`: the full-screen program."""

from __future__ import annotations

import codecs
import gc
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from types import FrameType
from typing import NoReturn

from lenstui.cli.arguments import (
    Parser,
    add_prompt_and_model,
    add_remote,
    check_remote,
    heeded,
    parse,
    positive,
    start,
)
from lenstui.cli.colour_depth import set_depth
from lenstui.support.settings import DEPTHS, THEMES, load
from lenstui.support.version import __version__

_DESCRIPTION = """\
Watch a language model make up its mind, layer by layer: logit lens and tuned
lens side by side.

  lenstui [PROMPT]           the full-screen program
  lenstui read PROMPT        one readout as a table or a file
  lenstui train              fit a tuned lens to a model
  lenstui eval --data FILE…  how well a lens predicts on a text
  lenstui scan FOLDER        where in a text a model knew and lost the answer
  lenstui lenses [--hub]     the lenses here, and those on the hub
  lenstui convert IN OUT     a lens from or for another program
  lenstui serve              the full-screen program in a browser
  lenstui paths              where lenstui keeps its files

Each has its own --help. Where standard output is no terminal, `lenstui PROMPT`
prints the table of `lenstui read PROMPT`."""

BROWSER_DRIVER = "lenstui.tui.browser_driver:BrowserDriver"  # TEXTUAL_DRIVER of a program in a browser


def screen_parser() -> Parser:
    """Return the parser of the words that open the screen."""
    parser = Parser("lenstui", _DESCRIPTION, usage="lenstui [PROMPT] [options]")
    parser.add_argument("--version", action="version", version=f"lenstui {__version__}")
    add_prompt_and_model(parser)
    add_remote(parser)
    parser.add_argument(
        "--top-k",
        metavar="K",
        type=positive,
        help="tokens of a cell at first (default: as many as fill the screen)",
    )
    screen = parser.add_argument_group("screen")
    screen.add_argument("--theme", choices=THEMES, help=f"its colours (default: {THEMES[0]})")
    screen.add_argument(
        "--colour", choices=DEPTHS, help="how many of them (default: auto, as many as the terminal shows)"
    )
    screen.add_argument("--no-restore", action="store_true", help="do not go on where the last session ended")
    return parser


def run(words: Sequence[str]) -> int:
    """Open the screen, in a terminal or for a browser; where there is neither, print the readout."""
    parser = screen_parser()
    given = parse(parser, words)
    check_remote(parser, given)
    in_browser = os.environ.get("TEXTUAL_DRIVER") == BROWSER_DRIVER
    has_screen = in_browser or sys.stdout.isatty()
    settings = load() if has_screen else heeded()
    asked = start(parser, given, given.top_k or settings.top_k or 1, settings)
    if not has_screen:
        if asked.typed is None:
            parser.error("give a PROMPT or --turns: standard output is no terminal, so there is no screen")
        screens = {"--theme": given.theme, "--colour": given.colour, "--no-restore": given.no_restore}
        for option, asks in screens.items():
            if asks:
                parser.error(f"{option} is for the screen: standard output is no terminal, so there is none")
        from lenstui.cli.readout import show
        from lenstui.export.shape import Shape
        from lenstui.readout.reading import Reading

        return show(asked, Shape(reading=Reading(bos=asked.bos, chat=asked.chat or asked.turns is not None)))
    if not in_browser:
        _check_encoding(parser)
        _check_variables(parser)
        _take_keyboard(parser)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, _leave)  # until the screen is there, which leaves in its own way
    typed = set_depth(given.colour or settings.colour)  # before Textual is imported
    gc.disable()  # until the first paint: nothing is garbage yet, and collecting takes a tenth of the time
    from lenstui.tui.app import run as run_app

    asked = replace(asked, instant=settings.instant_lens)
    restores = not given.no_restore
    return run_app(asked, settings, theme=given.theme, depth=given.top_k, restores=restores, typed=typed)


def _take_keyboard(parser: Parser) -> None:
    """Read keys from the terminal itself where standard input is none, or has brought the prompt."""
    if sys.stdin.isatty():
        return
    try:
        os.dup2(os.open("/dev/tty", os.O_RDWR), sys.stdin.fileno())
    except OSError:
        parser.error("the screen needs a keyboard, and standard input is no terminal")


def _check_encoding(parser: Parser) -> None:
    """Refuse an encoding that cannot write frames and most scripts: they would be escape codes on screen."""
    encoding = sys.stdout.encoding
    if codecs.lookup(encoding).name != "utf-8":
        parser.error(f"the screen needs UTF-8, and the locale here has {encoding}: set LC_ALL=C.UTF-8")


def _check_variables(parser: Parser) -> None:
    """Refuse what the environment says to Textual, where that is nothing that it can do."""
    system = os.environ.get("TEXTUAL_COLOR_SYSTEM", "auto")
    if system not in (systems := ("auto", "standard", "256", "truecolor", "windows")):
        parser.error(f"TEXTUAL_COLOR_SYSTEM is {system!r}, and none of {', '.join(systems)}: unset it")
    if driver := os.environ.get("TEXTUAL_DRIVER"):
        parser.error(f"TEXTUAL_DRIVER is {driver!r}, which does not draw on a terminal: unset it")


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """End the process: nothing is drawn or written yet, and an import that is cut short fails in any way."""
    os._exit(128 + number)
