"""Downloads by the real child process: whole, broken off, taken up, stopped, and without room."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub  # before any test changes the environment that it reads on import
import pytest

from lenstui.model import child_process, hub, hub_process, hub_program
from lenstui.model import download as child
from lenstui.model.hub_process import DownloadProgress, DownloadStopped
from lenstui.model.hub_program import Repository
from lenstui.support.errors import LensError
from tests.programs.fake_hub import (
    COMMIT,
    FILES,
    INDEX,
    NAME,
    NEEDED,
    WEIGHTS,
    FakeHub,
    children,
    fake,
    index,
    leftovers,
    own_cache,
    runs,
    within,
)

__all__ = ["children", "fake", "own_cache"]


# Downloads


def test_a_download_is_found_in_the_cache_when_the_hub_is_gone(
    fake: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[DownloadProgress] = []
    start = time.monotonic()
    folder = hub.resolve(NAME, on_progress=seen.append)
    assert len(seen) <= 2 + 10 * (time.monotonic() - start)

    assert {file.name for file in folder.iterdir()} == NEEDED
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    total = sum(len(FILES[file]) for file in NEEDED)
    assert {p.total for p in seen} == {total}
    assert seen[-1] == DownloadProgress(total, total, "model.safetensors")

    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert hub.resolve(NAME) == folder
    theirs = huggingface_hub.try_to_load_from_cache(NAME, "config.json", cache_dir=hub.hub_cache())
    assert theirs == str(folder / "config.json")


def test_a_model_that_runs_elsewhere_needs_no_weights(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = hub.find_without_weights(NAME)
    assert {file.name for file in folder.iterdir()} == NEEDED - {"model.safetensors"}
    assert hub.find_local(NAME) is None
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert hub.find_without_weights(NAME) == folder
    with pytest.raises(LensError, match="The tokenizer of other/one is not in the cache"):
        hub.find_without_weights("other/one")


def test_a_sharded_download_is_whole(fake: FakeHub) -> None:
    weights = {f"model-0000{i}-of-00002.safetensors": bytes([i]) * 9 for i in (1, 2)}
    fake.files = {k: v for k, v in FILES.items() if k != "model.safetensors"} | weights
    fake.files[INDEX] = index(*weights)
    fake.files["consolidated.safetensors"] = b"the same again, for another program"
    folder = hub.resolve(NAME)
    assert {*weights, INDEX} < {file.name for file in folder.iterdir()}
    assert not (folder / "pytorch_model.bin").exists()
    assert not (folder / "consolidated.safetensors").exists()
    assert hub.find_local(NAME) == folder


def test_without_safetensors_the_pickled_weights_are_taken(fake: FakeHub) -> None:
    del fake.files["model.safetensors"]
    folder = hub.resolve(NAME)
    assert (folder / "pytorch_model.bin").exists()
    assert hub.find_local(NAME) == folder


@pytest.mark.parametrize("revision", ["v1", "refs/pr/1", COMMIT])
def test_a_revision_is_found_under_its_own_name_only(fake: FakeHub, revision: str) -> None:
    folder = hub.resolve(NAME, revision)
    assert hub.find_local(NAME, revision) == folder
    assert hub.find_local(NAME) is None


def test_the_files_of_a_model() -> None:
    wanted = ["tokenizer.model", "merges.txt", "chat_template.jinja", "additional_chat_templates/tools.jinja"]
    others = ["tokenizer.py", "original/tokenizer.model", "training_args.bin", "model.fp16.safetensors"]
    found = child.support_files([*FILES, *wanted, *others])
    assert set(found) == NEEDED - {"model.safetensors"} | set(wanted)
    code = {"tokenizer.py"} | {name for name in FILES if name.endswith(".py")}
    assert set(child.support_files([*FILES, *wanted, *others], with_code=True)) == set(found) | code


def test_code_is_fetched_only_where_it_is_wanted(fake: FakeHub) -> None:
    config = json.dumps(
        {"auto_map": {"AutoModelForCausalLM": "modeling_acme.Acme", "AutoConfig": "a/b--c.D"}}
    )
    fake.files |= {"config.json": config.encode(), "modeling_acme.py": b"pass", "acme_parts.py": b"pass"}
    folder = hub.resolve(NAME)
    assert not [*folder.glob("*.py")]
    assert hub.find_local(NAME) == folder
    assert hub.find_local(NAME, with_code=True) is None
    assert hub.resolve(NAME, with_code=True) == folder
    assert {file.name for file in folder.glob("*.py")} >= {"modeling_acme.py", "acme_parts.py"}
    assert hub.find_local(NAME, with_code=True) == folder


@pytest.mark.parametrize(
    ("name", "revision", "line"),
    [
        ("EleutherAI/pythia-14n", None, "has no model EleutherAI/pythia-14n: check the spelling"),
        (NAME, "step7", f"{NAME} has no revision step7: give a branch, a tag or a commit"),
        ("two words", None, "'two words' is no name of a model: names on the hub are OWNER/NAME"),
    ],
)
def test_what_the_hub_does_not_have(fake: FakeHub, name: str, revision: str | None, line: str) -> None:
    with pytest.raises(LensError, match=line) as caught:
        hub.resolve(name, revision)
    assert "\n" not in str(caught.value)


def test_a_gated_model_says_where_to_ask(fake: FakeHub) -> None:
    fake.gated = True
    with pytest.raises(LensError) as caught:
        hub.resolve(NAME)
    assert str(caught.value) == (
        f"{NAME} is gated: accept its terms on {fake.url}/{NAME}, then log in with `hf auth login`."
    )
    assert hub.find_local(NAME) is None


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({"m.gguf": b""}, "holds GGUF files alone"),
        ({"adapter_config.json": b"", "adapter_model.bin": b""}, "has its weights in a pickle"),
        ({"config.json": b"{}", "weights.npz": b""}, r"has no config\.json with model\.safetensors"),
    ],
)
def test_a_repository_that_holds_no_model(fake: FakeHub, files: dict[str, bytes], line: str) -> None:
    fake.files = files
    with pytest.raises(LensError, match=line):
        hub.resolve(NAME)


def test_a_line_that_breaks_is_taken_up_where_it_broke(fake: FakeHub) -> None:
    fake.cuts = 1
    seen: list[DownloadProgress] = []
    folder = hub.resolve(NAME, on_progress=seen.append)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    ranges = [wanted for file, wanted in fake.got if file == "model.safetensors"]
    assert len(ranges) == 2
    assert ranges[1] is not None  # not from the beginning
    assert seen[-1].done == seen[-1].total


def test_the_next_try_keeps_the_files_that_are_complete(fake: FakeHub) -> None:
    fake.cuts, fake.after_cuts = 1, 403
    with pytest.raises(LensError, match=r"answered 403 .*complete files are kept"):
        hub.resolve(NAME)
    assert hub.find_local(NAME) is None
    assert leftovers() == []
    assert "tokenizer.json" in {file for file, _ in fake.got}

    fake.got.clear()
    fake.after_cuts = 200
    folder = hub.resolve(NAME)
    assert {file for file, _ in fake.got} == {"model.safetensors"}
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_a_stop_ends_the_child_and_leaves_nothing_half(
    fake: FakeHub, children: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_process, "_GRACE", 10)  # a busy machine is no failure
    fake.hold = True
    half: list[int] = []

    def halfway() -> bool:
        half.extend(file.stat().st_size for file in leftovers())
        return bool(half) and half[-1] > 0

    with pytest.raises(DownloadStopped, match="was stopped"):
        hub.resolve(NAME, should_stop=halfway)
    assert 0 < half[-1] < len(WEIGHTS)
    assert [process.poll() is not None for process in children] == [True]
    assert leftovers() == []
    assert hub.find_local(NAME) is None


def test_a_child_that_hears_nothing_is_killed(
    fake: FakeHub, children: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = 'import time\nprint(\'{"done": 1, "total": 2, "file": "f"}\', flush=True)\ntime.sleep(60)'
    monkeypatch.setattr(child_process, "_START", deaf)
    monkeypatch.setattr(hub_process, "_GRACE", 0.1)
    seen: list[DownloadProgress] = []
    start = time.monotonic()
    with pytest.raises(DownloadStopped):
        hub.download(NAME, on_progress=seen.append, should_stop=lambda: bool(seen))
    assert time.monotonic() - start < 5
    assert children[0].poll() == -9


def test_a_child_that_dies_without_a_word(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_process, "_START", "raise SystemExit('out of luck')")
    with pytest.raises(LensError, match=r"ended without a result \(out of luck\): try again"):
        hub.resolve(NAME)


def test_modules_of_the_current_folder_or_beside_lenstui_do_not_get_into_the_child(
    fake: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed = tmp_path / "installed"
    shutil.copytree(Path(child.__file__).parents[1], installed / "lenstui")
    monkeypatch.setattr(child_process, "__file__", str(installed / "lenstui" / "model" / "hub_process.py"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    for folder in (installed, Path.cwd()):
        (folder / "huggingface_hub.py").write_text("raise SystemExit('shadowed')")
    assert hub.resolve(NAME).is_dir()


def test_the_child_ends_with_its_parent(fake: FakeHub) -> None:
    fake.hold = True
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, child.__name__, NAME, str(hub.hub_cache())],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert within(10, lambda: any(file.stat().st_size for file in leftovers()))
    assert runs(pid)
    parent.kill()
    parent.wait()
    assert within(10, lambda: not runs(pid))
    assert leftovers() == []


PARENT = """
import subprocess, sys, time
program, name, cache = sys.argv[1:]
command = [sys.executable, "-m", program, name, "main", cache]
child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
time.sleep(60)
"""


# What cannot be written


def test_a_disk_without_room_is_said_before_the_download(
    fake: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
    with pytest.raises(
        hub_program.RefusedError, match=r"needs 2\.5 GB more and .* has 0\.0 GB free: make room"
    ):
        hub_program.check_disk(NAME, tmp_path, 2_500_000_000)


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (28, "is full: make room"),
        (122, "is full"),
        (13, "cannot be written: set HF_HOME"),
        (30, "cannot be written"),
    ],
)
def test_a_disk_that_fails_is_one_clear_line(tmp_path: Path, number: int, line: str) -> None:
    said = hub_program.explain(OSError(number, "what the system says"), Repository(NAME, "main", tmp_path))
    assert line in said
    assert str(tmp_path) in said


def test_an_unknown_failure_is_one_line(tmp_path: Path) -> None:
    said = hub_program.explain(RuntimeError("first\nsecond"), Repository(NAME, "main", tmp_path))
    assert "failed (first): try again" in said
    assert "\n" not in said
