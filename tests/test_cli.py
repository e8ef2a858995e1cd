from __future__ import annotations

import csv
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.cells import cell_len

from lenstui import __version__, paths
from lenstui.cli import main, read, screen
from lenstui.export.values import VALUES
from lenstui.start import Start

ROOT = Path(__file__).parents[1]
STORY = "Once upon a time there was a little girl named"
HOSTILE = "\x1b[31m[bold]red[/]\n\t\r😀👩\u200d👧 日本語 שלום\u202e e\u0301 \x9b2J"
CONTEXT = 96  # of the tiny model: enough for HOSTILE, byte by byte


def run(*words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """`lenstui` as a program of its own, offline, its output piped."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, "-m", "lenstui", *words],
        capture_output="stdout" not in options,
        env=environment | options.pop("env", {}),
        check=False,
        timeout=120,
        **options,
    )


def status(*words: str) -> int:
    """`lenstui` in this process; what it printed is for capsys."""
    try:
        return main(words)
    except SystemExit as leaving:
        return int(leaving.code or 0)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> Path:
    """Folder of a random GPT-NeoX of two blocks that reads bytes, with a random tuned lens beside it."""
    import torch
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    from lenstui.lens import TunedLens, save_lens

    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=258,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=CONTEXT,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=1,
    )
    folder = tmp_path_factory.mktemp("models") / "tiny"
    GPTNeoXForCausalLM(config).save_pretrained(folder)
    byte_tokenizer.save_pretrained(folder)
    save_lens(TunedLens(torch.randn(2, 32, 32) / 20, torch.randn(2, 32) / 20), folder.parent / "mine.pt")
    return folder


# The program starts at once and refuses wrong calls before anything heavy is imported.


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from lenstui.cli import main\n"
        "for words in (['--help'], ['read', '--help'], ['--version'], ['read', 'x', '--top-k', '0']):\n"
        "    try: main(words)\n"
        "    except SystemExit: pass\n"
        "heavy = {'torch', 'textual', 'transformers', 'numpy', 'rich', 'pyarrow', 'huggingface_hub'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    assert done.stdout.startswith("usage: lenstui [PROMPT]")
    assert done.stderr.splitlines()[-1] == "[]"


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
        (["read", "x", "--format", "pdf"], "argument --format: invalid choice"),
        (
            ["read", "x", "-o", "x.pdf"],
            "the ending .pdf does not tell the format: add --format table",
        ),
        (["eval", "--data", "x", "-o", "x.csv"], "the ending .csv does not tell the format"),
        (["read", "x", "--lenses", "logit,sharp"], "unknown lens 'sharp'"),
        (["read", "x", "--lenses", ""], "unknown lens ''"),
        (["read", "x", "--lenses", "logit", "--lens", "mine.pt"], "--lens is of no use"),
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
        (["read", "x", "--diff", "--lenses", "tuned"], "--diff is of both lenses"),
        (["read", "x", "--no-final-norm", "--lenses", "tuned"], "--no-final-norm is of the logit lens"),
        (["read", "x", "--sublayers", "--lenses", "tuned"], "--sublayers is of the logit lens"),
        (["read", "x", "--sublayers", "--diff"], "--sublayers is of the logit lens"),
        (["read", "--prompts", "x", "--sublayers"], "--sublayers is not for --prompts"),
        (["read", "x", "--model", "a/b", "--demo"], "not allowed with argument"),
        (["read", "x", "--demo", "--revision", "main"], "--revision needs --model"),
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
        (["paths", "x"], "unrecognized arguments: x"),
        ([""], "the prompt is empty"),
        ([], "give a PROMPT: standard output is no terminal"),
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

    app = types.ModuleType("lenstui.ui.app")
    monkeypatch.setattr(app, "run", run, raising=False)
    monkeypatch.setitem(sys.modules, "lenstui.ui.app", app)
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True)
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
            Start("x", "a/b", "v1", lens=Path("m.pt"), device="cuda:1", dtype="float16"),
        ),
    ],
)
def test_the_screen_is_told_what_was_asked_for(words: list[str], start: Start, started: list[Start]) -> None:
    assert status(*words) == 0
    assert started == [start]


# Readouts.


@pytest.fixture(scope="session")
def story(shared: Path) -> dict[str, Any]:
    """The contract of section 10, for a trained model, through a pipe."""
    folder = shared / "models" / "stories15M"
    if not folder.is_dir():
        pytest.skip("stories15M is not here")
    done = run("read", STORY, "--model", str(folder), "--format", "json", "--device", "cpu")
    assert (done.returncode, done.stderr) == (0, b"")
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def test_json_says_what_was_read(story: dict[str, Any], shared: Path) -> None:
    assert story["model"] == str(shared / "models" / "stories15M")
    assert (story["version"], story["lenstui"]) == (1, __version__)
    assert (story["dtype"], story["revision"], story["lens"], story["pins"]) == ("float32", None, None, [])
    assert story["prompt"] == STORY
    assert story["tokens"] == ["<s>", *("·" + word for word in STORY.split())]
    assert story["rows"] == ["emb", "0", "1", "2", "3", "4", "5"]
    assert story["lenses"]["tuned"] is None


def test_json_has_the_shape_of_the_contract(story: dict[str, Any]) -> None:
    rows, columns = len(story["rows"]), len(story["token_ids"])
    logit = story["lenses"]["logit"]
    for name in ("entropy", "kl", "final_rank", "next_logprob", "next_rank"):
        assert [len(row) for row in logit[name]] == [columns] * rows
    for name in ("top_ids", "top_tokens", "top_logits", "top_probs"):
        assert [[len(cell) for cell in row] for row in logit[name]] == [[3] * columns] * rows
    assert [row[-1] for name in ("next_logprob", "next_rank") for row in logit[name]] == [None] * (2 * rows)
    assert None not in [number for name in ("next_logprob", "next_rank") for number in logit[name][0][:-1]]


def test_json_equals_a_naive_computation(story: dict[str, Any], shared: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(shared / "models" / "stories15M", dtype=torch.float32)
    ids = torch.tensor(story["token_ids"])
    last: list[torch.Tensor] = []
    model.model.norm.register_forward_pre_hook(lambda norm, args: last.append(args[0][0]))
    with torch.no_grad():
        output = model(ids[None], output_hidden_states=True)
        h = torch.stack([*(state[0] for state in output.hidden_states[:-1]), last[0]])
        logits = model.lm_head(model.model.norm(h))  # [rows, cols, vocabulary]
    own = output.logits[0].log_softmax(-1)
    _compare(story["lenses"]["logit"], logits, own, ids, story["rows"])


def _compare(shown: dict[str, Any], logits: Any, own: Any, ids: Any, rows: list[str]) -> None:
    """Hold one lens against naive logits `[rows, cols, vocabulary]`; `own`: the model's log-probabilities."""
    import torch

    def close(name: str, wanted: torch.Tensor) -> None:
        torch.testing.assert_close(torch.tensor(shown[name]), wanted, atol=1e-4, rtol=1e-4, msg=name)

    log_probs = logits.log_softmax(-1)
    top_ids = torch.tensor(shown["top_ids"])
    close("top_logits", logits.topk(top_ids.shape[-1]).values)
    close("top_logits", logits.gather(-1, top_ids))
    close("top_probs", log_probs.gather(-1, top_ids).exp())
    close("entropy", -(log_probs.exp() * log_probs).sum(-1))
    close("kl", (own.exp() * (own - log_probs)).sum(-1))
    # The last row is the model's own output.
    torch.testing.assert_close(
        torch.tensor(shown["top_probs"][-1]), own.gather(-1, top_ids[-1]).exp(), atol=1e-5, rtol=1e-5
    )
    assert max(shown["kl"][-1]) < 1e-5
    assert set(shown["final_rank"][-1]) == {0}

    following = ids[1:].expand(len(rows), -1)[..., None]
    next_logprob = log_probs[:, :-1].gather(-1, following)[..., 0]
    shown["next_logprob"] = [row[:-1] for row in shown["next_logprob"]]
    close("next_logprob", next_logprob)

    # Ranks may move where two logits are equal up to rounding.
    def check_rank(name: str, tokens: torch.Tensor) -> None:
        rank = torch.tensor([row[: tokens.shape[1]] for row in shown[name]])
        reached = logits[:, : tokens.shape[1]]
        own_logit = reached.gather(-1, tokens)
        assert ((reached > own_logit + 1e-4).sum(-1) <= rank).all()
        assert (rank <= (reached > own_logit - 1e-4).sum(-1)).all()

    check_rank("final_rank", own.argmax(-1).expand(len(rows), -1)[..., None])
    check_rank("next_rank", following)

    for column, label in enumerate(shown["crystallization"]):
        settled = [row[column][0] == shown["top_ids"][-1][column][0] for row in shown["top_ids"]]
        first = rows.index(label)
        assert all(settled[first:])
        assert first == 0 or not settled[first - 1]


def test_both_lenses_in_json_equal_a_naive_computation(tiny: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    lens_file, file = tiny.parent / "mine.pt", tmp_path / "out.json"
    words = (
        "read",
        "naive?",
        "--model",
        str(tiny),
        "--lens",
        str(lens_file),
        "--top-k",
        "5",
        "-o",
        str(file),
    )
    assert status(*words) == 0
    content = json.loads(file.read_bytes())
    assert (content["lens"], content["rows"]) == ("mine.pt", ["emb", "0", "1"])

    model = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    state = torch.load(lens_file, weights_only=True)["state_dict"]
    ids = torch.tensor(content["token_ids"])
    last: list[torch.Tensor] = []
    model.gpt_neox.final_layer_norm.register_forward_pre_hook(lambda norm, args: last.append(args[0][0]))
    with torch.no_grad():
        output = model(ids[None], output_hidden_states=True)
        h = torch.stack([*(state[0] for state in output.hidden_states[:-1]), last[0]])
        translated = torch.stack(
            [*(h[i] + h[i] @ state[f"{i}.weight"].T + state[f"{i}.bias"] for i in range(2)), h[2]]
        )
        own = output.logits[0].log_softmax(-1)
        for name, stream in (("logit", h), ("tuned", translated)):
            logits = model.get_output_embeddings()(model.gpt_neox.final_layer_norm(stream))
            _compare(content["lenses"][name], logits, own, ids, content["rows"])


def test_a_hostile_prompt_through_a_pipe_is_a_plain_aligned_table(tiny: Path) -> None:
    done = run(HOSTILE, "--model", str(tiny))  # no subcommand: stdout is no terminal
    assert (done.returncode, done.stderr) == (0, b"")
    shown = done.stdout.decode()
    assert all(line.isprintable() and cell_len(line) <= 100 for line in shown.splitlines()[:-1])
    assert "\\x1b" in shown
    for group in shown.split("\n\n")[:-1]:
        body = [line for line in group.splitlines() if re.match(r"    (emb|  \d)  ", line)]
        assert len(body) == 3
        ends = {tuple(cell_len(line[: m.end()]) for m in re.finditer(r"\d%(?=  |$)", line)) for line in body}
        assert len(ends) == 1
    assert "wiring ok" in shown.splitlines()[-1]


def test_wide_and_hidden_characters_of_a_real_vocabulary_are_aligned(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shared / "models" / "stories260K"
    if not folder.is_dir():
        pytest.skip("stories260K is not here")
    assert status("read", HOSTILE, "--model", str(folder), "--lenses", "logit", "--value", "kl") == 0
    shown = capsys.readouterr().out
    assert shown.isascii() is False
    assert shown.replace("\n", "").isprintable()


def test_rows_and_stride(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def rows(*words: str) -> list[str]:
        assert status("read", "hi", "--model", str(tiny), "--format", "json", *words) == 0
        labels: list[str] = json.loads(capsys.readouterr().out)["rows"]
        return labels

    assert rows("--rows", "emb,last") == ["emb", "1"]
    assert rows("--rows", "0") == ["0", "1"]
    assert rows("--rows", "emb-0") == ["emb", "0", "1"]
    assert rows("--rows", "1-last,0-0") == ["0", "1"]
    assert rows("--stride", "2") == ["emb", "1"]
    assert rows("--stride", "7") == ["emb", "1"]


def test_lenses_and_values(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("read", "hi", "--model", str(tiny), "--lens", str(tiny.parent / "mine.pt"))
    assert status(*words, "--value", "rank", "--top-k", "2") == 0
    both = capsys.readouterr().out
    assert re.findall(r"^(\w+) lens · (.+)$", both, re.MULTILINE) == [
        ("logit", "rank of final top-1"),
        ("tuned", "rank of final top-1"),
    ]
    assert both.splitlines()[-1].endswith("tuned lens mine.pt")
    assert status(*words, "--lenses", "tuned", "--format", "json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["lenses"]["logit"] is None
    assert content["lens"] == "mine.pt"

    plain = ("read", "hi", "--model", str(tiny))
    assert status(*plain, "--lenses", "logit,tuned") == 0
    captured = capsys.readouterr()
    assert "There is no tuned lens for" in captured.err
    assert captured.out.splitlines()[-1].endswith("without a tuned lens")
    assert status(*plain, "--lenses", "tuned") == 1
    assert "name one with --lens FILE, or fit one with lenstui train" in capsys.readouterr().err


def test_the_values_are_those_of_the_screen() -> None:
    assert [value.key for value in VALUES] == list(read._VALUES)
    assert {value.key: value.pins for value in VALUES if value.pins} == read._PIN_VALUES


def test_the_difference_of_two_words(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("read", "hi", "--model", str(tiny), "--pin", "z", "q")
    assert status(*words, "--value", "pin-diff", "--format", "md") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("**logit lens** · logit of z − q\n")
    assert status(*words, "--format", "json") == 0
    one, other = (np.array(pin["logit"]["logprob"]) for pin in json.loads(capsys.readouterr().out)["pins"])
    lines = shown.splitlines()[4 : 4 + len(one)]
    numbers = [[float(number) for number in re.findall(r"-?[0-9.]+(?= \|)", line)[-2:]] for line in lines]
    np.testing.assert_allclose(numbers[::-1], one - other, atol=0.006)
    assert status(*words[:-1], "z", "--value", "pin-diff") == 1
    assert "all words to --pin are the same one" in capsys.readouterr().err


def test_csv_and_parquet_say_what_json_says(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("read", "hi you", "--model", str(tiny), "--lens", str(tiny.parent / "mine.pt"), "--pin", "z")
    assert status(*words, "--format", "json") == 0
    content = json.loads(capsys.readouterr().out)
    assert status(*words, "--format", "csv") == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(lines) == 2 * len(content["rows"]) * len(content["tokens"])
    rows = pq.read_table(_written(tmp_path / "out.parquet", *words)).to_pylist()
    for line, row in zip(lines, rows, strict=True):
        column, index = int(line["column"]), int(line["row_index"])
        lens = content["lenses"][line["lens"]]
        assert (line["row"], line["token"]) == (content["rows"][index], content["tokens"][column])
        assert row["top_3_token"] == line["top_3_token"] == lens["top_tokens"][index][column][2]
        assert float(line["kl"]) == lens["kl"][index][column]
        assert row["kl"] == pytest.approx(lens["kl"][index][column], rel=1e-6)
        pin = content["pins"][0]
        assert (line["pin_1_word"], int(line["pin_1_id"])) == ("z", pin["id"])
        assert row["pin_1_rank"] == int(line["pin_1_rank"]) == pin[line["lens"]]["rank"][index][column]


def _written(file: Path, *words: str) -> Path:
    """The file, its form told by its ending."""
    assert status(*words, "-o", str(file)) == 0
    assert [path.name for path in file.parent.iterdir()] == [file.name], "nothing else is left behind"
    return file


def test_parquet_through_a_pipe_but_not_to_a_terminal(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run("read", "hi", "--model", str(tiny), "--format", "parquet")
    assert (done.returncode, done.stderr) == (0, b"")
    assert pq.read_table(io.BytesIO(done.stdout)).num_rows == 3 * 2
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert status("read", "hi", "--model", str(tiny), "--format", "parquet") == 2
    assert "parquet is nothing for a terminal: name a file with -o" in capsys.readouterr().err


def test_pins_in_a_table_and_a_word_that_is_no_token(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("read", "hi", "--model", str(tiny), "--pin", "z", "zebra", "yak", "--rows", "last") == 0
    captured = capsys.readouterr()
    assert captured.err == (
        "lenstui: No token is the word 'yak': the first of those it is cut into, y, is pinned.\n"
    )
    title, heads, row, *_ = captured.out.split("\n\n")[1].splitlines()
    assert title == "logit lens · pinned, in the last column: probability, rank"
    assert heads.split() == ["z", "y"]
    assert re.fullmatch(r"1( +<?[0-9.]+% +[0-9]+){2}", row)


def test_the_difference_of_the_lenses(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("read", "hi", "--model", str(tiny), "--lens", str(tiny.parent / "mine.pt"), "--rows", "emb")
    assert status(*words, "--diff", "--value", "kl") == 0
    shown = capsys.readouterr().out
    assert status(*words, "--format", "json") == 0
    lenses = json.loads(capsys.readouterr().out)["lenses"]
    assert shown.startswith("tuned lens − logit lens · KL from final · ≠ another token leads\n")
    numbers = re.findall(r"([+−])([0-9.]+)( ≠|(?=  |$))", shown.splitlines()[3].removeprefix("    emb"))
    assert len(numbers) == 2
    for column, (sign, number, mark) in enumerate(numbers):
        difference = lenses["tuned"]["kl"][0][column] - lenses["logit"]["kl"][0][column]
        leads = [lens["top_ids"][0][column][0] for lens in lenses.values()]
        assert (sign == "+") == (difference > 0)
        assert float(number) == pytest.approx(abs(difference), abs=0.01)
        assert (mark == " ≠") == (leads[0] != leads[1])


def test_what_the_model_says_is_read_too(tiny: Path, tmp_path: Path) -> None:
    import torch
    from transformers import GPTNeoXForCausalLM

    for name in "abc":
        (tmp_path / name).mkdir()
    page = _written(tmp_path / "a" / "a.json", "read", "hi", "--model", str(tiny), "--append", "4")
    content = json.loads(page.read_text("utf-8"))
    model, ids = GPTNeoXForCausalLM.from_pretrained(tiny).eval(), content["token_ids"]
    assert len(ids) == 2 + 4
    for end in range(2, len(ids)):
        with torch.inference_mode():
            logits = model(torch.tensor([ids[:end]])).logits[0, -1]
        assert int(logits.argmax()) == ids[end]
    assert content["prompt"].startswith("hi")
    assert [row[-1] for row in content["lenses"]["logit"]["next_rank"]] == [None] * 3

    figure = _written(
        tmp_path / "b" / "a.svg", "read", "hi", "--model", str(tiny), "--append", "4"
    ).read_text("utf-8")
    assert "lenstui read -p hi --append 4 --model" in html.unescape(figure)
    full = _written(
        tmp_path / "c" / "b.json", "read", "h" * (CONTEXT - 1), "--model", str(tiny), "--append", "4"
    )
    assert len(json.loads(full.read_text("utf-8"))["token_ids"]) == CONTEXT


def test_the_difference_in_files(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("read", "hi", "--model", str(tiny), "--lens", str(tiny.parent / "mine.pt"), "--diff")
    for form in ("html", "svg", "md"):
        file = tmp_path / f"out.{form}"
        assert status(*words, "--value", "entropy", "-o", str(file)) == 0
        text = file.read_text()
        assert "tuned lens − logit lens" in text.lower()
        assert "--diff --value entropy" in text
    assert capsys.readouterr().out == ""


def test_without_the_final_norm(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def read(*words: str) -> Any:
        assert status("read", "hi", "--model", str(tiny), "--format", "json", *words) == 0
        return json.loads(capsys.readouterr().out)

    bare, whole = read("--no-final-norm"), read()
    assert (bare["final_norm"], whole["final_norm"]) == (False, True)
    entropy, wanted = (content["lenses"]["logit"]["entropy"] for content in (bare, whole))
    assert entropy[-1] == wanted[-1]
    assert entropy[0] != wanted[0]
    assert status("read", "hi", "--model", str(tiny), "--no-final-norm") == 0
    assert capsys.readouterr().out.endswith("· logit lens without the final norm\n")


def test_a_prompt_in_the_chat_template(
    tiny: Path, tmp_path: Path, chat_tokenizer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "chatty"
    shutil.copytree(tiny, folder)
    chat_tokenizer.save_pretrained(folder)
    assert status("read", "hi", "--model", str(folder), "--chat", "--format", "json") == 0
    content = json.loads(capsys.readouterr().out)
    said = [{"role": "user", "content": "hi"}]
    theirs = chat_tokenizer.apply_chat_template(said, add_generation_prompt=True, return_dict=False)
    assert (content["token_ids"], content["prompt"], content["chat"]) == (theirs, "hi", True)
    assert status("read", "hi", "--model", str(folder), "--chat", "--format", "md") == 0
    page = capsys.readouterr().out
    assert "prompt in the chat template" in page
    assert re.search(r"lenstui read -p hi .*--chat", page)
    assert status("read", "hi", "--model", str(tiny), "--chat") == 1
    assert "This tokenizer has no chat template." in capsys.readouterr().err


def test_sublayers(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lens = tiny.parent / "mine.pt"
    words = ("read", "hi", "--model", str(tiny), "--lens", str(lens), "--format", "json")
    assert status(*words, "--sublayers", "--rows", "0") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["rows"] == ["0.attn", "0.mlp", "0", "1.attn", "1.mlp", "1"]  # side by side
    assert status(*words, "--rows", "0") == 0
    without = json.loads(capsys.readouterr().out)
    assert (content["sublayers"], without["sublayers"], without["rows"]) == (True, False, ["0", "1"])
    for name, lens_ in content["lenses"].items():
        assert [lens_["top_ids"][row] for row in (2, 5)] == without["lenses"][name]["top_ids"]
        assert lens_["crystallization"] == without["lenses"][name]["crystallization"]
    assert content["lenses"]["tuned"]["kl"][:2] == [[None, None]] * 2


@pytest.mark.parametrize("ending", ["md", "svg", "html"])
def test_the_command_in_a_page_makes_it_again(ending: str, tiny: Path, tmp_path: Path) -> None:
    """Found in the page, run by a shell, it writes the same page."""
    lens, prompt = tiny.parent / "mine.pt", "it's |\n`$x`"
    (tmp_path / "first").mkdir()
    first = _written(
        *(tmp_path / "first" / f"page.{ending}", "read", prompt, "--model", str(tiny), "--lens", str(lens)),
        *("--rows", "emb-0,last", "--bos", "--no-final-norm", "--sublayers"),
        *(["--value", "kl", "--pin", "z"] if ending != "svg" else ["--value", "pin-diff", "--pin", "z", "q"]),
    ).read_text("utf-8")
    (command,) = re.findall(r"lenstui read -p .*?page\.\w+", html.unescape(first))
    program = f"{sys.executable} -m lenstui"
    again = subprocess.run(
        ["bash", "-c", command.replace("lenstui", program, 1)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"},
        check=True,
        timeout=120,
    )
    assert again.returncode == 0
    assert (tmp_path / f"page.{ending}").read_text("utf-8") == first


def test_a_file_that_was_there_stays_until_the_new_one_is_whole(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> Iterator[str]:
        yield "half"
        raise OSError(28, "No space left on device")

    from lenstui.export import csv_text

    file, link = tmp_path / "out.csv", tmp_path / "link.csv"
    file.write_text("old")
    link.symlink_to(file)
    with monkeypatch.context() as patch:
        patch.setattr(csv_text, "csv_text", broken)
        assert status("read", "x", "--model", str(tiny), "-o", str(link)) == 1
    assert f"{link} cannot be written: No space left on device." in capsys.readouterr().err
    assert file.read_text() == "old"
    assert status("read", "x", "--model", str(tiny), "-o", str(link)) == 0
    assert link.is_symlink() and file.read_text().startswith("lens,row,")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.csv", "out.csv"]


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="there is no /dev/null here")
def test_a_device_is_written_as_it_is(tiny: Path) -> None:
    assert status("read", "x", "--model", str(tiny), "--format", "csv", "-o", "/dev/null") == 0
    assert Path("/dev/null").is_char_device()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tiny: Path, tmp_path: Path, capsys: Any) -> None:
    tmp_path.chmod(0o555)
    assert status("read", "x", "--model", str(tiny), "-o", str(tmp_path / "x.csv")) == 1
    assert "x.csv may not be written: choose another folder." in capsys.readouterr().err


def test_the_prompt_from_standard_input(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read_with(data: bytes) -> int:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="ascii"))
        return status("read", "-", "--model", str(tiny), "--format", "json", "--bos")

    assert read_with("zwei\nZeilen ü\n".encode()) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["prompt"] == "zwei\nZeilen ü"
    assert content["tokens"][:6] == ["<bos>", "z", "w", "e", "i", "⏎"]
    assert read_with(b"\n") == 2
    assert read_with(b"\xff") == 1
    assert capsys.readouterr().err.splitlines() == [
        "lenstui: the prompt is empty (see lenstui read --help)",
        "lenstui: Standard input is not UTF-8 text (byte 0).",
    ]


def test_a_prompt_longer_than_the_context_is_cut_and_that_is_said(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("read", "ab" * CONTEXT, "--model", str(tiny), "--format", "json") == 0
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["tokens"]) == CONTEXT
    assert captured.err == (
        f"lenstui: The prompt has {2 * CONTEXT} tokens and the model reads {CONTEXT}: "
        f"the first {CONTEXT} were cut.\n"
    )


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--model", "/nowhere/\x1b[2J"], "No such folder: /nowhere/\\x1b[2J"),
        (["--model", "TINY", "--lens", "/nowhere.pt"], "There is no lens file /nowhere.pt."),
        (["--model", "TINY", "--rows", "99"], "There is no row 99"),
        (["--model", "TINY", "--rows", "0-99"], "There is no row 99: this model has rows emb, 0 … 1."),
        (["--model", "TINY", "--diff"], "There is no tuned lens for"),
        (["--model", "TINY", "--device", "cuda:99"], "There is no cuda:99 here"),
        (["--model", "TINY", "-o", "/nowhere/out.txt"], "There is no folder /nowhere to write out.txt to."),
        (["--model", "TINY", "-o", "/"], "/ is a folder"),
    ],
)
def test_a_failure_is_status_1_and_one_line(
    words: list[str], complaint: str, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("read", "x", *(str(tiny) if word == "TINY" else word for word in words)) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"lenstui: {complaint}")
    assert captured.err[:-1].isprintable()


def test_a_terminal_gets_styles_and_progress_unless_it_asks_for_none(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def read() -> tuple[str, str]:
        assert status("read", "[red]x", "--model", str(tiny)) == 0
        captured = capsys.readouterr()
        return captured.out, captured.err

    plain, quiet = read()
    assert quiet == ""
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    styled, stages = read()
    assert "\x1b[" in styled
    assert re.sub(r"\x1b\[[0-9;]*m", "", styled) == plain
    assert "checking the wiring …" in stages
    assert stages.endswith("\r\x1b[K")
    monkeypatch.setenv("NO_COLOR", "1")
    assert read()[0] == plain


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
