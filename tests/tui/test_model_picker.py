"""The model picker: what it lists, what typing finds, and what it opens."""

from __future__ import annotations

import shutil
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from textual.message import Message
from textual.widgets import Input

from lenstui.jobs import models as model_list
from lenstui.jobs.chosen_model import Chosen
from lenstui.jobs.model_messages import ListedModel, ModelsListed, PathsListed
from lenstui.model.hub_process import DownloadStopped
from lenstui.model.memory import READOUT
from lenstui.model.name import BUNDLED_MODEL
from lenstui.readout.number_texts import size_text
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.models.picker import ModelPicker
from lenstui.tui.models.search import suiting
from lenstui.tui.models.table import ModelTable
from lenstui.tui.shared.status_bar import StatusBar
from tests.tui.pilots.looking import subtitle, until
from tests.tui.pilots.models_pilot import detail, names

PYTHIA = ListedModel("EleutherAI/pythia-14m", "cache", "gpt_neox", revisions=("step1", "step2", "main"))
LONGER = ListedModel("EleutherAI/pythia-14m-deduped", "cache", "gpt_neox")
GPT2 = ListedModel("gpt2", "cache", "gpt2")
HALF = ListedModel("owner/half", "partly")
NEAR = ListedModel("models/near", "folder", "llama", size=13_000_000, used=1_750_000_000.0)
BUNDLED = ListedModel("", "bundled", "gpt_neox")


@pytest.fixture
def cache(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Hugging Face cache with three revisions of one model, the tiny one."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    repository = tmp_path / "hub" / "models--owner--tiny"
    for ref, commit in (("step9", "aa"), ("step10", "bb"), ("main", "cc")):
        snapshot = repository / "snapshots" / commit
        shutil.copytree(tiny_model, snapshot, ignore=shutil.ignore_patterns("*.pt"))
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / ref).write_text(commit)
    return tmp_path / "hub"


def typed(app: LenstuiApp, text: str) -> None:
    line = app.screen.query_one(Input)
    line.value = text
    line.cursor_position = len(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [PYTHIA, LONGER, GPT2]),
        ("neox 14m", [PYTHIA, LONGER]),
        ("GPT2", [GPT2]),
        ("gpt2", [GPT2]),
        ("EleutherAI/pythia-14m", [PYTHIA, LONGER]),
        ("EleutherAI/pythia-14m-deduped", [LONGER]),
        ("pt2", [GPT2, ListedModel("pt2", "hub")]),
        ("EleutherAI/pythia-14", [ListedModel("EleutherAI/pythia-14", "hub"), PYTHIA, LONGER]),
        ("bloom", [ListedModel("bloom", "hub")]),
    ],
)
def test_what_typing_finds(text: str, found: list[ListedModel]) -> None:
    assert suiting([PYTHIA, LONGER, GPT2], text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bundled", [BUNDLED]),
        ("Bundled NEOX", [BUNDLED]),
        ("the bundled model", [BUNDLED]),
        ("demo", [BUNDLED]),
        ("cache", [PYTHIA, LONGER, GPT2]),
        ("cache neox", [PYTHIA, LONGER]),
        ("partly", [HALF]),
        ("half partly", [HALF]),
        ("folder", [NEAR]),
        ("13 mb", [NEAR]),
        ("2025-06", [NEAR]),
        ("model", [NEAR, BUNDLED]),
        ("cache partly", []),
    ],
)
def test_what_is_typed_is_found_wherever_the_line_shows_it(text: str, found: list[ListedModel]) -> None:
    one_word = " " not in text
    hub = [ListedModel(text, "hub")] if one_word or not found else []  # always offered: it may be a name
    assert suiting([PYTHIA, LONGER, GPT2, HALF, NEAR, BUNDLED], text) == [*found, *hub]


def test_a_name_comes_before_what_another_line_shows() -> None:
    named = ListedModel("owner/demo-7B", "cache", "llama")
    assert suiting([BUNDLED, named], "demo") == [named, BUNDLED, ListedModel("demo", "hub")]
    exact = ListedModel("cache", "folder", "gpt2")
    assert suiting([PYTHIA, GPT2, exact], "cache") == [exact, PYTHIA, GPT2]


async def test_the_bundled_model_is_found_by_what_its_line_says(opened: Any, cache: Path) -> None:
    async with opened("Hello") as (app, pilot):
        await pilot.press("m")
        await until(pilot, lambda: "owner/tiny" in names(app))
        await pilot.press(*"bundled")
        assert names(app) == ["", "bundled"]
        typed(app, "demo")
        await until(pilot, lambda: names(app) == ["", "demo"])
        await pilot.press("enter")
        await until(pilot, lambda: app.explore.model.name == BUNDLED_MODEL and subtitle(app).endswith(" s"))


