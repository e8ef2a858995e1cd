"""Whether the hub answers is known in time."""

import socket
import threading
import time

import pytest

from lenstui.model import hub
from lenstui.support.errors import LensError
from tests.programs.fake_hub import NAME, FakeHub, Handler, fake, own_cache

__all__ = ["fake", "own_cache"]


def test_a_hub_that_answers_is_reachable(fake: FakeHub) -> None:
    assert hub.reachable()


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://127.0.0.1:99999", "nonsense"])
def test_a_closed_door_is_known_at_once(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    start = time.monotonic()
    assert not hub.reachable()
    assert time.monotonic() - start < 1


def test_a_hub_that_never_answers_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        with pytest.raises(LensError, match=r"127\.0\.0\.1:\d+ cannot be reached: check the network"):
            hub.resolve(NAME)
        assert 1.5 < time.monotonic() - start < 2.5


def test_a_name_server_that_hangs_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    end = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        end.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.example")
    start = time.monotonic()
    assert not hub.reachable(timeout=0.3)
    assert 0.2 < time.monotonic() - start < 1
    end.set()


def test_a_hub_that_is_down_does_not_count_as_reachable(
    fake: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "answer", lambda handler: handler.refuse(503, ""))
    assert not hub.reachable()


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_variables_forbid_the_network(
    fake: FakeHub, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    monkeypatch.setattr(hub, "_answers", lambda *_: pytest.fail("the network was asked"))
    assert not hub.reachable()
    with pytest.raises(LensError) as caught:
        hub.resolve(NAME)
    assert str(caught.value) == (
        f"{NAME} is not in the cache ({hub.hub_cache()}) and {variable} is set: unset it, "
        "or give a folder, or --demo."
    )
    monkeypatch.setenv(variable, "0")
    assert hub.offline_variable() is None
