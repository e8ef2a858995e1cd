from pathlib import Path

import pytest

from lenstui.support import paths
from lenstui.support.errors import LensError


@pytest.fixture(autouse=True)
def _home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for kind in ("DATA", "CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(tmp_path / kind.lower()))


def test_folders_follow_the_environment_at_the_time_of_the_call(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = paths.lenses()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "elsewhere"))
    assert paths.lenses() != before
    assert paths.lenses() == tmp_path / "elsewhere" / "lenstui" / "lenses"


def test_listing_names_every_place_and_makes_none(tmp_path: Path) -> None:
    listing = paths.listing()
    assert listing["lenses"].parent == listing["exports"].parent == listing["data"]
    assert listing["session"].parent == listing["log"].parent == listing["state"]
    assert listing["instant lenses"] == tmp_path / "cache" / "lenstui" / "instant"
    assert {"config", "bundled model"} <= set(listing)
    assert list(tmp_path.iterdir()) == []


def test_the_bundled_model_of_a_checkout_and_of_an_installed_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "site" / "lenstui"
    monkeypatch.setattr(paths, "__file__", str(package / "support" / "paths.py"))
    assert paths.bundled_model() == tmp_path / "site" / "assets" / "demo"
    (package / "assets" / "demo").mkdir(parents=True)
    assert paths.bundled_model() == package / "assets" / "demo"


def test_made_makes_the_folder_once_and_again(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert paths.made(folder) == folder
    assert paths.made(folder).is_dir()


def test_a_folder_that_cannot_be_made_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def read_only(self: Path, **_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(LensError, match=r"^The folder .*/x cannot be made \(Read-only file system\): .*\.$"):
        paths.made(tmp_path / "x")


def test_a_file_in_the_way_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(LensError, match="cannot be made"):
        paths.made(tmp_path / "x" / "y")


def test_the_general_sample_of_a_checkout_and_of_an_installed_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert paths.general_sample().is_file()
    package = tmp_path / "site" / "lenstui"
    (package / "assets").mkdir(parents=True)
    monkeypatch.setattr(paths, "__file__", str(package / "support" / "paths.py"))
    assert paths.general_sample() == package / "assets" / "sample" / "general.parquet"
