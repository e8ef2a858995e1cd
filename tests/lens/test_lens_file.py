"""Lens files: what goes in comes out, nothing else gets in, and half a file is never left behind."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenstui.lens import LensError, TunedLens, open_lens, save_lens
from lenstui.lens.tuned import untrained_lens
from tests.programs.permissions import unreadable

BLOCKS, D = 3, 5
CONFIG = {
    "base_model_name_or_path": "somebody/some-model",
    "base_model_revision": None,
    "d_model": D,
    "num_hidden_layers": BLOCKS,
    "bias": True,
    "unembed_sample": [0.1, -2.5e-8, 3e30],
}
FIT = {
    "steps": 60,
    "method": "closed form",
    "held_out_kl": [1.5, 0.25, float("inf")],
    "versions": {"torch": "2"},
}


@pytest.fixture
def lens() -> TunedLens:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(BLOCKS, D, D, generator=generator)
    weight[0, 0, :4] = torch.tensor([float("nan"), float("inf"), -0.0, 1e-45])
    return TunedLens(weight, torch.randn(BLOCKS, D, generator=generator), CONFIG, FIT, "quick-1")


@pytest.fixture
def content() -> dict[str, Any]:
    """What is in a good file, written by hand."""
    state = {f"{row}.weight": torch.full((D, D), float(row)) for row in range(BLOCKS)}
    state |= {f"{row}.bias": torch.full((D,), 0.5 + row) for row in range(BLOCKS)}
    return {"format": "lenstui.tuned_lens", "version": 1, "config": CONFIG, "fit": FIT, "state_dict": state}


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.numpy().tobytes()


def refuses(path: Path) -> str:
    """The one line with which `path` is refused."""
    with pytest.raises(LensError) as caught:
        open_lens(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


# There and back


def test_a_saved_lens_comes_back_bit_for_bit(lens: TunedLens, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder" / "my lens.pt"
    save_lens(lens, path)
    back = open_lens(path)
    assert (bits(back.weight), bits(back.bias)) == (bits(lens.weight), bits(lens.bias))
    assert back.weight.dtype == back.bias.dtype == torch.float32
    assert (back.config, back.fit, back.name) == (CONFIG, FIT, "my lens")


def test_the_file_is_as_the_format_says(lens: TunedLens, content: dict[str, Any], tmp_path: Path) -> None:
    save_lens(lens, tmp_path / "a.pt")
    written = torch.load(tmp_path / "a.pt", weights_only=True)
    assert list(written) == list(content)
    assert {k: v for k, v in written.items() if k != "state_dict"} == {
        k: v for k, v in content.items() if k != "state_dict"
    }
    assert sorted(written["state_dict"]) == sorted(content["state_dict"])
    assert bits(written["state_dict"]["2.weight"]) == bits(lens.weight[2])


def test_a_file_made_by_hand_is_read(content: dict[str, Any], tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pt")
    lens = open_lens(tmp_path / "a.pt")
    h = torch.randn(4, D)
    for row in range(BLOCKS):
        wanted = h + row * h.sum(-1, keepdim=True) + 0.5 + row
        torch.testing.assert_close(lens.transport(h, row), wanted)


def test_a_file_holds_its_own_rows_alone(lens: TunedLens, tmp_path: Path) -> None:
    """A slice of a large tensor would drag all of it into the file."""
    save_lens(lens, tmp_path / "a.pt")
    big = TunedLens(torch.zeros(100, D, D)[:BLOCKS], torch.zeros(100, D)[:BLOCKS], CONFIG, FIT)
    save_lens(big, tmp_path / "b.pt")
    assert (tmp_path / "b.pt").stat().st_size <= (tmp_path / "a.pt").stat().st_size


def test_other_dtypes_are_saved_as_float32(tmp_path: Path) -> None:
    half = TunedLens(torch.ones(2, D, D).bfloat16(), torch.ones(2, D).double())
    save_lens(half, tmp_path / "a.pt")
    assert open_lens(tmp_path / "a.pt").weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (torch.__version__, str(torch.__version__)),
        (np.float64(1.5), 1.5),
        (np.float32(1.5), 1.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        ((1, 2), [1, 2]),
        ({"a": {3: np.int32(4)}}, {"a": {"3": 4}}),
        (True, True),
        (None, None),
    ],
)
def test_only_plain_types_are_written(tmp_path: Path, value: Any, plain: Any) -> None:
    save_lens(TunedLens(torch.zeros(1, D, D), torch.zeros(1, D), {}, {"value": value}), tmp_path / "a.pt")
    back = open_lens(tmp_path / "a.pt").fit["value"]
    assert back == plain
    assert type(back) is type(plain)


def test_what_has_no_plain_form_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="PurePosixPath has no place in a lens file"):
        save_lens(
            TunedLens(torch.zeros(1, D, D), torch.zeros(1, D), {"a": PurePath("/b")}), tmp_path / "a.pt"
        )
    assert list(tmp_path.iterdir()) == []


# Writing goes wrong


def fails(*args: Any, **kwargs: Any) -> None:
    raise OSError(28, "No space left on device")


def fails_half_way(content: Any, file: Any) -> None:
    file.write(b"half a file")
    raise RuntimeError("[enforce fail at inline_container.cc:603] . unexpected pos 64 vs 0")


@pytest.mark.parametrize(
    ("where", "failure"),
    [
        ("torch.save", fails),
        ("torch.save", fails_half_way),
        ("os.fsync", fails),
        ("pathlib.Path.replace", fails),
    ],
)
def test_a_failed_write_leaves_the_old_file(
    lens: TunedLens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, failure: Callable[..., None]
) -> None:
    path = tmp_path / "a.pt"
    save_lens(lens, path)
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(where, failure)
        with pytest.raises(LensError, match=r"a\.pt cannot be written: .*\."):
            save_lens(TunedLens(torch.ones(1, D, D), torch.ones(1, D)), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_write_leaves_no_temporary_file(
    lens: TunedLens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("torch.save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_lens(lens, tmp_path / "a.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(lens: TunedLens, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(LensError, match="cannot be written: Permission denied"):
        save_lens(lens, folder / "a.pt")


def test_a_folder_that_cannot_be(lens: TunedLens, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LensError, match="cannot be written: Not a directory"):
        save_lens(lens, tmp_path / "file" / "a.pt")
    (tmp_path / "folder.pt").mkdir()
    with pytest.raises(LensError, match="is a folder: name a file in it"):
        save_lens(lens, tmp_path / "folder.pt")


# Reading goes wrong


class Hostile:
    """Runs code when it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.sentinel,)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("legacy", ["zip", "old zip-less", "bare pickle"])
