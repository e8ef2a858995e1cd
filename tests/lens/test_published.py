"""Lenses on the hub: found for a model, downloaded, taken up where a line broke, and refused in one line."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from lenstui.lens.formats.own import open_lens, save_lens
from lenstui.lens.jacobian import JacobianLens
from lenstui.lens.mapped import map_lens
from lenstui.lens.origin import Origin
from lenstui.lens.published import hub
from lenstui.lens.published.inside import model_inside
from lenstui.lens.published.matching import (
    Suits,
    WantedModel,
    likeness,
    model_in_config,
    same_model,
    suits_by_size,
)
from lenstui.lens.published.published_lens import PublishedLens
from lenstui.lens.published.repositories import lens_repositories, model_in_path
from lenstui.lens.tuned import TunedLens
from lenstui.model import child_process, hub_process
from lenstui.model.hub import hub_cache
from lenstui.model.hub_process import DownloadProgress, DownloadStopped
from lenstui.support.errors import LensError
from lenstui.support.lens_repository import LensRepository
from tests.programs.fake_hub import children, own_cache
from tests.programs.lens_hub import (
    LIBRARY,
    NEURONPEDIA,
    PLUS_PLUS,
    WORKSPACE,
    LensHub,
    fill,
    lens_hub,
    plus_plus_file,
    reference_file,
    written,
)

__all__ = ["children", "lens_hub", "own_cache"]

MODEL, BLOCKS, D = "acme/Tiny-1.5-Instruct", 4, 64
WANTED = WantedModel(MODEL, BLOCKS, D)
LENS = "the-slug/jlens/pile/Tiny-1.5-Instruct_jacobian_lens.pt"


def found(
    wanted: WantedModel | None = WANTED, own: tuple[LensRepository, ...] = ()
) -> tuple[list[PublishedLens], list[str]]:
    lenses: list[PublishedLens] = []
    troubles: list[str] = []
    hub.search(lens_repositories(own), wanted, lenses.append, troubles.append)
    return hub.in_order(lenses, wanted), troubles


def large(hub: LensHub) -> PublishedLens:
    """A lens of 3 MB, alone on a hub."""
    hub.put("acme/big", {"x/lens.pt": reference_file(7, 500)})
    own = LensRepository("acme/big", "jacobian", "*/lens.pt")
    (lens,) = (lens for lens in found(None, (own,))[0] if lens.repository == "acme/big")
    assert lens.size > 2_900_000
    return lens


def parts() -> list[Path]:
    """Files that are half there."""
    return [*hub_cache().rglob("*.lenstui-part"), *hub_cache().rglob("*.incomplete")]


# ── which are for the model ──────────────────────────────────────────────────────────────────────────────


def test_those_for_the_model_are_found_in_all_repositories_and_no_others(lens_hub: LensHub) -> None:
    fill(lens_hub, MODEL, BLOCKS, D)
    lenses, troubles = found()
    assert troubles == []
    sure = {lens.name for lens in lenses if lens.suits is Suits.YES}
    assert sure == {
        f"{LIBRARY}/lens/{MODEL}/params.pt",
        f"{NEURONPEDIA}/{LENS}",
        f"{NEURONPEDIA}/second/jlens/pile/Renamed_jacobian_lens.pt",  # by its config
        f"{NEURONPEDIA}@qwen-n1000/{LENS.replace('.pt', '_n1000.pt')}",
        f"{PLUS_PLUS}/the-slug/lens.pt",  # by the config within
    }
    perhaps = {lens.name for lens in lenses if lens.suits is Suits.PERHAPS}
    assert perhaps == {  # no slug decides
        f"{WORKSPACE}/the-slug/j-lens/lens.pt",
        f"{WORKSPACE}/the-slug/r-lens/lens.pt",
    }
    assert [lens.suits for lens in lenses] == [Suits.YES] * 5 + [Suits.PERHAPS] * 2
    assert {lens.kind for lens in lenses if lens.repository == LIBRARY} == {"tuned"}
    by_config = next(lens for lens in lenses if "Renamed" in lens.name)
    assert by_config.made_for == MODEL
    assert by_config.commit == lens_hub.repositories["model", NEURONPEDIA].commit("main")


def test_without_a_model_all_are_listed_and_no_config_is_fetched(lens_hub: LensHub) -> None:
    fill(lens_hub, MODEL, BLOCKS, D)
    lenses, _ = found(None)
    assert len(lenses) == 2 + 4 + 3 + 1
    assert {lens.suits for lens in lenses} == {None}
    assert lens_hub.got == []


def test_a_config_that_names_another_model_excludes_a_lens(lens_hub: LensHub) -> None:
    fill(lens_hub, "acme/Other", BLOCKS, D)
    assert all("Renamed" not in lens.name for lens in found(replace(WANTED, name="acme/Mine"))[0])
    assert ("second/jlens/pile/config.yaml", None) in lens_hub.got


def test_the_config_within_a_lens_is_read_from_a_part_of_it(lens_hub: LensHub) -> None:
    lens_hub.put(
        PLUS_PLUS,
        {
            "ours/lens.pt": plus_plus_file(7, 400, MODEL),
            "theirs/lens.pt": plus_plus_file(7, 400, "acme/Another"),
            "of-another-form/lens.pt": bytes(len(plus_plus_file(7, 400, MODEL))),
        },
    )
    lenses, _ = found(WantedModel(MODEL, 7, 400))
    assert {lens.path: lens.suits for lens in lenses} == {
        "ours/lens.pt": Suits.YES,
        "of-another-form/lens.pt": Suits.PERHAPS,
    }
    assert lenses[0].made_for == MODEL
    assert lens_hub.got == []
    read = [
        int(last) + 1 - int(first)
        for path, wanted in lens_hub.looks
        for first, last in [str(wanted).removeprefix("bytes=").split("-")]
        if path == "ours/lens.pt"
    ]
    assert sum(read) < 200_000 < lenses[0].size


def test_a_pickle_is_not_run() -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return pytest.fail, ("it was run",)

    content = written({"config": {"other": Evil(), "hf_model_name": MODEL}})
    assert model_inside(len(content), lambda start, count: content[start : start + count]) == MODEL


def test_own_repositories_come_with_the_known_ones(lens_hub: LensHub) -> None:
    lens_hub.put("me/lenses", {"Tiny-1.5-Instruct/of-mine.pt": reference_file(BLOCKS, D)}, type="dataset")
    own = LensRepository("me/lenses", "jacobian", "{name}/of-*.pt", "dataset")
    lenses, troubles = found(own=(own,))
    assert [lens.name for lens in lenses] == ["me/lenses/Tiny-1.5-Instruct/of-mine.pt"]
    assert lenses[0].suits is Suits.YES
    assert len(troubles) == 5  # the known ones are not on this hub, one of them on two revisions
    assert all("check the spelling" in line for line in troubles)


def test_an_own_repository_takes_the_place_of_a_known_one() -> None:
    own = LensRepository(PLUS_PLUS, "jacobian", "new/*.pt")
    names = [(each.repository, each.files) for each in lens_repositories((own,))]
    assert names[0] == (PLUS_PLUS, "new/*.pt")
    assert [name for name, _ in names].count(PLUS_PLUS) == 1


@pytest.mark.parametrize(
    ("stated", "name", "suits"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", "qwen/qwen2.5-7b-instruct", Suits.YES),
        ("Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-7B-Instruct", Suits.YES),
        ("unsloth/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-7B-Instruct", Suits.PERHAPS),
        ("gpt2", "openai-community/gpt2", Suits.YES),
        ("qwen2.5-7b-it", "Qwen/Qwen2.5-7B-Instruct", Suits.NO),
        ("Qwen/Qwen2.5-7B", "Qwen/Qwen2.5-7B-Instruct", Suits.NO),
        ("EleutherAI/pythia-70m", "/models/pythia-70m", Suits.YES),
        ("EleutherAI/pythia-70m", "/models/pythia-70m.gguf", Suits.YES),
        ("EleutherAI/pythia-70m", "/models/mine/", Suits.NO),
    ],
)
def test_names_of_models(stated: str, name: str, suits: Suits) -> None:
    assert same_model(stated, WantedModel(name)) is suits


@pytest.mark.parametrize(
    ("text", "path", "name"),
    [
        ("model: Qwen/Qwen3-8B\n", "slug/config.yaml", "Qwen/Qwen3-8B"),
        ("model_name: slug\nhf_model: Qwen/Qwen3-8B", "slug/config.yaml", "Qwen/Qwen3-8B"),
        ("model:\n  name: Qwen3-8B\n", "slug/config.yaml", "Qwen3-8B"),
        ("model: slug", "slug/config.yaml", None),  # no more than the slug
        ('{"base_model_name_or_path": "gpt2"}', "lens/gpt2-x/config.json", "gpt2"),
        ("layers: [1, 2]", "slug/config.yaml", None),
        ("[1, 2", "slug/config.yaml", None),
        ("{", "slug/config.json", None),
        ("model: !!python/object/apply:os.getcwd []", "slug/config.yaml", None),
        ("just a text", "slug/config.yaml", None),
    ],
)
def test_the_model_that_a_config_names(text: str, path: str, name: str | None) -> None:
    assert model_in_config(text, path) == name


def test_the_size_of_a_file_excludes_models(lens_hub: LensHub) -> None:
    size = len(reference_file(6, 288))
    assert suits_by_size(size, "jacobian", WantedModel("x", 6, 288))
    assert suits_by_size(size, "jacobian", WantedModel("x", 12, 288))  # some of its rows
    assert suits_by_size(size, "jacobian", WantedModel("x"))
    assert not suits_by_size(size, "jacobian", WantedModel("x", 4, 288))
    assert not suits_by_size(size, "jacobian", WantedModel("x", 6, 512))
    assert not suits_by_size(size, "tuned", WantedModel("x", 6, 288))


def test_what_is_undecided_is_ordered_by_likeness() -> None:
    wanted = WantedModel("Qwen/Qwen2.5-7B-Instruct")
    slugs = ["qwen2.5-7b-it", "qwen2.5-7b", "qwen3-8b", "gemma-2-2b"]
    shares = [likeness(f"{slug}/lens.pt", wanted) for slug in slugs]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 1


def test_patterns() -> None:
    library, neuronpedia = lens_repositories()[:2]
    assert model_in_path(library, "lens/EleutherAI/pythia-14m/params.pt") == "EleutherAI/pythia-14m"
    assert model_in_path(library, "lens/gpt2/params.pt") == "gpt2"
    assert model_in_path(library, "lens/gpt2/config.json") is None
    name = "Qwen2.5-7B-Instruct"
    for ending in ("", "_n1000"):
        path = f"qwen2.5-7b-it/jlens/pile/{name}_jacobian_lens{ending}.pt"
        assert model_in_path(neuronpedia, path) == name
    assert model_in_path(neuronpedia, f"a/b/jlens/pile/{name}_jacobian_lens.pt") is None


# ── repositories that cannot be looked through ───────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("refusal", "line"),
    [
        ((403, "GatedRepo"), "is gated: accept its terms on {url}/koayon/jpp-lenses, then log in"),
        ((401, "RepoNotFound"), "has no model koayon/jpp-lenses: .* if it is private, log in"),
        ((404, "RepoNotFound"), "has no model koayon/jpp-lenses"),
        ((401, ""), "has no model koayon/jpp-lenses|does not accept your token"),
        ((500, ""), "answered 500 for koayon/jpp-lenses: try again later"),
    ],
)
def test_a_repository_that_is_refused_leaves_the_others(
    lens_hub: LensHub, refusal: tuple[int, str], line: str
) -> None:
    fill(lens_hub, MODEL, BLOCKS, D)
    lens_hub.repositories["model", PLUS_PLUS].refusal = refusal
    lenses, (trouble,) = found()
    assert re.search(line.format(url=lens_hub.url), trouble)
    assert "\n" not in trouble
    assert len(lenses) == 6


def test_a_repository_that_is_laid_out_otherwise_is_said(lens_hub: LensHub) -> None:
    fill(lens_hub, MODEL, BLOCKS, D)
    lens_hub.put(PLUS_PLUS, {"new-layout/v2/weights.safetensors": b"x"})
    _, troubles = found()
    assert troubles == ["koayon/jpp-lenses has no file */lens.pt: it is laid out otherwise."]


def test_a_revision_that_is_gone_leaves_the_others(lens_hub: LensHub) -> None:
    fill(lens_hub, MODEL, BLOCKS, D)
    del lens_hub.repositories["model", NEURONPEDIA].revisions["qwen-n1000"]
    lenses, (trouble,) = found()
    assert f"{NEURONPEDIA} has no revision qwen-n1000" in trouble
    assert f"{NEURONPEDIA}/{LENS}" in {lens.name for lens in lenses}


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_nothing_is_asked(
    lens_hub: LensHub,
    children: list[subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(LensError, match=f"The hub was not asked for lenses: {variable} is set: unset it"):
        found()
    assert children == []
    assert lens_hub.asked == []


def test_without_a_network_it_says_so() -> None:
    with pytest.raises(LensError, match=r"127\.0\.0\.1:9 cannot be reached: check the network"):
        found()


# ── downloads ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_lens_is_downloaded_and_opens_with_its_origin(
    lens_hub: LensHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(lens_hub, MODEL, BLOCKS, D)
    lens = next(lens for lens in found()[0] if lens.name == f"{NEURONPEDIA}/{LENS}")
    assert not lens.is_here
    seen: list[DownloadProgress] = []
    file = hub.download(lens, seen.append)
    assert file == lens.place
    assert lens.is_here
    assert seen[-1].done == seen[-1].total == lens.size
    opened = open_lens(file)
    assert isinstance(opened, JacobianLens)
    expected = torch.load(lens.place, weights_only=True)["J"][0].float()
    assert torch.equal(opened.matrices[1].float(), expected)
    assert Origin.in_fit(opened.fit) == Origin(NEURONPEDIA, "model", lens.commit, LENS)
    assert (file.parent / "config.yaml").is_file()
    assert parts() == []
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody is asked again
    assert hub.download(lens) == file
    assert hub.lenses_here(lens_repositories()) == [file]


def test_a_copy_keeps_the_origin(lens_hub: LensHub, tmp_path: Path) -> None:
    fill(lens_hub, MODEL, BLOCKS, D)
    lens = next(lens for lens in found()[0] if lens.repository == PLUS_PLUS)
    opened = open_lens(hub.download(lens))
    save_lens(opened, tmp_path / "copy.pt")
    origin = Origin(PLUS_PLUS, "model", lens.commit, "the-slug/lens.pt")
    assert Origin.in_fit(open_lens(tmp_path / "copy.pt").fit) == origin
    mapped = map_lens(tmp_path / "copy.pt")
    assert mapped is not None
    assert Origin.in_fit(mapped.card.fit) == origin


def test_a_library_folder_of_a_space_opens(lens_hub: LensHub) -> None:
    fill(lens_hub, MODEL, BLOCKS, D)
    lens = next(lens for lens in found()[0] if lens.repository == LIBRARY)
    opened = open_lens(hub.download(lens))
    assert isinstance(opened, TunedLens)
    assert opened.shape == (BLOCKS, D)
    assert Origin.in_fit(opened.fit) == Origin(LIBRARY, "space", lens.commit, f"lens/{MODEL}")
    assert hub.lenses_here(lens_repositories()) == [lens.place.parent]


def test_a_lens_without_a_name_is_named_after_its_folders(lens_hub: LensHub) -> None:
    fill(lens_hub, MODEL, BLOCKS, D)
    lens = next(lens for lens in found()[0] if lens.path == "the-slug/r-lens/lens.pt")
    assert open_lens(hub.download(lens)).name == "the-slug-r-lens"


def test_a_line_that_breaks_is_taken_up_where_it_broke(lens_hub: LensHub) -> None:
    lens = large(lens_hub)
    lens_hub.cuts = 1
    seen: list[DownloadProgress] = []
    hub.download(lens, seen.append)
    (_, first), (_, second) = lens_hub.got
    assert first is None
    assert second is not None
    assert seen[-1].done == seen[-1].total
    open_lens(lens.place)


def test_a_stopped_download_goes_on_from_there(
    lens_hub: LensHub, children: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_process, "_GRACE", 10)  # a busy machine is no failure
    lens = large(lens_hub)
    lens_hub.hold = True
    half = lens.size // 2

    def halfway() -> bool:
        return any(part.stat().st_size >= half - (1 << 18) for part in parts())

    with pytest.raises(DownloadStopped, match="was stopped"):
        hub.download(lens, should_stop=halfway)
    assert all(process.poll() is not None for process in children)
    assert not lens.is_here
    (part,) = parts()
    there = part.stat().st_size
    assert 0 < there < lens.size

    lens_hub.hold = False
    lens_hub.got.clear()
    seen: list[DownloadProgress] = []
    hub.download(lens, seen.append)
    assert lens_hub.got == [("x/lens.pt", f"bytes={there}-")]
    assert seen[0].done >= there
    assert parts() == []
    open_lens(lens.place)


def test_what_a_failed_download_has_is_kept(lens_hub: LensHub) -> None:
    lens = large(lens_hub)
    lens_hub.cuts, lens_hub.after_cuts = 1, 403
    line = "answered 403 .*: try again later; what came is kept, and the download goes on from there"
    with pytest.raises(LensError, match=line):
        hub.download(lens)
    (part,) = parts()
    there = part.stat().st_size
    lens_hub.after_cuts = 200
    lens_hub.got.clear()
    hub.download(lens)
    assert lens_hub.got == [("x/lens.pt", f"bytes={there}-")]


def test_bytes_that_are_others_than_the_hubs_are_removed(lens_hub: LensHub) -> None:
    lens = large(lens_hub)
    lens_hub.wrong_bytes = True
    with pytest.raises(LensError, match=r"x/lens\.pt arrived damaged, and was removed: download it again"):
        hub.download(lens)
    assert parts() == []
    assert not lens.is_here
    lens_hub.wrong_bytes = False
    open_lens(hub.download(lens))


def test_wrong_bytes_of_a_small_file_are_found_too(lens_hub: LensHub) -> None:
    fill(lens_hub, MODEL, BLOCKS, D)
    lens = next(lens for lens in found()[0] if lens.name == f"{NEURONPEDIA}/{LENS}")
    lens_hub.wrong_bytes = True
    with pytest.raises(LensError, match="arrived damaged, and was removed"):
        hub.download(lens)
    assert not lens.is_here


def test_two_processes_do_not_write_one_file(lens_hub: LensHub) -> None:
    lens = large(lens_hub)
    folder = "models--acme--big"
    lock = hub_cache() / ".locks" / folder / f"{lens.files[0].sha256}.lock"
    lock.parent.mkdir(parents=True)
    with (
        FileLock(lock),
        pytest.raises(LensError, match=r"Another process is downloading acme/big/x/lens\.pt"),
    ):
        hub.download(lens)
    assert parts() == []
    hub.download(lens)


@pytest.mark.parametrize(
    ("trouble", "line"),
    [
        (
            "import shutil, types\nshutil.disk_usage = lambda _: types.SimpleNamespace(free=1000)\n",
            r"acme/big/x/lens\.pt needs 0\.0 GB more and .* has 0\.0 GB free: make room, or set HF_HOME",
        ),
        (
            "import errno, huggingface_hub.file_download as download\n"
            "def http_get(*_, **__): raise OSError(errno.ENOSPC, 'No space left on device')\n"
            "download.http_get = http_get\n",
            r"The disk of .* is full: make room, or set HF_HOME to a bigger one\.",
        ),
    ],
)
def test_a_disk_that_is_full_is_one_line(
    lens_hub: LensHub, monkeypatch: pytest.MonkeyPatch, trouble: str, line: str
) -> None:
    lens = large(lens_hub)
    monkeypatch.setattr(child_process, "_START", trouble + child_process._START)
    with pytest.raises(LensError, match=line) as caught:
        hub.download(lens)
    assert "\n" not in str(caught.value)


def test_a_lens_that_is_gone_meanwhile_is_one_line(lens_hub: LensHub) -> None:
    lens = large(lens_hub)
    del lens_hub.repositories["model", "acme/big"]
    with pytest.raises(LensError, match="has no model acme/big") as caught:
        hub.download(lens)
    assert "\n" not in str(caught.value)


def test_offline_no_lens_is_downloaded(lens_hub: LensHub, monkeypatch: pytest.MonkeyPatch) -> None:
    lens = large(lens_hub)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(LensError, match=r"acme/big/x/lens\.pt was not downloaded: HF_HUB_OFFLINE is set"):
        hub.download(lens)


def test_a_token_goes_to_the_hub_and_not_to_where_it_sends_for_the_bytes(
    lens_hub: LensHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    lens = large(lens_hub)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.download(lens)
    assert lens_hub.tokens["acme"] == "Bearer hf_secret"
    assert lens_hub.tokens["cdn"] is None


def test_only_files_in_the_cache_have_an_origin(tmp_path: Path) -> None:
    assert Origin.of(tmp_path / "lens.pt") is None
    assert Origin.of(hub_cache() / "models--a--b") is None
    snapshot = hub_cache() / "datasets--a--b" / "snapshots" / "0123"
    assert Origin.of(snapshot / "x" / "lens.pt") == Origin("a/b", "dataset", "0123", "x/lens.pt")
