"""Files that claim to be more than they are: each is refused in a line, before time or memory is taken."""

from __future__ import annotations

import json
import os
import resource
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from lenstui.lens import LensError, TunedLens, load, open_lens, save_lens
from lenstui.lens.formats.tensor_file import load_tensors
from lenstui.support import paths, settings
from lenstui.support.errors import LONGEST_MESSAGE
from lenstui.support.small_file import LIMIT, read_json, read_small
from lenstui.support.state_file import read_state

D, ROWS = 8, 2


@pytest.fixture(autouse=True)
def little_is_taken() -> Iterator[None]:
    """Each of these takes less than half a gigabyte; one that took time without end would not be over."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB


def refusal(read: Callable[[], object]) -> str:
    with pytest.raises(LensError) as refused:
        read()
    line = str(refused.value)
    assert line.isprintable()
    assert len(line) <= LONGEST_MESSAGE
    return line


def in_itself() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


def laughs() -> list[Any]:
    """A list with the same list in it ten times, and so on: 10 ** 20 in all."""
    inner: list[Any] = ["ha"]
    for _ in range(20):
        inner = [inner] * 10
    return inner


def deep() -> list[Any]:
    inner: list[Any] = []
    for _ in range(200):
        inner = [inner]
    return inner


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (lambda: torch.zeros(1).expand(2**40), "its tensors claim 4,398 GB and more"),
        (lambda: [torch.zeros(1000).expand(2**20, 1000)] * 3, "its tensors claim"),
        (lambda: torch.zeros(2, 2, device="meta"), "without plain numbers"),
        (lambda: torch.eye(3).to_sparse(), "without plain numbers"),
        (in_itself, "nested too deep, or too many"),
        (laughs, "nested too deep, or too many"),
        (deep, "nested too deep, or too many"),
    ],
    ids=["stride 0", "shared", "meta", "sparse", "in itself", "laughs", "deep"],
)
@pytest.mark.parametrize("place", ["state_dict", "fit", "remarks"])
def test_values_of_a_lens_file(tmp_path: Path, value: Callable[[], Any], why: str, place: str) -> None:
    file = tmp_path / "lens.pt"
    save_lens(TunedLens(torch.zeros(ROWS, D, D), torch.zeros(ROWS, D)), file)
    content = torch.load(file, weights_only=True)
    torch.save({**content, place: {"0.weight": value()}}, file)
    assert why in refusal(lambda: open_lens(file))
    assert why in refusal(lambda: load_tensors(file, "checkpoint"))


def test_many_names_for_one_tensor_are_as_much_as_they_claim(tmp_path: Path) -> None:
    file = tmp_path / "lens.pt"
    torch.save({f"{row}.weight": torch.zeros(1024, 1024) for row in range(2)}, file)
    same = torch.zeros(1024, 1024)
    load_tensors(file)
    torch.save({f"{row}.weight": same for row in range(1000)}, file)
    assert "its tensors claim" in refusal(lambda: load_tensors(file))


def bomb(file: Path, name: str, size: int) -> None:
    """An archive of zeros."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as member:
        for _ in range(size >> 20):
            member.write(bytes(1 << 20))


@pytest.mark.parametrize("name", ["lens.npz", "lens.pt"])
def test_archives_that_unpack_to_much_more(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    bomb(file, "translators_0_weight.npy" if name.endswith("npz") else "lens/data.pkl", 400 << 20)
    assert file.stat().st_size < 1 << 20
    assert "it would unpack to 0.4 GB" in refusal(lambda: open_lens(file))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (
            {"num_hidden_layers": 10**9},
            "1,000,000,000 blocks of width 16 are more than 0 MB of weights can hold",
        ),
        ({"vocab_size": 10**12}, "tokens of width 16 are more"),
        ({"intermediate_size": 10**10}, "columns of an MLP of width 16 are more"),
        ({"hidden_size": 10**10}, "are more than"),
        ({"num_hidden_layers": "many"}, "num_hidden_layers is no whole number from 1 on"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is no whole number from 1 on"),
        ({"num_hidden_layers": True}, "num_hidden_layers is no whole number from 1 on"),
        ({"vocab_size": 2.5}, "vocab_size is no whole number from 1 on"),
    ],
)
def test_configurations_of_more_than_there_is(
    tiny_folder: Path, tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    config = json.loads((folder / "config.json").read_text())
    assert config["hidden_size"] == 16
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    assert why in refusal(lambda: load(str(folder)))


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"model_type": ' * 5000, "9" * 10_000, '{"model_type": "\\ud800"}']
)
def test_configurations_that_are_none(tiny_folder: Path, tmp_path: Path, text: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    (folder / "config.json").write_text(text)
    refusal(lambda: load(str(folder)))


def test_what_is_read_whole_is_regular_and_small(tmp_path: Path) -> None:
    zero, pipe, large, deep = (tmp_path / name for name in ("zero", "pipe", "large", "deep"))
    zero.symlink_to("/dev/zero")
    os.mkfifo(pipe)
    with large.open("wb") as file:
        file.truncate(LIMIT + 1)
    deep.write_text("[" * 100_000 + "]" * 100_000)
    for path in (zero, pipe):
        with pytest.raises(OSError, match="it is no regular file"):
            read_small(path)
    for path, regular in ((large, True), (zero, False)):
        with pytest.raises(OSError, match="it has more than 32 MB"):
            read_small(path, regular=regular)
    with pytest.raises(ValueError, match="nested too deep"):
        read_json(deep)
    for path in (zero, pipe, large, deep):
        found, trouble = read_state(path, 1)
        assert found == {}
        assert trouble is not None


def test_settings_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    paths.settings().parent.mkdir(parents=True)
    paths.settings().symlink_to("/dev/zero")
    assert "it cannot be read (it is no regular file)" in str(settings.load().trouble)
