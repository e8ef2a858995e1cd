"""The jobs of an evaluation without a screen: which lenses are offered, one on another model, the command."""

from __future__ import annotations

import queue
import shlex
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from textual.message import Message

from lenstui.jobs.evaluation import GONE, EvaluationService
from lenstui.jobs.evaluation_messages import (
    EvaluationAsked,
    EvaluationEnd,
    EvaluationEnded,
    EvaluationGrown,
    LensesEvaluated,
)
from lenstui.jobs.thread import JobThread, Stop
from lenstui.lens import TunedLens, evaluate, load, open_lens, save_lens
from lenstui.lens.last_evaluation import last_evaluations
from lenstui.opening.opened import Opened
from lenstui.opening.sides import Side, Sides
from lenstui.support.request import Start
from lenstui.texts.block_size import BlockSize
from lenstui.texts.blocks import token_blocks
from lenstui.texts.documents import Documents, read_documents
from tests.programs.eval_calls import text
from tests.tiny.folders import neox_in

__all__ = ["text"]

BLOCK = 32


class Now:
    """A thread that does its jobs at once."""

    def submit(
        self,
        kind: str,
        work: Callable[[Callable[[], bool]], Any],
        *,
        priority: int = 0,
        answers: bool = False,
    ) -> None:
        for _ in work(lambda: False) or ():
            pass


@pytest.fixture
def two_models(
    tmp_path: Path, neox_folder: Path, byte_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> Sides:
    """The tiny model, and beside it one of its shape with other weights, each with a lens of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    torch.manual_seed(3)
    folder = neox_in(tmp_path / "other", byte_tokenizer, blocks=2, heads=2, context=96)
    save_lens(TunedLens(torch.randn(2, 32, 32) / 30, torch.randn(2, 32) / 30), tmp_path / "theirs.pt")
    first = Opened(load(str(neox_folder), device="cpu"), (open_lens(neox_folder.parent / "mine.pt"),))
    other = Opened(load(str(folder), device="cpu"), (open_lens(tmp_path / "theirs.pt"),))
    return Sides((Side(first, "tuned"), Side(other, "tuned")))


def service_of(sides: Sides) -> tuple[EvaluationService, list[Message]]:
    heard: list[Message] = []
    jobs: Any = SimpleNamespace(sides=sides)
    now: Any = Now()
    return EvaluationService(heard.append, now, now, jobs), heard


def test_a_lens_is_offered_for_every_model_of_its_shape(two_models: Sides) -> None:
    service, _ = service_of(two_models)
    first, other = service.offered
    assert [lens.title for lens in first.lenses] == [
        "logit lens",
        "tuned lens mine",
        "tuned lens theirs of other",
    ]
    assert [lens.title for lens in other.lenses] == [
        "logit lens",
        "tuned lens theirs",
        "tuned lens mine of tiny",
    ]
    assert [lens.number for lens in first.own] == [0, 0]
    assert first.lenses[2].remark == "It is a lens of other."


def test_a_lens_of_another_model_is_measured_and_the_command_does_the_same(
    two_models: Sides, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.programs.calls import status

    service, for_all = service_of(two_models)
    other = service.offered[1]
    asked = EvaluationAsked(other, other.lenses, Documents((text,)), BlockSize(200, BLOCK))
    heard: list[Message] = []
    service.evaluate(1, asked, Start(device="cpu", trust_remote_code=True), heard.append)

    assert isinstance(heard[-1], EvaluationEnded)
    assert (heard[-1].end, heard[-1].text) == (EvaluationEnd.DONE, "")
    assert [type(message) for message in for_all] == [LensesEvaluated]
    found = [message.found for message in heard if isinstance(message, EvaluationGrown)][-1]
    of = found.evaluated
    assert list(of.qualities) == ["logit", "tuned", "tuned:mine"]
    model, mine = two_models.sides[1].model, two_models.sides[0].opened.fitted[0]
    blocks = list(token_blocks(model.tokenizer, read_documents(Documents((text,))), BLOCK))[: 200 // BLOCK]
    assert of.qualities["tuned:mine"].kl == evaluate(model, blocks, [mine])["tuned"].kl
    assert {path.name: kept.model for path, kept in last_evaluations().items()} == {
        "mine.pt": model.name,
        "theirs.pt": model.name,
    }

    command = shlex.split(found.command("csv"))
    assert "--trust-remote-code" not in command  # which was for the first model alone
    assert [Path(word).name for word in command if word.endswith(".pt")] == ["theirs.pt", "mine.pt"]
    assert status(*command[1:]) == 0
    lines = [line.split(",") for line in capsys.readouterr().out.splitlines()]
    place = lines[0].index("kl")
    kl = [float(line[place]) for line in lines[1:] if line[0] == "tuned:mine"]
    assert kl == list(of.qualities["tuned:mine"].kl)


def test_one_that_is_stopped_before_it_begins_says_so(two_models: Sides, text: str) -> None:
    """The screen waited for that without end, and Esc left it no more."""
    thread, heard = JobThread(on_error=lambda error: None), queue.Queue[Message]()
    jobs: Any = SimpleNamespace(sides=two_models)
    service = EvaluationService(heard.put, thread, thread, jobs)
    offered, go = service.offered[0], threading.Event()
    asked = EvaluationAsked(offered, offered.own, Documents((text,)), BlockSize(200, BLOCK))

    def hold(stop: Stop) -> None:
        go.wait(60)

    thread.submit("load", hold)
    service.evaluate(1, asked, Start(), heard.put)
    service.stop()
    go.set()
    while not isinstance(message := heard.get(timeout=60), EvaluationEnded):
        continue
    assert message.end is EvaluationEnd.STOPPED


def test_a_lens_that_is_gone_and_one_without_a_file(two_models: Sides, text: str) -> None:
    from dataclasses import replace

    first, other = two_models.sides
    own = first.opened.fitted[0]
    assert isinstance(own, TunedLens)
    loose = replace(own, file=None)
    service, _ = service_of(Sides((Side(replace(first.opened, fitted=(loose,)), "tuned"), other)))
    model = service.offered[0]
    asked = EvaluationAsked(model, model.own, Documents((text,)), BlockSize(64, BLOCK))
    heard: list[Message] = []
    service.evaluate(1, asked, Start(), heard.append)
    found = [message.found for message in heard if isinstance(message, EvaluationGrown)][-1]
    assert (
        found.command()
        == "# No command makes the same: the tuned lens is in no file. o lists it, s saves it."
    )

    gone, _ = service_of(Sides((other,)))
    heard.clear()
    gone.evaluate(2, asked, Start(), heard.append)
    (ended,) = heard
    assert isinstance(ended, EvaluationEnded)
    assert (ended.end, ended.text) == (EvaluationEnd.FAILED, GONE)


def test_a_text_that_is_damaged_further_on_leaves_what_was_measured(
    two_models: Sides, text: str, tmp_path: Path
) -> None:
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe not UTF-8")
    service, _ = service_of(two_models)
    model = service.offered[0]
    documents = Documents((text, str(tmp_path / "bad.txt")))
    heard: list[Message] = []
    asked = EvaluationAsked(model, model.own[:1], documents, BlockSize(100_000, BLOCK))
    service.evaluate(1, asked, Start(), heard.append)
    ended = heard[-1]
    assert isinstance(ended, EvaluationEnded)
    assert ended.end is EvaluationEnd.FAILED
    assert "is not UTF-8 text" in ended.text
    found = [message.found for message in heard if isinstance(message, EvaluationGrown)][-1]
    assert found.evaluated.stopped
    assert found.evaluated.first.tokens > 10 * BLOCK