def test_hostile_code_does_not_run(content: dict[str, Any], tmp_path: Path, legacy: str) -> None:
    path, sentinel = tmp_path / "a.pt", tmp_path / "sentinel"
    content["fit"] = {"value": Hostile(sentinel)}
    if legacy == "bare pickle":
        path.write_bytes(pickle.dumps(Hostile(sentinel)))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=legacy == "zip")
    assert "holds more than plain tensors" in refuses(path)
    assert not sentinel.exists()

    if legacy != "bare pickle":  # the trap is real
        torch.load(path, weights_only=False)
        assert sentinel.exists()


def test_no_file(tmp_path: Path) -> None:
    assert "There is no lens file" in refuses(tmp_path / "a.pt")


@pytest.mark.parametrize("name", ["a\0b.pt", "a\0b.npz", "a\0b.json", "a\0b", "\ud800.pt"])
def test_a_name_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(LensError, match=r"^There is no lens file /.*\\"):
        open_lens(tmp_path / name)


def test_a_file_that_may_not_be_read(lens: TunedLens, tmp_path: Path) -> None:
    save_lens(lens, tmp_path / "a.pt")
    with unreadable(tmp_path / "a.pt"):
        assert refuses(tmp_path / "a.pt").endswith("a.pt cannot be read: Permission denied.")


