"""`lenstui serve`: the screens of the full-screen program in a browser."""

from __future__ import annotations

import argparse
import os
import secrets
import shlex
import socket
import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from lenstui.cli.arguments import Parser, check_remote, parse
from lenstui.cli.screen import BROWSER_DRIVER, screen_parser
from lenstui.cli.stderr import say
from lenstui.support.errors import LensError
from lenstui.support.typed_number import whole_number

MISSING = "lenstui serve needs textual-serve: pip install 'lenstui[web]'."

_EPILOG = """\
All other arguments are those of lenstui itself: lenstui serve --demo "Once upon a time".

Whoever knows the address can do on this machine what the program can do, so that it has
a secret part, new at each start, and only this machine is served unless --host says
otherwise. Over SSH, forward the port: ssh -L 8000:127.0.0.1:8000 MACHINE. One browser at
a time is served; the program ends when its page is closed, and a fit under way is saved."""


def run(words: Sequence[str]) -> int:
    """Parse the arguments of `lenstui serve` and serve until Ctrl+C."""
    parser = Parser(
        "lenstui serve",
        "Show the full-screen program in a browser.",
        usage="lenstui serve [--host HOST] [--port PORT] [--public-url URL] [arguments of lenstui]",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen at (default: 127.0.0.1, this machine alone)",
    )
    parser.add_argument(
        "--port", metavar="PORT", type=_port, default=8000, help="default: 8000; 0 takes a free one"
    )
    parser.add_argument(
        "--public-url",
        metavar="URL",
        type=_public_url,
        help="where browsers find the server, if a proxy stands before it: https://gpu.example.org/lens",
    )
    given, rest = parser.parse_known_args(words)
    screen = screen_parser()
    asked = parse(screen, rest)
    check_remote(screen, asked)
    if "-" in (asked.word, asked.prompt):
        parser.error("the prompt cannot come from standard input: the screen is in the browser")
    _serve(given, rest)
    return 0


def _serve(given: argparse.Namespace, words: Sequence[str]) -> None:
    """Serve the screen that the words ask for, until Ctrl+C.

    Raises:
        LensError: if textual-serve is not installed, or nothing can listen at the address.
    """
    try:
        from lenstui.cli.web_server import WebServer
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in {"textual_serve", "aiohttp"}:
            raise LensError(MISSING) from None
        raise
    listening = _listen(given.host, given.port)
    prompt_first = ["-p"] if words and not words[0].startswith("-") else []  # else `read` would be a command
    program = [sys.executable, "-m", "lenstui", *prompt_first, *words]
    command = f"exec env TEXTUAL_DRIVER={BROWSER_DRIVER} {shlex.join(program)}"
    token = secrets.token_urlsafe(16)
    server = WebServer(command, token, given.public_url)
    here = _address(given.host, listening.getsockname()[1])
    say(f"lenstui is at {given.public_url or here}/{token}/ (Ctrl+C ends it).")
    server.run(listening)


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address.

    Raises:
        LensError: if the port is in use, or the address is not one of this machine.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except socket.gaierror:
        raise LensError(f"{host} is no address of this machine.") from None
    except OSError as error:
        trouble = os.strerror(error.errno or 0)
        raise LensError(
            f"Nothing can listen at {host}, port {port}: {trouble}. Try another --port."
        ) from None


def _address(host: str, port: int) -> str:
    """Return the URL of a server that listens at a host, as a browser on this machine finds it."""
    reached = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def _port(text: str) -> int:
    number = whole_number(text)
    if number is None or number > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to 65535")
    return number


def _public_url(text: str) -> str:
    """Return an absolute URL without a slash at its end."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises where it is no number
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise argparse.ArgumentTypeError(f"{text!r} is no URL of a server: https://gpu.example.org is one")
    return text.rstrip("/")