def test_the_name_that_is_typed_comes_first_however_lately_another_was_used() -> None:
    later, lower = replace(LONGER, used=2.0), replace(PYTHIA, name=PYTHIA.name.lower())
    assert suiting([later, PYTHIA], PYTHIA.name) == [PYTHIA, later]
    assert suiting([later, lower, PYTHIA], PYTHIA.name) == [PYTHIA, lower, later]
    assert suiting([later, PYTHIA], PYTHIA.name.upper()) == [PYTHIA, later]
    xl = replace(GPT2, name="openai/gpt2-xl")
    assert suiting([xl], "gpt2") == [xl, ListedModel("gpt2", "hub")]
    assert suiting([xl, GPT2], "gpt2") == [GPT2, xl]


def test_behind_an_at_are_revisions() -> None:
    found = suiting([PYTHIA, LONGER], "EleutherAI/pythia-14m@step")
    assert [model.name for model in found] == ["EleutherAI/pythia-14m@step1", "EleutherAI/pythia-14m@step2"]
    assert suiting([PYTHIA], "EleutherAI/pythia-14m@v7") == [ListedModel("EleutherAI/pythia-14m@v7", "hub")]
    assert Chosen.read("a/b@v7") == Chosen("a/b", "v7")
    assert Chosen.read("a/b@") == Chosen("a/b")
    assert Chosen.read("./odd@name") == Chosen("./odd@name")


def test_before_an_at_a_part_of_a_name_will_do() -> None:
    models = [PYTHIA, replace(LONGER, revisions=("step1", "step12")), GPT2]
    found = [model.name for model in suiting(models, "14m-dedup@step1")]
    assert found == ["EleutherAI/pythia-14m-deduped@step1", "EleutherAI/pythia-14m-deduped@step12"]
    both = [model.name for model in suiting(models, "14M@step1")]
    assert both[:2] == ["EleutherAI/pythia-14m@step1", "EleutherAI/pythia-14m-deduped@step1"]
    assert suiting(models, "gpt@v2") == [ListedModel("gpt2@v2", "hub")]
    assert suiting(models, "14m@v2") == [ListedModel("14m@v2", "hub")]
    assert suiting(models, "AI/pythia-14m@step1")[0] == ListedModel("AI/pythia-14m@step1", "hub")


def test_a_relative_path_goes_on_too() -> None:
    near = [ListedModel("gpt2/small", "folder"), ListedModel("gpt2/other/", "folder …")]
    assert suiting([GPT2], "gpt2/s", near[:1]) == [ListedModel("gpt2/s", "hub"), near[0]]
    assert suiting([GPT2], "gpt2/small", near[:1]) == near[:1]
    assert suiting([GPT2], "gpt2/", near) == near  # which is no name on the hub
    folder, closed = ListedModel("gpt2", "folder"), ListedModel("gpt2-old/", "folder …")
    assert suiting([GPT2], "gpt2", [folder, closed]) == [folder]  # it would be opened in its place


def listed(work: Callable[..., None], *given: Any) -> Any:
    messages: list[Message] = []
    work(messages.append, *given, lambda: False)
    (message,) = messages
    return message


def test_what_is_on_this_machine(cache: Path, tiny_model: Path, tmp_path: Path) -> None:
    recent = [str(tiny_model), "owner/tiny", str(tmp_path / "gone"), str(tmp_path)]
    message: ModelsListed = listed(model_list.list_models, recent, "auto", "auto")
    assert [(model.name, model.where) for model in message.models[-1:]] == [("", "bundled")]
    assert {(model.name, model.where) for model in message.models[:-1]} == {
        ("owner/tiny", "cache"),
        (str(tiny_model), "folder"),
    }
    ours = next(model for model in message.models if model.name == "owner/tiny")
    assert ours.revisions == ("step9", "step10", "main")
    assert ours.family == "gpt_neox"
    assert ours.needed is not None
    assert message.free is not None
    assert message.peak > 50 << 20  # Python with all that is imported


