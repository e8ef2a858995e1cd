"""Where models are on this machine, and which names are refused before anything is asked."""

import subprocess
import sys
from pathlib import Path

import pytest

from lenstui.model import hub
from lenstui.support.errors import LensError
from tests.programs.fake_hub import COMMIT, CONFIG, INDEX, NAME, TWO_SHARDS, cached, index, own_cache

__all__ = ["own_cache"]


# Where the cache is


def test_the_cache_is_where_huggingface_hub_has_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ask = "from huggingface_hub import constants; print(constants.HF_HUB_CACHE)"
    for variables in (
        {},
        {"HF_HOME": "~/x"},
        {"XDG_CACHE_HOME": "/xdg"},
        {"HF_HOME": "/y", "HF_HUB_CACHE": "$HF_HOME/z"},
    ):
        for variable in ("HF_HOME", "XDG_CACHE_HOME", "HF_HUB_CACHE"):
            monkeypatch.delenv(variable, raising=False)
        for variable, value in variables.items():
            monkeypatch.setenv(variable, value)
        theirs = subprocess.run(
            [sys.executable, "-c", ask], capture_output=True, text=True, check=True
        ).stdout
        assert hub.hub_cache() == Path(theirs.strip())


# What is on this machine


def test_a_folder_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert hub.find_local(str(folder)) == folder
    assert hub.find_local("~/mine") == folder
    assert hub.resolve("~/mine") == folder


@pytest.mark.parametrize(
    "weights",
    [
        {"model.safetensors": b"w"},
        {**TWO_SHARDS, "a.safetensors": b"", "b.safetensors": b""},
        {"pytorch_model.bin": b"w"},
        {"pytorch_model.bin.index.json": index("a.bin"), "a.bin": b""},
    ],
)
def test_a_complete_snapshot_is_found_without_the_network(weights: dict[str, bytes]) -> None:
    snapshot = cached(CONFIG | weights)
    assert hub.find_local(NAME) == snapshot
    assert hub.resolve(NAME) == snapshot
    assert hub.find_local(NAME, COMMIT) == snapshot
    assert hub.find_local(NAME, "v1") is None


@pytest.mark.parametrize(
    "files",
    [
        {},
        CONFIG,
        {"model.safetensors": b"w"},
        CONFIG | TWO_SHARDS,
        CONFIG | TWO_SHARDS | {"a.safetensors": b""},
        CONFIG | {INDEX: b"no index"},
        CONFIG | {INDEX: b"[]"},
    ],
)
def test_half_a_snapshot_is_none(files: dict[str, bytes]) -> None:
    cached(files)
    assert hub.find_local(NAME) is None
    with pytest.raises(LensError, match="is only partly in the cache"):
        hub.resolve(NAME)


def test_a_link_to_a_missing_blob_is_a_missing_file() -> None:
    snapshot = cached({"config.json": b"{}", "model.safetensors": b"w"})
    (snapshot / "model.safetensors").resolve().unlink()
    assert hub.find_local(NAME) is None


# What is refused before anything is asked


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("", "No model is named"),
        ("/no/such/place", "No such folder: /no/such/place"),
        ("./place", "No such folder"),
        ("../place", "No such folder"),
        ("~/place", "No such folder"),
        ("~nobody-of-this-name/place", "No such folder"),
        ("runs/2024/model", "No such folder"),
        ("/" + "x" * 5000, "No such folder"),
        ("model-Q4.GGUF", "No such file: model-Q4.GGUF"),
        ("https://huggingface.co/gpt2", "give only OWNER/NAME"),
    ],
)
def test_names_that_are_refused_at_once(monkeypatch: pytest.MonkeyPatch, name: str, line: str) -> None:
    monkeypatch.setattr(hub, "reachable", lambda: pytest.fail("the network was asked"))
    with pytest.raises(LensError, match=line) as caught:
        hub.resolve(name)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(LensError, match=r"has no config\.json"):
        hub.resolve(str(tmp_path))


def test_a_folder_has_no_revision(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(LensError, match="leave --revision out"):
        hub.resolve(str(tmp_path), "v1")


def test_the_module_is_light() -> None:
    heavy = "'huggingface_hub', 'torch', 'textual'"
    code = f"import sys, lenstui.model.hub; print([m for m in ({heavy}) if m in sys.modules])"
    root = Path(hub.__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
