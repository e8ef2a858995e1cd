"""The model thread: order, stopping, and what happens to an exception."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Iterator
from weakref import ref

import pytest

from lenstui.jobs.thread import JobThread, Stop

LIMIT = 10


def test_a_new_job_stops_the_older_one_of_its_kind() -> None:
    thread = JobThread(on_error=lambda error: None)
    running, ended, second = threading.Event(), threading.Event(), threading.Event()

    def read_until_stopped(stop: Stop) -> None:
        running.set()
        while not stop():
            pass
        ended.set()

    thread.submit("read", read_until_stopped)
    assert running.wait(LIMIT)
    thread.submit("read", lambda stop: second.set())
    assert ended.wait(LIMIT)
    assert second.wait(LIMIT)


@pytest.mark.parametrize("fails", [False, True])
def test_a_job_that_is_over_is_kept_no_longer(fails: bool) -> None:
    thread = JobThread(on_error=lambda error: None)
    over = threading.Event()

    class Screen:
        def show(self, stop: Stop) -> None:
            if fails:
                raise ValueError

    screen = Screen()
    there = ref(screen)
    thread.submit("read", screen.show)
    thread.submit("last", lambda stop: over.set(), priority=1)
    del screen
    assert over.wait(LIMIT)
    gc.collect()
    assert there() is None


def test_a_waiting_job_that_was_replaced_never_runs() -> None:
    thread = JobThread(on_error=lambda error: None)
    started, go, done = threading.Event(), threading.Event(), threading.Event()
    ran: list[int] = []

    def hold(stop: Stop) -> None:
        started.set()
        go.wait(LIMIT)

    thread.submit("load", hold)
    assert started.wait(LIMIT)
    thread.submit("read", lambda stop: ran.append(1))
    thread.submit("read", lambda stop: ran.append(2))
    thread.submit("last", lambda stop: done.set(), priority=1)
    go.set()
    assert done.wait(LIMIT)
    assert ran == [2]


def test_the_lower_priority_number_goes_first() -> None:
    thread = JobThread(on_error=lambda error: None)
    started, go, done = threading.Event(), threading.Event(), threading.Event()
    ran: list[str] = []

    def hold(stop: Stop) -> None:
        started.set()
        go.wait(LIMIT)

    def fit(stop: Stop) -> None:
        ran.append("fit")
        done.set()

    thread.submit("load", hold)
    assert started.wait(LIMIT)
    thread.submit("fit", fit, priority=1)
    thread.submit("read", lambda stop: ran.append("read"))
    go.set()
    assert done.wait(LIMIT)
    assert ran == ["read", "fit"]


def test_an_exception_is_told_and_the_thread_goes_on() -> None:
    told: list[BaseException] = []
    thread = JobThread(told.append)
    done = threading.Event()

    def fail(stop: Stop) -> None:
        raise ValueError("as planned")

    thread.submit("read", fail)
    thread.submit("other", lambda stop: done.set())
    assert done.wait(LIMIT)
    assert [str(error) for error in told] == ["as planned"]


def test_a_panic_of_a_library_does_not_end_the_thread() -> None:
    from tokenizers import Tokenizer

    told, done = list[BaseException](), threading.Event()
    thread = JobThread(on_error=told.append)
    # It begins with a special token that it does not have, and panics when it is used.
    none = {"SpecialToken": {"id": "<none>", "type_id": 0}}
    single = [none, {"Sequence": {"id": "A", "type_id": 0}}]
    whole = {
        "version": "1.0",
        "added_tokens": [],
        "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"},
        "post_processor": {
            "type": "TemplateProcessing", "single": single, "pair": single[1:], "special_tokens": {}
        },
    }  # fmt: skip
    tokenizer = Tokenizer.from_str(json.dumps(whole))

    def tokenize(stop: Stop) -> None:
        tokenizer.encode("a")

    thread.submit("tokenize", tokenize)
    thread.submit("next", lambda stop: done.set())
    assert done.wait(LIMIT)
    assert [isinstance(error, Exception) for error in told] == [False]
    assert "no entry found" in str(told[0])


def test_a_job_in_steps_hands_over_to_one_that_comes_first() -> None:
    thread = JobThread(on_error=lambda error: None)
    done: list[str] = []
    begun, asked, ended = threading.Event(), threading.Event(), threading.Event()

    def fit(stop: Stop) -> Iterator[None]:
        for step in range(4):
            done.append(f"step {step}")
            begun.set()
            assert asked.wait(LIMIT)
            yield
        ended.set()

    thread.submit("fit", fit, priority=1)
    assert begun.wait(LIMIT)
    thread.submit("read", lambda stop: done.append("read"))
    asked.set()
    assert ended.wait(LIMIT)
    assert done == ["step 0", "read", "step 1", "step 2", "step 3"]


def test_a_job_in_steps_that_is_stopped_can_tidy_up() -> None:
    thread = JobThread(on_error=lambda error: None)
    begun, tidy, second = threading.Event(), threading.Event(), threading.Event()

    def fit(stop: Stop) -> Iterator[None]:
        while not stop():
            begun.set()
            yield
        tidy.set()

    thread.submit("fit", fit, priority=1)
    assert begun.wait(LIMIT)
    thread.submit("fit", lambda stop: second.set(), priority=1)
    assert tidy.wait(LIMIT)
    assert second.wait(LIMIT)


def test_a_job_in_steps_that_fails_ends_and_is_reported() -> None:
    errors: list[BaseException] = []
    thread = JobThread(on_error=errors.append)
    after = threading.Event()

    def fit(stop: Stop) -> Iterator[None]:
        yield
        raise ValueError("no")

    thread.submit("fit", fit)
    thread.submit("read", lambda stop: after.set(), priority=1)
    assert after.wait(LIMIT)
    assert [str(error) for error in errors] == ["no"]


def test_jobs_of_one_priority_take_turns() -> None:
    thread = JobThread(on_error=lambda error: None)
    started, go, done = threading.Event(), threading.Event(), threading.Event()
    ran: list[str] = []

    def hold(stop: Stop) -> None:
        started.set()
        go.wait(LIMIT)

    def steps(name: str) -> Iterator[None]:
        for _ in range(3):
            ran.append(name)
            yield

    thread.submit("load", hold)
    assert started.wait(LIMIT)
    thread.submit("fit", lambda stop: steps("fit"), priority=1)
    thread.submit("set", lambda stop: steps("set"), priority=1)
    thread.submit("last", lambda stop: done.set(), priority=2)
    go.set()
    assert done.wait(LIMIT)
    assert ran == ["fit", "set"] * 3


def test_it_hands_memory_back_once_it_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lenstui.jobs.thread._REST", 0.05)
    handed = threading.Event()
    order: list[str] = []

    def hand_back() -> None:
        order.append("handed back")
        handed.set()

    monkeypatch.setattr("lenstui.jobs.thread.hand_back", hand_back)
    thread = JobThread(on_error=lambda error: None)
    for _ in range(2):
        handed.clear()
        thread.submit(None, lambda stop: order.append("job"))
        assert handed.wait(LIMIT)
    handed.clear()
    assert not handed.wait(0.2)  # once, however long it rests
    assert order == ["job", "handed back"] * 2
