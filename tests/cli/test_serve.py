"""`lenstui serve`: what a browser gets, and who gets nothing."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psutil
import pyte
import pytest

from lenstui.fitting.checkpoint import open_checkpoint
from lenstui.support.paths import session
from tests.programs import ROOT
from tests.programs.calls import run, status
from tests.programs.chromium import page

SIZE = {"width": "100", "height": "30"}


class Served:
    """A server, with the address that it printed, and the one at which it listens."""

    def __init__(self, process: asyncio.subprocess.Process, printed: str, port: int) -> None:
        self.process, self.printed, self.port = process, printed, port
        self.origin = f"http://127.0.0.1:{port}"
        self.address = f"{self.origin}/{printed.rstrip('/').rpartition('/')[2]}/"

    def programs(self) -> list[psutil.Process]:
        """What runs for browsers."""
        return psutil.Process(self.process.pid).children(recursive=True)


@asynccontextmanager
async def served(*words: object) -> AsyncIterator[Served]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lenstui", "serve", "--port", "0", *map(str, words)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
    )
    assert process.stderr is not None
    children: list[psutil.Process] = []
    try:
        line = (await asyncio.wait_for(process.stderr.readline(), 60)).decode()
        assert "lenstui is at http" in line, line
        (port,) = {
            one.laddr.port for one in psutil.Process(process.pid).net_connections() if one.status == "LISTEN"
        }
        yield Served(process, line.split(" at ")[1].split()[0], port)
    finally:
        if process.returncode is None:
            children = psutil.Process(process.pid).children(recursive=True)
            process.kill()
        await process.wait()
        for child in children:
            await ends(child)


async def ends(process: psutil.Process, patience: float = 30) -> None:
    """Wait until a process is gone."""
    for _ in range(round(patience / 0.05)):
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{process} goes on")


class Browser:
    """The end of a websocket at which a browser is, with the screen that it shows."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._screen = pyte.Screen(100, 30)
        self._stream = pyte.ByteStream(self._screen)
        self.listening: asyncio.Task[None]  # ends when the server closes

    async def listen(self) -> None:
        """Show what the server sends, until it closes."""
        async for message in self._socket:
            self._stream.feed(message.data)

    async def until(self, is_there: Callable[[str], object], patience: float = 60) -> str:
        """Wait until the screen shows something."""
        for _ in range(round(patience / 0.05)):
            if is_there(shown := "\n".join(self._screen.display)):
                return shown
            await asyncio.sleep(0.05)
        raise AssertionError(shown)

    async def type(self, text: str) -> None:
        await self._socket.send_str(json.dumps(["stdin", text]))


@asynccontextmanager
async def browser(server: Served, origin: str | None = None) -> AsyncIterator[Browser]:
    headers = {"Origin": origin or server.origin}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{server.address}ws", params=SIZE, headers=headers) as socket,
    ):
        shown = Browser(socket)
        shown.listening = asyncio.create_task(shown.listen())
        yield shown
        await socket.close()
        await shown.listening


async def refusal(address: str, **headers: str) -> tuple[int, str]:
    """The status and the words with which an address is refused."""
    async with aiohttp.ClientSession() as session, session.get(address, headers=headers) as answer:
        return answer.status, await answer.text()


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


async def test_one_browser_at_a_time_shows_the_screen_and_takes_keys(tiny_folder: Path) -> None:
    async with served("--model", tiny_folder, "the cat's $HOME; `id`") as server:
        async with browser(server) as first:
            screen = await first.until(lambda screen: "wiring ok" in screen and " tokens" in screen)
            assert "the cat's $HOME; `id`" in screen
            for address, headers in ((server.address, {}), (f"{server.address}ws", UPGRADE)):
                code, words = await refusal(address, Origin=server.origin, **headers)
                assert code == 409
                assert words.startswith("Another browser shows this lenstui.")
            await first.type("v")
            await first.until(lambda screen: "logit lens · entropy" in screen)
        async with browser(server) as second:  # the first has gone
            await second.until(lambda screen: "wiring ok" in screen)
            (program,) = server.programs()
            await second.type("q")
            await asyncio.wait_for(second.listening, 30)
        await ends(program)


