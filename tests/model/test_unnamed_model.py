"""The model of someone who named none: from the cache, from the hub, or the bundled one."""

import pytest

from lenstui.model import hub
from lenstui.model.hub_process import DownloadStopped
from lenstui.model.name import BUNDLED_MODEL
from lenstui.support import paths
from tests.programs.fake_hub import NAME, FakeHub, cached, fake, own_cache

__all__ = ["fake", "own_cache"]


def test_the_default_model_comes_from_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = cached({"config.json": b"{}", "model.safetensors": b"w"})
    monkeypatch.setattr(hub, "reachable", lambda: pytest.fail("the network was asked"))
    assert hub.choose_default() == hub.Choice(NAME, snapshot, None)


def test_the_default_model_comes_from_the_hub(fake: FakeHub) -> None:
    choice = hub.choose_default()
    assert (choice.name, choice.reason) == (NAME, None)
    assert choice.path == hub.find_local(NAME)


def test_the_bundled_model_when_nobody_answers() -> None:
    choice = hub.choose_default()
    assert (choice.name, choice.path) == (BUNDLED_MODEL, paths.bundled_model())
    assert (
        choice.reason
        == f"This is the bundled model: {NAME} is not in the cache and 127.0.0.1:9 did not answer"
    )


def test_the_bundled_model_when_the_network_is_forbidden(
    fake: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub.choose_default().reason == (
        f"This is the bundled model: {NAME} is not in the cache and HF_HUB_OFFLINE is set"
    )


def test_the_bundled_model_when_the_download_fails(fake: FakeHub) -> None:
    fake.gated = True
    reason = hub.choose_default().reason
    assert reason is not None
    assert reason.startswith(f"This is the bundled model: {NAME} could not be downloaded (")


def test_a_stop_is_no_reason_for_the_bundled_model(fake: FakeHub) -> None:
    fake.hold = True
    with pytest.raises(DownloadStopped):
        hub.choose_default(should_stop=lambda: True)