def test_how_a_path_may_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("models/a", "models/b", "modest", ".hidden"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "models" / "b" / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "models" / "c.gguf").write_bytes(b"GGUF")
    (tmp_path / "models" / "readme.txt").touch()
    home: PathsListed = listed(model_list.list_paths, "~/mod", "auto", "auto")
    assert [(model.name, model.where) for model in home.models] == [
        ("~/models/", "folder …"),
        ("~/modest/", "folder …"),
    ]
    inside: PathsListed = listed(model_list.list_paths, f"{tmp_path}/models/", "auto", "auto")
    assert [(model.name.rpartition("/models/")[2], model.where) for model in inside.models] == [
        ("b", "folder"),
        ("c.gguf", "GGUF"),
        ("a/", "folder …"),
    ]
    assert inside.models[0].family == "llama"
    (itself,) = listed(model_list.list_paths, f"{tmp_path}/models/b/", "auto", "auto").models
    assert itself.name == f"{tmp_path}/models/b"
    assert listed(model_list.list_paths, "/no/such/place/", "auto", "auto").models == ()


async def test_a_part_of_a_name_opens_the_model(opened: Any, cache: Path) -> None:
    async with opened("Hello") as (app, pilot):
        await pilot.press("m")
        assert isinstance(app.screen, ModelPicker)
        await until(pilot, lambda: "owner/tiny" in names(app))
        assert names(app)[-1] == ""
        assert "of memory taken at the peak" in str(app.screen.query_one("#model-box").border_title)
        await pilot.press(*"owner")
        assert names(app) == ["owner/tiny", "owner"]
        assert "Takes about" in detail(app)
        assert "3 revisions are here" in detail(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.explore.model.name == "owner/tiny" and subtitle(app).endswith(" s"))


async def test_tab_completes_and_goes_on_to_the_revisions(opened: Any, cache: Path) -> None:
    async with opened("Hello") as (app, pilot):
        await pilot.press("m")
        await until(pilot, lambda: "owner/tiny" in names(app))
        await pilot.press(*"owne", "tab")
        assert app.screen.query_one(Input).value == "owner/tiny"
        await pilot.press("tab")
        assert names(app) == ["owner/tiny@step9", "owner/tiny@step10", "owner/tiny@main"]
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.explore.model.revision == "step10")
        assert "owner/tiny@step10" in str(app.explore.query_one(StatusBar).render())


async def test_stepping_through_the_revisions_keeps_prompt_and_cursor(opened: Any, cache: Path) -> None:
    async with opened("Hello") as (app, pilot):
        app.model_switch.open(Chosen("owner/tiny", "step9"))
        await until(pilot, lambda: app.explore.model.revision == "step9" and subtitle(app).endswith(" s"))
        await pilot.press("home", "right", "up")
        before = app.explore.panes.cursor
        await pilot.press("greater_than_sign")
        await until(pilot, lambda: app.explore.model.revision == "step10" and subtitle(app).endswith(" s"))
        assert app.explore.panes.cursor == before
        await pilot.press("less_than_sign")
        await until(pilot, lambda: app.explore.model.revision == "step9" and subtitle(app).endswith(" s"))
        await pilot.press("less_than_sign")
        await until(pilot, lambda: any("step9 is the first of 3" in n.message for n in app._notifications))


async def test_a_model_that_is_left_is_gone_from_memory(opened: Any, cache: Path) -> None:
    async with opened("Hello") as (app, pilot):
        left = []
        for revision in ("step9", "step10", "step9"):
            left.append(weakref.ref(app.program.model_jobs.opened.model.module))
            app.model_switch.open(Chosen("owner/tiny", revision))
            await until(pilot, lambda now=revision: app.explore.model.revision == now)
            await until(pilot, lambda: subtitle(app).endswith(" s"))
        assert [model() for model in left] == [None] * 3


async def test_a_model_without_revisions_says_so(opened: Any) -> None:
    async with opened("Hello") as (app, pilot):
        await pilot.press("greater_than_sign")
        await until(pilot, lambda: any("m opens one" in note.message for note in app._notifications))


async def test_enter_goes_into_a_folder_and_opens_a_model_in_it(opened: Any, tiny_model: Path) -> None:
    async with opened("Hello") as (app, pilot):
        await pilot.press("m")
        typed(app, str(tiny_model.parent))
        await until(pilot, lambda: names(app)[:1] == [f"{tiny_model.parent}/"])
        assert "No model" in detail(app)
        await pilot.press("enter")
        await until(pilot, lambda: str(tiny_model) in names(app))
        typed(app, str(tiny_model))
        await until(pilot, lambda: names(app)[:1] == [str(tiny_model)])
        serial = app.explore.state.serial
        await pilot.press("enter")
        await until(pilot, lambda: app.explore.state.serial > serial and subtitle(app).endswith(" s"))