async def test_what_is_no_page_of_lenstui_gets_no_screen(tiny_folder: Path) -> None:
    async with served("--model", tiny_folder) as server:
        assert (await refusal(f"{server.origin}/"))[0] == 404
        assert (await refusal(f"{server.origin}/ws"))[0] == 404
        assert (await refusal(f"{server.origin}/static/js/textual.js"))[0] == 404
        foreign = ["http://evil.example", "null", server.origin.replace("127.0.0.1", "localhost"), ""]
        for origin in foreign:
            code, words = await refusal(f"{server.address}ws", Origin=origin, **UPGRADE)
            assert (code, words.count("\n")) == (403, 1), origin
            assert "Another web page" in words
        assert (await refusal(f"{server.address}ws", **UPGRADE))[0] == 403
        assert server.programs() == []
        async with aiohttp.ClientSession() as session, session.get(server.address) as answer:
            assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert "http" not in re.sub("https:.*wss:", "", await answer.text())  # nothing from elsewhere


async def test_the_origin_is_that_of_the_public_address(tiny_folder: Path) -> None:
    async with served("--public-url", "https://gpu.example.org/lens/", "--model", tiny_folder) as server:
        assert server.printed.startswith("https://gpu.example.org/lens/")
        async with browser(server, "https://gpu.example.org") as shown:
            await shown.until(lambda screen: "lenstui" in screen)
        foreign = await refusal(f"{server.address}ws", Origin="https://example.org", **UPGRADE)
        assert foreign[0] == 403


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_the_program_ends_with_its_server(tiny_folder: Path, number: signal.Signals) -> None:
    async with served("--model", tiny_folder) as server, browser(server) as shown:
        await shown.until(lambda screen: "wiring ok" in screen)
        programs = server.programs()
        assert len(programs) == 1
        server.process.send_signal(number)
        await asyncio.wait_for(server.process.wait(), 30)
        await ends(programs[0])


async def test_a_closed_page_keeps_the_look_and_saves_the_fit(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    text = tmp_path / "stories.txt"
    text.write_text(
        "\n\n".join(f"Once upon a time there were {n} little foxes, far away." for n in range(24))
    )
    async with served("--model", tiny_folder) as server:
        async with browser(server) as shown:
            await shown.until(lambda screen: "wiring ok" in screen)
            await shown.type("v")
            await shown.until(lambda screen: "logit lens · entropy" in screen)
            await shown.type("t")
            await shown.until(lambda screen: "to fit on" in screen)
            await shown.type("\x1b[Z\x1b[C")  # standard: long enough
            await shown.until(lambda screen: "eight times" in screen)
            await shown.type("\t\r")
            await shown.until(lambda screen: "tokens/s" in screen)
            programs = server.programs()
        await ends(programs[0])
    (path,) = (tmp_path / "lenstui" / "lenses").iterdir()
    assert open_checkpoint(path).state["tokens"] > 0
    assert "entropy" in session().read_text()


def test_wrong_calls_are_one_line(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, why in (
        (("--port", "70000"), "no port"),
        (("--port", "x"), "no port"),
        (("--public-url", "gpu.example.org"), "no URL"),
        (("--public-url", "http://x:y"), "no URL"),
        (("--nonsense",), "unrecognized arguments"),
        (("-",), "standard input"),
        (("--demo", "--model", "x"), "not allowed"),
    ):
        assert status("serve", *words) == 2
        said = capsys.readouterr().err
        assert why in said, said
        assert said.count("\n") == 1


async def test_a_port_in_use_is_one_line(tiny_folder: Path) -> None:
    async with served("--model", tiny_folder) as server:
        ended = await asyncio.to_thread(run, "serve", "--port", str(server.port))
    assert ended.returncode == 1
    assert ended.stderr.decode().count("\n") == 1
    assert f"port {server.port}: Address already in use. Try another --port." in ended.stderr.decode()


def test_without_the_extra_the_command_to_install_it_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "textual_serve", None)
    monkeypatch.setitem(sys.modules, "textual_serve.server", None)
    monkeypatch.delitem(sys.modules, "lenstui.cli.web_server", raising=False)
    assert status("serve", "--demo") == 1
    assert (
        capsys.readouterr().err == "lenstui: lenstui serve needs textual-serve: pip install 'lenstui[web]'.\n"
    )


async def test_chromium_shows_it_and_asks_nobody_else(tmp_path: Path) -> None:
    async with page(tmp_path / "chromium") as shown, served("--demo") as server:
        await shown.open(server.address)
        await shown.until("document.body && document.body.classList.contains('-first-byte')")
        assert await shown.value("document.activeElement.className") == "xterm-helper-textarea"
        await asyncio.sleep(1)
        await shown.type("?")
        before = await shown.picture()
        await shown.type("q")
        for _ in range(100):
            if before != await shown.picture():
                break
            await asyncio.sleep(0.1)
        else:
            raise AssertionError("a key changes nothing")
        assert all(address.startswith((server.address, "data:")) for address in shown.asked_for)