def test_a_folder(tmp_path: Path) -> None:
    assert "there is no params.pt in it" in refuses(tmp_path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize(
    "data", [b"", b"\x00" * 100, b"PK\x03\x04", b"hello, world\n", "日本".encode(), b"\x80\x04."]
)
def test_something_else(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(data)
    assert "no lens file" in refuses(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_truncated_or_damaged_file_is_refused_or_read_but_never_a_crash(
    content: dict[str, Any], tmp_path: Path, data: st.DataObject
) -> None:
    path = tmp_path / "a.pt"
    zipped = data.draw(st.booleans(), label="zip")
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    good = path.read_bytes()
    cut = data.draw(st.integers(0, len(good) - 1), label="cut at")
    path.write_bytes(good[:cut])
    refuses(path)
    flipped = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4), label="flips")):
        flipped[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(flipped)
    try:
        open_lens(path)
    except LensError as error:
        assert str(path) in str(error)


def _without(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda c: c | {"state_dict": {k: v for k, v in c["state_dict"].items() if k != key}}


def _with(state: dict[str, Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda c: c | {"state_dict": c["state_dict"] | state}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: {"state_dict": c["state_dict"]}, "is no lens file of lenstui"),
        (list, "is no lens file of lenstui"),
        (lambda c: torch.zeros(3), "is no lens file of lenstui"),
        (lambda c: c | {"format": "something else"}, "is no lens file of lenstui"),
        (lambda c: c | {"version": 2}, "has format version 2; this lenstui reads 1"),
        (lambda c: c | {"version": None}, "has format version None"),
        (lambda c: c | {"state_dict": {}}, "holds no translators"),
        (lambda c: c | {"state_dict": None}, "holds no translators"),
        (lambda c: c | {"state_dict": [torch.zeros(D, D)]}, "holds no translators"),
        (lambda c: c | {"config": [1]}, "damaged"),
        (lambda c: c | {"fit": "well"}, "damaged"),
        (lambda c: c | {"remarks": "none"}, "damaged"),
        (_without("0.weight"), "misses some"),
        (_without("2.bias"), "misses some"),
        (_with({"3.weight": torch.zeros(D, D)}), "misses some"),
        (_with({"1.weight": "a string"}), "misses some"),
        (_with({"1.weight": torch.zeros(D, D + 1)}), "unequal shapes"),
        (_with({"1.bias": torch.zeros(D + 1)}), "unequal shapes"),
        (_with({f"{row}.bias": torch.zeros(2) for row in range(3)}), r"shape \(5, 5\) with biases of 2"),
        (_with({f"{row}.bias": torch.zeros(()) for row in range(3)}), r"shape \(5, 5\)"),
    ],
)
def test_other_contents(
    content: dict[str, Any], tmp_path: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    path = tmp_path / "a.pt"
    torch.save(change(content), path)
    with pytest.raises(LensError, match=message):
        open_lens(path)
    refuses(path)


# Which model it is for


def test_a_lens_fits_a_model_of_its_shape_alone(lens: TunedLens) -> None:
    lens.check_fits(BLOCKS, D)
    for blocks, d in ((BLOCKS + 1, D), (BLOCKS, D + 1), (D, BLOCKS)):
        with pytest.raises(LensError) as caught:
            lens.check_fits(blocks, d)
        assert "3 blocks and width 5" in str(caught.value)
        assert f"{blocks} blocks and width {d}" in str(caught.value)


def test_others_may_read_the_file_as_the_umask_says(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    save_lens(untrained_lens(2, 4), tmp_path / "lens.pt")
    assert (tmp_path / "lens.pt").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("text", ["# A readme\n\nof some lines\n", "The trees\n", "are green\n"])
def test_a_text_is_plainly_no_lens_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "README.md"
    path.write_text(text)
    assert refuses(path) == f"{path} is no lens file."
