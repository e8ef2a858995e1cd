"""For the screen's tests: a tiny model with a lens on disk, and an app that has opened it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
from textual.pilot import Pilot

from lenstui.jobs.thread import JobThread, Stop
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore import model_view
from tests.tiny.folders import neox_in
from tests.tui.pilots.looking import Over, subtitle, until


@pytest.fixture(scope="session", autouse=True)
def mortal_threads() -> Iterator[None]:
    """Model threads can end before the program does."""
    run = JobThread._run

    def run_until_over(thread: JobThread) -> None:
        with suppress(Over):
            run(thread)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JobThread, "_run", run_until_over)
        yield


@pytest.fixture(autouse=True)
def forget_app(mortal_threads: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An app goes with its test: its threads end, and Explore has the collector pass over nothing."""
    threads: list[JobThread] = []
    prepare = JobThread.__init__

    def prepare_and_note(thread: JobThread, on_error: Callable[[BaseException], None]) -> None:
        prepare(thread, on_error)
        threads.append(thread)

    def end(stop: Stop) -> NoReturn:
        raise Over

    monkeypatch.setattr(JobThread, "__init__", prepare_and_note)
    monkeypatch.setattr(model_view, "gc", SimpleNamespace(freeze=lambda: None))
    yield
    for thread in threads:
        if thread._thread.is_alive():
            thread.submit("end", end, priority=-1)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> Path:
    """The folder of a random GPT-NeoX: 3 blocks, one token per byte, 64 columns; its lens is `lens.pt`."""
    import torch

    from lenstui.lens import TunedLens, save_lens

    folder = neox_in(tmp_path_factory.mktemp("models") / "tiny", byte_tokenizer, vocabulary=300)
    lens = TunedLens(0.1 * torch.randn(3, 32, 32), torch.zeros(3, 32), fit={"held_out_kl": [3.0, 2.0, 1.0]})
    save_lens(lens, folder / "lens.pt")
    return folder


@pytest.fixture(scope="session")
def chat_model(tiny_model: Path, chat_tokenizer: Any) -> Path:
    """The same model with a chat template."""
    folder = tiny_model.with_name("chatty")
    shutil.copytree(tiny_model, folder)
    chat_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def opened(tiny_model: Path) -> Callable[..., Any]:
    """Open the program on the tiny model and wait until its prompt is read."""

    @asynccontextmanager
    async def open_app(
        prompt: str = "Hello, you",
        *,
        size: tuple[int, int] = (120, 40),
        lens: bool = True,
        folder: Path = tiny_model,
        depth: int | None = 1,
        **options: Any,
    ) -> AsyncIterator[tuple[LenstuiApp, Pilot[None]]]:
        start = Start(
            prompt=prompt, model=str(folder), lenses=(folder / "lens.pt",) if lens else (), **options
        )
        app = LenstuiApp(start, depth=None if start.top_k > 1 else depth)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: subtitle(app).endswith(" s") or "empty" in subtitle(app))
            yield app, pilot

    return open_app
