"""The program starts at once and refuses wrong calls before anything heavy is imported."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from lenstui import __version__
from lenstui.cli import screen
from lenstui.support import paths
from lenstui.support.request import Start
from tests.programs import ROOT
from tests.programs.calls import run, status


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from lenstui.cli import main\n"
        "heavy = {'torch', 'textual', 'transformers', 'numpy', 'rich', 'pyarrow', 'huggingface_hub'}\n"
        "for words in (['--help'], ['--version'], ['read', '--help'], ['read', 'x', '--top-k', '0']):\n"
        "    try: main(words)\n"
        "    except SystemExit: pass\n"
        "    print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
        "    heavy -= {'numpy'} if words == ['--version'] else set()  # the values need it\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    assert done.stdout.startswith("usage: lenstui [PROMPT]")
    assert [line for line in done.stderr.splitlines() if line.startswith("[")] == ["[]"] * 4


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("--version") == 0
    assert capsys.readouterr().out == f"lenstui {__version__}\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["read", "x", "--top-k", "0"], "argument --top-k: must be a whole number from 1 on"),
        (["read", "x", "--top-k", "-1"], "argument --top-k: "),
        (["x", "--top-k", "many"], "argument --top-k: "),
        (["read", "x", "--device", "toaster"], "unknown device 'toaster'"),
        (["read", "x", "--dtype", "int3"], "argument --dtype: invalid choice: 'int3'"),
        (["read", "x", "--format", "tiff"], "argument --format: invalid choice"),
        (
            ["read", "x", "-o", "x.tiff"],
            "the ending .tiff does not tell the format: add --format table",
        ),
        (["eval", "--data", "x", "-o", "x.html"], "the ending .html does not tell the format"),
        (["read", "x", "--lenses", "logit,sharp"], "unknown lens 'sharp'"),
        (["read", "x", "--lenses", ""], "unknown lens ''"),
        (["read", "x", "--lenses", "logit", "--lens", "mine.pt"], "--lens is of no use"),
        (["read", "x", "--lens", ""], "argument --lens: the name is empty"),
        (["read", "x", "--model", ""], "argument --model: the name is empty"),
        (["read", "x", "--against-model", ""], "argument --against-model: the name is empty"),
        (["eval", "--data", ""], "argument --data: the name is empty"),
        (["--adapter", ""], "argument --adapter: the name is empty"),
        (["read", "x", "-o", ""], "argument -o/--output: the name is empty"),
        (["scan", ""], "argument FOLDER: the name is empty"),
        (["read", "x", "--chat", "--no-bos"], "not allowed with argument"),
        (["read", "x", "--rows", "0,,4"], "'' is no row"),
        (["read", "x", "--rows", "top"], "'top' is no row"),
        (["read", "x", "--rows=-1"], "'-1' is no row"),
        (["read", "x", "--stride", "0"], "argument --stride: "),
        (["read", "x", "--rows", "0", "--stride", "2"], "not allowed with argument"),
        (["read", "x", "--value", "mood"], "argument --value: invalid choice"),
        (["read", "x", "--first", "y", "--format", "csv"], "--first is not for csv: add --format table or"),
        (["read", "x", "--first", ""], "a word to --first is empty"),
        (["read", "x", "--first"], "argument --first: expected one argument"),
        (["read", "x", "--rows", "3-0"], "'3-0' runs downwards"),
        (["read", "x", "--rows", "0,last-3"], "'last-3' runs downwards"),
        (["read", "x", "--rows", "0-emb"], "'0-emb' runs downwards"),
        (["read", "x", "--rows", "0-1-2"], "'0-1-2' is no row"),
        (["read", "x", "--pin", "y", "-o", "x.svg"], "--pin is of no use with svg"),
        (["read", "x", "--top-k", "2", "-o", "x.md"], "--top-k is of no use with md"),
        (["read", "x", "--diff", "--format", "csv"], "--diff is of no use with csv, which holds"),
        (["read", "x", "--diff", "--lenses", "tuned"], "--diff is of two lenses"),
        (["read", "x", "--no-final-norm", "--lenses", "tuned"], "--no-final-norm is of the logit lens"),
        (["read", "x", "--sublayers", "--lenses", "tuned"], "--sublayers is of the logit lens"),
        (["read", "x", "--sublayers", "--diff"], "--sublayers is of the logit lens"),
        (["read", "--prompts", "x", "--sublayers"], "--sublayers is not for --prompts"),
        (["read", "x", "--model", "a/b", "--demo"], "not allowed with argument"),
        (["read", "x", "--demo", "--revision", "main"], "--revision needs --model"),
        (
            ["read", "x", "--model", "a/b@v1", "--revision", "v2"],
            "--model names the revision v1, --revision v2: leave one out",
        ),
        (["read", "x", "--value", "pin-rank"], "--value pin-rank is of a word: name it with --pin"),
        (["read", "x", "--value", "pin-diff", "--pin", "y"], "--value pin-diff is of two words: name both"),
        (["read", "x", "--pin"], "argument --pin: expected at least one argument"),
        (["read", "x", "--pin", ""], "a word to --pin is empty"),
        (["read", "x", "--pin", *"abcdefghi"], "9 words are pinned: at most 8"),
        (["read", "--pin", "y", "x"], "give a PROMPT, before --pin, which takes all words behind it"),
        (["read", "x", "--form", "json"], "unrecognized arguments: --form"),
        (["read"], "give a PROMPT"),
        (["read", ""], "the prompt is empty"),
        (["read", "x", "-p", "y"], "two prompts are given"),
        (["read", "x", "-p"], "argument -p/--prompt: expected one argument"),
        (["read", "caf\udce9"], "the prompt is not valid UTF-8"),
        (["read", "x", "--instant", "--lenses", "logit"], "--instant is of no use with --lenses logit"),
        (["paths", "x"], "unrecognized arguments: x"),
        ([""], "the prompt is empty"),
        ([], "give a PROMPT or --turns: standard output is no terminal"),
        (["read", "x", "--\x1b[2J"], "unrecognized arguments: --\\x1b[2J"),
    ],
)
def test_a_wrong_call_is_status_2_and_one_line(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status(*words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("lenstui: ")
    assert complaint in captured.err
    assert captured.err[:-1].isprintable()


@pytest.mark.parametrize("name", ["a" * 4096, "x" * 1_000_000], ids=len)
@pytest.mark.parametrize(
    "words",
    [
        ["convert", "{}", "a.pt"],
        ["lenses", "--curve", "{}"],
        ["read", "x", "--demo", "-o", "{}.csv"],
        ["read", "x", "--demo", "-o", "{}.svg"],
        ["read", "x", "--form", "{}"],
        ["read", "x", "--lens", "{}", "--demo"],
        ["read", "x", "--model", "{}"],
        ["scan", "{}"],
        ["eval", "--data", "{}"],
        ["train", "--demo", "--resume", "{}"],
        ["train", "--demo", "--save", "{}.pt"],
    ],
)
def test_a_line_is_of_bounded_length(words: list[str], name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status(*(word.format(name) for word in words)) != 0
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) <= 300


def test_paths(capsys: pytest.CaptureFixture[str]) -> None:
    assert status("paths") == 0
    shown = dict(re.split(r" {2,}", line) for line in capsys.readouterr().out.splitlines())
    assert shown["lenses"] == str(paths.lenses())
    assert shown["bundled model"] == str(paths.bundled_model())
    assert "model cache" in shown


def test_ctrl_c_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(words: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(screen, "run", interrupted)
    assert status("x") == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("words", [["paths"], ["--help"]])
def test_a_reader_who_has_seen_enough_is_no_failure(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = run(*words, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_said() -> None:
    with Path("/dev/full").open("wb") as full:
        done = run("paths", stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == b"lenstui: Standard output: No space left on device.\n"


# The screen.


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Start]:
    """What the screen was started with; a terminal is on both sides."""
    calls: list[Start] = []

    def run(start: Start, *habits: object, **options: object) -> int:
        calls.append(start)
        return 0

    app = types.ModuleType("lenstui.tui.app")
    monkeypatch.setattr(app, "run", run, raising=False)
    monkeypatch.setitem(sys.modules, "lenstui.tui.app", app)
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setenv("COLORTERM", "truecolor")  # so that no terminal is asked, as there is none
    return calls


@pytest.mark.parametrize(
    ("words", "start"),
    [
        ([], Start()),
        (["The sky is"], Start(prompt="The sky is")),
        (["-p", "read"], Start(prompt="read")),
        (["--no-bos", "-p", "--demo"], Start(prompt="--demo", bos=False)),
        (["--", "-p"], Start(prompt="-p")),
        (["--demo", "--top-k", "5", "--bos"], Start(demo=True, top_k=5, bos=True)),
        (["--model", "a/b@v1"], Start(model="a/b", revision="v1")),
        (["--model", "a/b@v1", "--revision", "v1"], Start(model="a/b", revision="v1")),
        (["--model", "./a@b"], Start(model="./a@b")),
        (["x", "--chat"], Start(prompt="x", chat=True)),
        (
            [
                "x",
                "--model",
                "a/b",
                "--revision",
                "v1",
                "--lens",
                "m.pt",
                "--device",
                "cuda:1",
                "--dtype",
                "float16",
            ],
            Start("x", "a/b", "v1", lenses=(Path("m.pt"),), device="cuda:1", dtype="float16"),
        ),
    ],
)
def test_the_screen_is_told_what_was_asked_for(words: list[str], start: Start, started: list[Start]) -> None:
    assert status(*words) == 0
    assert started == [start]


# The bundled model.


@pytest.mark.skipif(
    not (paths.bundled_model() / "model.safetensors").is_file(), reason="the bundled model is not made yet"
)
def test_the_bundled_model_and_why_it_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    own_lens = "bundled.pt" if (paths.bundled_model() / "bundled.pt").is_file() else None
    for words, reason in (["--demo"], ""), ([], "EleutherAI/pythia-14m is not in the cache"):
        assert status("read", "The sky is", "--format", "json", *words) == 0
        captured = capsys.readouterr()
        content = json.loads(captured.out)
        assert (content["model"], content["lens"]) == ("bundled model", own_lens)
        assert (reason in captured.err) and bool(captured.err) == bool(reason)