async def test_a_model_that_will_not_fit_is_opened_only_by_a_second_enter(
    opened: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_list, "free_memory", lambda device: 1000)
    async with opened("Hello") as (app, pilot):
        await pilot.press("m")
        await until(pilot, lambda: "owner/tiny" in names(app))
        await pilot.press(*"owner", "enter")
        assert "it will not fit, 1.0 kB are free on cpu" in detail(app)
        assert "Enter again" in detail(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.explore.model.name == "owner/tiny")


async def test_a_typed_folder_says_what_it_takes_and_is_guarded_too(
    opened: Any, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = sum(tensor.numel() for tensor in load_file(tiny_model / "model.safetensors").values())
    monkeypatch.setattr(model_list, "free_memory", lambda device: 1000)
    async with opened("Hello") as (app, pilot):
        serial = app.explore.state.serial
        await pilot.press("m")
        typed(app, str(tiny_model))
        await until(pilot, lambda: names(app)[:1] == [str(tiny_model)] and "free on cpu" in detail(app))
        assert detail(app).startswith(f"Takes about {size_text(4 * numbers + READOUT)} as float32")
        await pilot.press("shift+tab", "shift+tab")
        wanted = f"Takes about {size_text(2 * numbers + READOUT)} as bfloat16"
        await until(pilot, lambda: detail(app).startswith(wanted))
        await pilot.press("enter")
        assert "Enter again" in detail(app)
        await pilot.press("enter")
        await until(pilot, lambda: app.explore.state.serial > serial and subtitle(app).endswith(" s"))


async def test_tab_completes_a_relative_path(
    opened: Any, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_model, tmp_path / "near" / "tiny-one")
    async with opened("Hello") as (app, pilot):
        await pilot.press("m")
        typed(app, "near/ti")
        await until(pilot, lambda: names(app) == ["near/ti", "near/tiny-one"])
        await pilot.press("tab")
        await until(pilot, lambda: names(app)[:1] == ["near/tiny-one"] and "Takes about" in detail(app))
        assert app.screen.query_one(Input).value == "near/tiny-one"
        await pilot.press("enter")
        await until(pilot, lambda: app.explore.model.name == "near/tiny-one" and subtitle(app).endswith(" s"))


async def test_what_is_only_partly_here_is_said(opened: Any, cache: Path) -> None:
    (cache / "models--half--way" / "snapshots" / "aa").mkdir(parents=True)
    (cache / "models--half--way" / "snapshots" / "aa" / "config.json").write_text("{}")
    async with opened("Hello") as (app, pilot):
        await pilot.press("m")
        await until(pilot, lambda: "owner/tiny" in names(app))
        await pilot.press(*"half/way")
        assert names(app) == ["half/way"]
        assert app.screen.query_one(ModelTable).chosen.where == "partly"
        assert "Only partly on this machine" in detail(app)
        await pilot.press("enter")  # goes on to the download, which the cache fixture forbids
        await until(pilot, lambda: any("HF_HUB_OFFLINE" in n.message for n in app._notifications))


async def test_a_path_that_leads_nowhere_is_said(opened: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    async with opened("Hello") as (app, pilot):
        await pilot.press("m")
        for path in (f"{tmp_path}/none/at", f"{tmp_path}/none", "none/at/all"):
            typed(app, path)
            await until(pilot, lambda path=path: f"no folder and no GGUF file {path}" in detail(app))
            assert names(app) == []
        typed(app, f"{tmp_path}/empty/")
        await until(pilot, lambda: "There is no model in" in detail(app))


async def test_esc_stops_a_download(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    def download(
        start: Start, on_stage: Callable[[str], None], should_stop: Callable[[], bool], **_: object
    ) -> None:
        on_stage("downloading ━━━─── 1 of 2 MB")
        while not should_stop():
            time.sleep(0.01)
        ended.append(start.model)
        raise DownloadStopped("stopped")

    async with opened("Hello") as (app, pilot):
        monkeypatch.setattr("lenstui.jobs.model.open_model", download)
        app.model_switch.open(Chosen("some/model"))
        await until(pilot, lambda: "esc stops" in str(app.explore.query_one(StatusBar).stage))
        await pilot.press("escape")
        await until(pilot, lambda: ended == ["some/model"])
        await until(pilot, lambda: any("download was stopped" in n.message for n in app._notifications))
        assert app.explore.query_one(StatusBar).stage is None
        assert app.explore.model is not None
        await pilot.press("escape")  # silent now
        assert len(app._notifications) == 1
