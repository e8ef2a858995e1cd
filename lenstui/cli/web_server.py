"""The web server of `lenstui serve`: textual-serve, which runs the program for a browser, behind guards."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

from lenstui.cli.stderr import say
from lenstui.support.printable import printable

TAKEN = (
    "Another browser shows this lenstui. Close its page and load this one anew, or start another "
    "lenstui serve with its own --port.\n"
)
FOREIGN = "Another web page asked for this: only the page of lenstui itself may.\n"
PATIENCE = 5.0  # seconds for a program to end whose page was loaded anew

_PAGE = Path(__file__).with_name("web_page.html")
_HEADERS = {
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' data: blob:; connect-src 'self' ws: wss:; "
    "frame-ancestors 'none'; form-action 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",  # the address is a secret
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class WebServer(Server):
    """A server of one browser at a time, at an address with a secret part.

    A websocket is opened only for the page that came from here: any other web page that the user looks at
    could ask for one, and would then type on this machine.
    """

    def __init__(self, command: str, token: str, public_url: str | None = None) -> None:
        """Prepare a server.

        Args:
            command: the shell command that runs the program for a browser.
            token: the secret part of the address.
            public_url: where browsers find the server, if not where it listens.
        """
        super().__init__(command, title="lenstui", public_url=public_url)
        self._token = token
        self._origin = None if public_url is None else "{0.scheme}://{0.netloc}".format(urlsplit(public_url))
        self._free = asyncio.Event()

    def run(self, listening: socket.socket) -> None:
        """Serve at a socket until SIGINT or SIGTERM; the program in the browser ends with the server."""
        log = logging.getLogger("textual-serve")
        log.propagate = False
        log.addHandler(_OneLine(logging.WARNING))
        # The page of a browser stays open until its program ends: it is not waited for, but told.
        web.run_app(self._application(), sock=listening, access_log=None, print=None, shutdown_timeout=0.1)

    async def _application(self) -> web.Application:
        self._free.set()
        app = web.Application()
        app.on_response_prepare.append(_add_headers)
        here = f"/{self._token}"
        app.add_routes(
            [
                web.get(f"{here}/", self._page),
                web.get(f"{here}/ws", self._socket),
                web.static(f"{here}/static", self.statics_path),
            ]
        )
        return app

    async def _page(self, request: web.Request) -> web.StreamResponse:
        """Return the page, which opens a websocket to here."""
        await self._wait_until_free()
        return web.FileResponse(_PAGE)

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        """Run the program for as long as the websocket of a page is open."""
        origin = request.headers.get("Origin", "")
        if origin.lower() not in {f"{request.scheme}://{request.host}".lower(), self._origin}:
            raise web.HTTPForbidden(text=FOREIGN)
        await self._wait_until_free()
        self._free.clear()
        try:
            return await self.handle_websocket(request)
        finally:
            self._free.set()

    async def _wait_until_free(self) -> None:
        """Wait until no browser is served.

        Raises:
            HTTPConflict: if one still is after a while.
        """
        try:
            await asyncio.wait_for(self._free.wait(), PATIENCE)
        except TimeoutError:
            raise web.HTTPConflict(text=TAKEN) from None


class _OneLine(logging.Handler):
    """Reports trouble of the server on stderr in a line, without the traceback or the values in it."""

    def emit(self, record: logging.LogRecord) -> None:
        say(printable(record.getMessage()))


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
