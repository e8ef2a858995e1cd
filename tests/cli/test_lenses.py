"""`lenstui lenses`: what is on this machine, what is on the hub, and the download of one, as a process."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lenstui.lens import TunedLens, load, open_lens, save_lens
from lenstui.lens.compatibility import lens_config
from lenstui.lens.origin import Origin
from lenstui.support.paths import lenses
from tests.programs.fake_hub import own_cache
from tests.programs.forked import Forked
from tests.programs.lens_hub import (
    NEURONPEDIA,
    PLUS_PLUS,
    LensHub,
    fill,
    lens_hub,
    library_folder,
    reference_file,
)

__all__ = ["lens_hub", "own_cache"]

BLOCKS, D = 2, 32  # of `neox_folder`
ENVIRONMENT = ("HF_HOME", "HF_ENDPOINT", "HF_HUB_DISABLE_XET", "no_proxy")


@pytest.fixture
def call(
    programs: Forked, own_cache: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Run `lenstui lenses`, and return its status, its output and its errors."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def run(*words: object, **more: str) -> tuple[int, str, str]:
        names = [*ENVIRONMENT, "XDG_DATA_HOME", "XDG_CONFIG_HOME"]
        environment = {name: os.environ[name] for name in names} | {"HF_HUB_OFFLINE": "0"} | more
        program = programs.start("lenses", *words, environment=environment)
        return program.status(), program.out, program.err

    return run


@pytest.fixture
def named(neox_folder: Path, tmp_path: Path) -> Path:
    """`neox_folder` in a folder with the name of a model."""
    place = tmp_path / "Tiny-1.5-Instruct"
    place.symlink_to(neox_folder)
    return place


def test_they_are_sorted_by_their_last_evaluation(
    call: Any, programs: Forked, neox_folder: Path, tmp_path: Path
) -> None:
    """As `lenstui eval` left it: a lens that changes little is better here than one that changes much."""
    generator = torch.Generator().manual_seed(0)
    for number, (name, size) in enumerate([("far", 2.0), ("near", 0.01), ("unknown", 0.0)]):
        matrices = size * torch.randn(BLOCKS, D, D, generator=generator)
        lens = TunedLens(matrices, torch.zeros(BLOCKS, D), lens_config(load(str(neox_folder))))
        save_lens(lens, lenses() / f"{name}.pt")
        os.utime(lenses() / f"{name}.pt", (1.7e9, 1.7e9 + number))
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat " * 20)
    environment = {"XDG_DATA_HOME": os.environ["XDG_DATA_HOME"]}
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    words = ("--model", neox_folder, "--data", text)
    files = (word for name in ("far", "near") for word in ("--lens", lenses() / f"{name}.pt"))
    judged = programs.start("eval", *words, *files, "--format", "json", environment=environment | state)
    assert judged.status() == 0, judged.err
    reached = json.loads(judged.out)

    _, out, _ = call(**state)
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["unknown", "near", "far"]
    _, out, _ = call("--sort", "kl", **state)
    heading, *lines = out.splitlines()
    assert heading.endswith("last evaluation")
    assert [line.split()[0] for line in lines] == ["near", "far", "unknown"]
    kl = np.mean(reached["tuned:near"]["kl"][:-1])
    assert f"KL {kl:.2f} · {neox_folder} on text.txt · {reached['tokens']} tokens" in lines[0]
    _, out, _ = call("--sort", "kl", "--model", neox_folder, "--format", "json", **state)
    content = json.loads(out)["lenses"]
    assert [lens["name"] for lens in content] == ["near", "far", "unknown"]
    assert content[0]["evaluation"]["kl"] == pytest.approx(kl)
    assert content[2]["evaluation"] is None
    assert call("--sort", "kl", "--hub")[0] == 2


def test_those_here_are_listed_and_those_that_fit_a_model_come_first(call: Any, neox_folder: Path) -> None:
    import torch

    zeros = (torch.zeros(BLOCKS, D, D), torch.zeros(BLOCKS, D))
    fit = {"held_out_kl": [2.0, 1.0], "logit_lens_kl": [6.0, 4.0]}
    save_lens(TunedLens(*zeros, lens_config(load(str(neox_folder))), fit), lenses() / "ours.pt")
    save_lens(TunedLens(torch.zeros(5, 8, 8), torch.zeros(5, 8)), lenses() / "wrong.pt")
    (lenses() / "half.pt").write_bytes((lenses() / "ours.pt").read_bytes()[:500])
    os.utime(lenses() / "ours.pt", (1.7e9, 1.7e9))  # the older one

    status, out, err = call()
    heading, *lines = out.splitlines()
    assert status == 0
    assert heading.split() == ["lens", "kind", "made", "for", "KL", "logit", "date", "size"]
    assert [line.split()[0] for line in lines] == ["wrong", "ours"]
    assert "Not listed, for lenstui cannot read them: half.pt" in err

    status, out, _ = call("--model", neox_folder)
    heading, *lines = out.splitlines()
    assert "fits" in heading
    assert lines[0].split()[0] == "ours"
    assert " yes " in lines[0]
    assert "1.50   5.00  2023-11-14" in lines[0]
    assert " no " in lines[1]

    _, out, _ = call("--model", neox_folder, "--format", "json")
    table = json.loads(out)
    assert [lens["fits"] for lens in table["lenses"]] == ["yes", "no"]
    assert table["lenses"][0]["held_out_kl"] == [2.0, 1.0]
    assert table["lenses"][0]["origin"] is None
    assert table["model"] == str(neox_folder)


def test_without_any_it_says_how_to_get_one(call: Any) -> None:
    assert call() == (
        0, "No lenses yet: lenstui train fits one, lenstui lenses --hub lists those on the hub.\n", "",
    )  # fmt: skip


def test_the_hub_is_listed_and_one_is_downloaded(call: Any, lens_hub: LensHub, named: Path) -> None:
    fill(lens_hub, "acme/Tiny-1.5-Instruct", BLOCKS, D)
    status, out, err = call("--hub", "--model", named)
    assert (status, err) == (0, "")
    heading, *lines = out.splitlines()
    assert heading.split() == ["fits", "kind", "size", "commit", "here", "lens"]
    assert [line.split()[0] for line in lines].count("yes") == 5
    commit = lens_hub.repositories["model", NEURONPEDIA].commit("main")
    assert any(commit[:12] in line for line in lines)

    status, out, err = call("--hub", "--model", named, "--get", "n1000")
    assert (status, err) == (0, "")
    file = Path(out.removesuffix("\n"))
    lens = open_lens(file)
    origin = Origin.in_fit(lens.fit)
    assert origin is not None
    assert origin.repository == NEURONPEDIA
    assert origin.commit == lens_hub.repositories["model", NEURONPEDIA].commit("qwen-n1000")

    _, out, _ = call("--hub", "--model", named, "--format", "json")
    here = [lens for lens in json.loads(out)["lenses"] if lens["file"] is not None]
    assert [lens["file"] for lens in here] == [str(file)]

    _, out, _ = call("--model", named, "--format", "json")  # and no hub is asked
    (local,) = json.loads(out)["lenses"]
    assert local["file"] == str(file)
    assert local["fits"] == "in shape"
    assert local["origin"] == {
        "repository": NEURONPEDIA, "type": "model", "commit": origin.commit, "path": origin.path,
    }  # fmt: skip


def test_own_repositories_of_the_settings_are_asked_too(call: Any, lens_hub: LensHub, tmp_path: Path) -> None:
    fill(lens_hub, "acme/Tiny", BLOCKS, D)
    params, config = library_folder(BLOCKS, D, "acme/Tiny")
    lens_hub.put("me/mine", {"of/acme/Tiny/params.pt": params, "of/acme/Tiny/config.json": config})
    settings = tmp_path / "config" / "lenstui" / "config.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(
        '[[lens_repositories]]\nrepository = "me/mine"\nkind = "tuned"\n'
        'files = "of/{model}/params.pt"\nconfig = "config.json"\n'
    )
    status, out, _ = call("--hub", "--model", "acme/Tiny", "--get", "me/mine", "--format", "json")
    assert status == 0
    assert json.loads(out)["made_for"] == "acme/Tiny"
    assert open_lens(Path(json.loads(out)["file"])).shape == (BLOCKS, D)


def test_a_lens_of_another_shape_is_refused_with_both(call: Any, lens_hub: LensHub, named: Path) -> None:
    wider = reference_file(BLOCKS, D + 8)
    lens_hub.put("neuronpedia/jacobian-lens", {"s/jlens/t/Tiny-1.5-Instruct_jacobian_lens.pt": wider})
    status, out, err = call("--hub", "--model", named, "--get", "Tiny")
    assert (status, out) == (1, "")
    said = err.splitlines()[-1]
    assert f"width {D + 8}" in said
    assert f"{BLOCKS} blocks and width {D}" in said


def test_a_file_that_is_no_lens_is_refused(call: Any, lens_hub: LensHub) -> None:
    lens_hub.put(PLUS_PLUS, {"slug/lens.pt": b"no lens at all"})
    status, out, err = call("--hub", "--get", "slug")
    assert (status, out) == (1, "")
    assert "is no lens file" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--get", "nothing-like-it"), "No lens on the hub is called nothing-like-it"),
        (("--get", "jlens"), "4 lenses are called jlens ("),
    ],
)
def test_a_name_that_is_not_one_lens(call: Any, lens_hub: LensHub, words: tuple[str, str], line: str) -> None:
    fill(lens_hub, "acme/Tiny", BLOCKS, D)
    status, out, err = call("--hub", *words)
    assert (status, out) == (1, "")
    assert err.startswith(f"lenstui: {line}")
    assert len(err.splitlines()) == 1


def test_offline_it_says_so_at_once(call: Any, lens_hub: LensHub) -> None:
    start = time.monotonic()
    status, out, err = call("--hub", HF_HUB_OFFLINE="1")
    assert time.monotonic() - start < 5
    assert (status, out) == (1, "")
    assert err == "lenstui: The hub was not asked for lenses: HF_HUB_OFFLINE is set: unset it.\n"
    assert lens_hub.asked == []


def test_a_repository_that_is_gone_is_said_beside_the_others(call: Any, lens_hub: LensHub) -> None:
    fill(lens_hub, "acme/Tiny", BLOCKS, D)
    del lens_hub.repositories["model", PLUS_PLUS]
    status, out, err = call("--hub", "--model", "acme/Tiny")
    assert status == 0
    assert NEURONPEDIA in out
    assert f"has no model {PLUS_PLUS}" in err
    assert len(err.splitlines()) == 1


def test_a_download_needs_the_hub(call: Any) -> None:
    status, _, err = call("--get", "x")
    assert status == 2
    assert "--get needs --hub" in err
