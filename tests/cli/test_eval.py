"""`lenstui eval`: its figures against plain means of naive logits, its output, its complaints."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from lenstui import __version__
from lenstui.evaluation.measures import MEASURE_NAMES
from lenstui.lens import Quality, TunedLens, evaluate, load, save_lens
from lenstui.lens.compatibility import lens_config
from tests.programs import ROOT
from tests.programs.calls import status
from tests.programs.eval_calls import WORDS, judged, text
from tests.programs.forked import Forked
from tests.tiny.folders import CONTEXT

__all__ = ["judged", "text"]

LENGTH = 32


def naive(
    folder: Path, documents: list[str], length: int, most: int, lens: TunedLens | None, norm: str
) -> dict[str, np.ndarray]:
    """KL, cross-entropy, agreement `[rows]` and KL of each block `[blocks, rows]`, in float64.

    Ids, hidden states and head are taken from transformers alone.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    module = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    begin = [i for i in tokenizer("a")["input_ids"] if i == tokenizer.bos_token_id]
    ids = [
        i
        for text in documents
        for i in (*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id)
    ]
    step = length - len(begin)
    blocks = [begin + ids[s : s + step] for s in range(0, len(ids) - step + 1, step)][:most]
    kl, ce, agreement = [], [], []
    for block in blocks:
        caught: list[torch.Tensor] = []
        handle = module.get_submodule(norm).register_forward_pre_hook(
            lambda _, args, caught=caught: caught.append(args[0])
        )
        with torch.no_grad():
            states = module(torch.tensor([block]), output_hidden_states=True).hidden_states
            handle.remove()
            h = torch.cat([*states[:-1], caught[0]])
            if lens is not None:
                moved = torch.einsum("rtd,red->rte", h[:-1], lens.weight) + lens.bias[:, None]
                h = torch.cat([h[:-1] + moved, h[-1:]])
            logits = module.get_output_embeddings()(module.get_submodule(norm)(h)).double()
        log_probs = logits.log_softmax(-1)
        kl.append((log_probs[-1].exp() * (log_probs[-1] - log_probs)).sum(-1))
        ce.append(-log_probs[:, torch.arange(len(block) - 1), torch.tensor(block[1:])])
        agreement.append((logits.argmax(-1) == logits[-1].argmax(-1)).double())
    return {
        "kl": torch.cat(kl, 1).mean(1).numpy(),
        "ce": torch.cat(ce, 1).mean(1).numpy(),
        "top1_agreement": torch.cat(agreement, 1).mean(1).numpy(),
        "blocks": torch.stack([k.mean(1) for k in kl]).numpy(),
    }


def assert_same(ours: dict[str, Any], wanted: dict[str, np.ndarray]) -> None:
    for key in ("kl", "ce"):
        np.testing.assert_allclose(ours[key], wanted[key], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours["top1_agreement"], wanted["top1_agreement"], atol=0.002)  # near ties
    # What a bootstrap of runs of neighbouring blocks, in a circle, has in the limit of many draws.
    blocks = len(wanted["blocks"])
    run = next(length for length in range(9, 0, -1) if length**3 <= blocks)
    off = wanted["blocks"] - wanted["blocks"].mean(axis=0)
    runs = sum(np.roll(off, -place, axis=0) for place in range(run)) / run
    sem = np.sqrt((runs**2).mean(axis=0) * run / blocks / (1 - run / blocks))
    np.testing.assert_allclose(ours["kl_sem"], sem, rtol=0.08, atol=1e-6)


# The figures.


@pytest.mark.parametrize("tuned", [False, True])
def test_the_figures_of_a_random_model(
    neox_folder: Path, text: str, judged: Callable[..., Any], tuned: bool
) -> None:
    lens = neox_folder.parent / "mine.pt"
    words = ("--lens", str(lens)) if tuned else ()
    content = judged("--data", text, "--seq-len", str(LENGTH), *words)
    norm = "gpt_neox.final_layer_norm"
    assert_same(content["logit"], naive(neox_folder, WORDS, LENGTH, 1000, None, norm))
    if tuned:
        state = torch.load(lens, weights_only=True)["state_dict"]
        weight, bias = (
            torch.stack([state[f"{row}.{part}"] for row in (0, 1)]) for part in ("weight", "bias")
        )
        assert_same(content["tuned"], naive(neox_folder, WORDS, LENGTH, 1000, TunedLens(weight, bias), norm))
    else:
        assert content["tuned"] is None


def test_the_figures_of_a_real_model(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, corpus = shared / "models" / "stories260K", shared / "corpora" / "tinystories-1000.parquet"
    if not folder.is_dir() or not corpus.is_file():
        pytest.skip("stories260K or tinystories-1000.parquet is not in the shared folder")
    words = ("--model", str(folder), "--device", "cpu", "--max-tokens", "1100", "--seq-len", "128")
    assert status("eval", "--data", str(corpus), *words, "--format", "json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["tokens"] == 8 * 128
    documents = pq.read_table(corpus).column("text").to_pylist()[:20]
    assert_same(content["logit"], naive(folder, documents, 128, 8, None, "model.norm"))


def test_the_standard_error_of_blocks_of_other_lengths(neox_folder: Path) -> None:
    """A long block counts more: it is the spread of means of blocks that are drawn."""
    model = load(str(neox_folder), device="cpu")
    generator = torch.Generator().manual_seed(0)
    lengths = np.array([5, 9, 30, 12])
    blocks = [torch.randint(258, (length,), generator=generator) for length in lengths.tolist()]
    each = np.array([evaluate(model, [block])["logit"].kl for block in blocks])  # [blocks, rows]
    quality = evaluate(model, blocks)["logit"]
    mean = (each * lengths[:, None]).sum(0) / lengths.sum()
    choices = np.random.default_rng(1)
    drawn = [choices.choice(4, 4) for _ in range(5000)]
    means = [(each[some] * lengths[some, None]).sum(0) / lengths[some].sum() for some in drawn]
    np.testing.assert_allclose(quality.kl, mean, rtol=1e-5)
    np.testing.assert_allclose(quality.kl_sem, np.std(means, axis=0) * np.sqrt(4 / 3), rtol=0.1, atol=1e-8)
    assert quality.tokens == 56
    assert evaluate(model, blocks[:1])["logit"].kl_sem == ()


def test_a_lens_that_is_no_number_is_null(neox_folder: Path, text: str, tmp_path: Path, judged: Any) -> None:
    weight = torch.zeros(2, 32, 32)
    weight[0, 0, 0] = float("nan")
    save_lens(TunedLens(weight, torch.zeros(2, 32)), tmp_path / "broken.pt")
    content = judged("--data", text, "--lens", str(tmp_path / "broken.pt"))
    for key in ("kl", "ce", "kl_sem"):
        assert content["tuned"][key][0] is None
        assert content["tuned"][key][1:] == content["logit"][key][1:]


# Another model's lens.


def test_a_lens_of_another_model_is_measured_and_said(
    neox_folder: Path, text: str, tmp_path: Path, byte_tokenizer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModelForCausalLM

    other = tmp_path / "other"
    module = AutoModelForCausalLM.from_pretrained(neox_folder)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
            parameter.add_(noise, alpha=0.02)
    module.save_pretrained(other)
    byte_tokenizer.save_pretrained(other)
    lens = tmp_path / "its.pt"
    weight, bias = torch.randn(2, 32, 33, generator=torch.Generator().manual_seed(0)).split([32, 1], -1)
    made = TunedLens(weight / 20, bias[..., 0] / 20, lens_config(load(str(neox_folder), device="cpu")))
    save_lens(made, lens)
    words = (
        "--data",
        text,
        "--lens",
        str(lens),
        "--device",
        "cpu",
        "--max-tokens",
        "200",
        "--format",
        "json",
    )
    assert status("eval", *words, "--model", str(neox_folder)) == 0
    own = capsys.readouterr()
    assert "made for other weights" not in own.err
    assert status("eval", *words, "--model", str(other)) == 0
    transferred = capsys.readouterr()
    assert f"The tuned lens its was made for other weights ({neox_folder})" in transferred.err
    wanted = naive(other, WORDS, CONTEXT, 2, made, "gpt_neox.final_layer_norm")
    assert_same(json.loads(transferred.out)["tuned"], wanted)


# What is printed.


def test_the_contract(neox_folder: Path, text: str, judged: Callable[..., Any]) -> None:
    content = judged("--data", text, "--lens", str(neox_folder.parent / "mine.pt"), "--max-tokens", "200")
    assert (content["version"], content["lenstui"]) == (1, __version__)
    assert (content["model"], content["revision"], content["dtype"]) == (str(neox_folder), None, "float32")
    assert (content["lens"], content["data"]) == ("mine.pt", [text])
    assert content["tokens"] == 2 * CONTEXT  # whole blocks, no longer than the context
    assert content["rows"] == ["emb", "0", "1"]
    assert (content["blocks"], content["stopped"]) == (2, False)
    assert content["lens_files"]["tuned"]["file"] == "mine.pt"
    both = [f"{name}{error}" for name in MEASURE_NAMES for error in ("", "_sem")]
    for name in ("logit", "tuned"):
        assert list(content[name]) == [*both, "left_out"]
        assert [len(numbers) for numbers in content[name].values()] == [3] * 17
        assert content[name]["kl"][-1] < 1e-6
        assert content[name]["top1_agreement"][-1] == 1
        for measure, value in content["final"].items():
            assert value == content[name][measure][-1]
    assert set(both) - set(content["final"]) == {
        f"{name}{error}" for name in ("kl", "top1_agreement", "marginal_bias") for error in ("", "_sem")
    }
    assert content["logit"]["kl"][0] != content["tuned"]["kl"][0]


def test_a_single_block_has_no_standard_error(text: str, judged: Callable[..., Any]) -> None:
    content = judged("--data", text, "--max-tokens", "40")
    assert content["tokens"] == 40
    assert content["logit"]["kl_sem"] is None
    assert content["logit"]["marginal_bias"] == [None, None, 0.0]
    assert content["final"]["ce_sem"] is None


def test_the_table(neox_folder: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    lens = str(neox_folder.parent / "mine.pt")
    assert status("eval", "--data", text, "--model", str(neox_folder), "--device", "cpu", "--lens", lens) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    of_lens = ["KL", "CE", "top-1", "ECE", "bias"]
    assert head.split() == ["row", "logit", *of_lens, "tuned", *of_lens]
    assert [line.split()[0] for line in lines[:3]] == ["1", "0", "emb"]
    assert len({len(line) for line in (head, *lines[:3])}) == 1
    assert lines[0].split()[1:6] == ["0.000", "±", "0.000", lines[0].split()[4], "100.0%"]
    assert lines[4].startswith("mean KL, the last row left out: logit ")
    assert lines[5].startswith("the model itself: CE ")
    assert lines[6].endswith(" blocks · in nats · ± standard error")
    assert "bias: KL from the mean final to the mean lens" in lines[7]
    assert lines[8].endswith("tuned lens mine.pt")


def test_into_a_file(
    text: str, neox_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("eval", "--data", text, "--model", str(neox_folder), "--device", "cpu", "--max-tokens", "64")
    assert status(*words, "-o", str(tmp_path / "out.json")) == 0
    assert status(*words, "-o", str(tmp_path / "out.txt")) == 0
    assert capsys.readouterr() == ("", "")
    assert json.loads((tmp_path / "out.json").read_text())["tokens"] == 64
    assert (tmp_path / "out.txt").read_text(encoding="utf-8").startswith("row")


def test_lines_that_were_skipped_are_said(
    neox_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(["nonsense", *(json.dumps({"body": text}) for text in WORDS)]))
    words = ("--text-column", "body", "--min-chars", "40", "--max-samples", "5")
    assert status("eval", "--data", str(path), "--model", str(neox_folder), "--device", "cpu", *words) == 0
    captured = capsys.readouterr()
    assert captured.err == "lenstui: Skipped 1 line without a text: a.jsonl line 1 (not JSON).\n"


def test_as_a_program(neox_folder: Path, text: str, programs: Forked) -> None:
    """One JSON object, nothing else."""
    program = programs.start("eval", "--model", neox_folder, "--format", "json", "--data", text)
    assert (program.status(), program.err) == (0, "")
    assert json.loads(program.out)["rows"] == ["emb", "0", "1"]


def test_progress_on_a_terminal(
    neox_folder: Path, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert (
        status("eval", "--data", text, "--model", str(neox_folder), "--device", "cpu", "--seq-len", "16") == 0
    )
    captured = capsys.readouterr()
    assert captured.out.startswith("row")
    assert "evaluating" in captured.err
    assert captured.err.endswith("\x1b[2K")  # the bar's line is cleared
    monkeypatch.setenv("TERM", "dumb")
    assert status("eval", "--data", text, "--model", str(neox_folder), "--device", "cpu") == 0
    assert capsys.readouterr().err == ""


# What is wrong.


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "name a text with --data FILE, or items with --words FILE"),
        (["--data"], "argument --data: expected at least one argument"),
        (["--data", "x", "--seq-len", "1"], "argument --seq-len: must be at least 2"),
        (["--data", "x", "--max-tokens", "0"], "argument --max-tokens: must be a whole number from 1 on"),
        (["--data", "x", "--max-tokens", "9", "--seq-len", "10"], "--seq-len 10 is more than --max-tokens 9"),
        (["--data", "x", "--min-chars", "-1"], "argument --min-chars: "),
        (["--data", "x", "--max-samples", "all"], "argument --max-samples: "),
        (["--data", "x", "-o", "x.html"], "the ending .html does not tell the format"),
        (["--data", "x", "--format", "html"], "argument --format: invalid choice"),
        (
            ["--words", "x", "-o", "x.csv"],
            "the ending .csv does not tell the format: add --format",
        ),
        (
            ["--data", "x", "--measures", "kl,bias"],
            "argument --measures: there is no measure 'bias': kl,",
        ),
        (["--data", "x", "--measures", ""], "argument --measures: there is no measure ''"),
        (["--words", "x", "--measures", "kl"], "--measures does not go with --words"),
        (["--data", "x", "--demo", "--revision", "main"], "--revision needs --model"),
        (["--data", "x", "-p", "y"], "unrecognized arguments: -p y"),
    ],
)
def test_a_wrong_call(words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("eval", *words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert complaint in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--data", "no.txt"], "There is no file no.txt."),
        (["--data", "\x1b[2J*"], "No file matches \\x1b[2J*."),
        (["--data", "TEXT", "-o", "no/where.txt"], "There is no folder no to write where.txt to."),
        (["--data", "TEXT", "-o", "TEXT"], "is read by this command: write to another file."),
        (["--data", "TEXT", "--text-column", "body"], "Plain text has no columns"),
        (["--data", "TEXT", "--min-chars", "1000"], "No document has 1000 characters: the longest has 4"),
        (
            ["--data", "TEXT", "--seq-len", "97"],
            "The model reads at most 96 tokens: --seq-len 97 is too long.",
        ),
        (["--data", "TEXT", "--max-samples", "1"], "There is too little text for a single block"),
        (["--data", "EMPTY"], "There is no text in "),
        (["--data", "NESTED"], "The column 'text' of "),
        (["--data", "NESTED"], " holds list<element: string>, not text: name another."),
        (["--data", "TEXT", "--lens", "no.pt"], "There is no lens file no.pt."),
    ],
)
def test_a_failure_is_one_line(
    words: list[str], complaint: str, text: str, neox_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(text).parent
    (folder / "empty.txt").touch()
    pq.write_table(pa.table({"text": [["nested"], ["texts"]]}), folder / "nested.parquet")
    named = {"TEXT": text, "EMPTY": str(folder / "empty.txt"), "NESTED": str(folder / "nested.parquet")}
    known = [named.get(word, word) for word in words]
    assert status("eval", "--model", str(neox_folder), "--device", "cpu", *known) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert complaint in captured.err
    assert captured.err.count("\n") == 1
    assert Path(text).read_text(encoding="utf-8").startswith(WORDS[0])


def test_a_wrong_file_is_found_before_a_model_is_opened(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lenstui.opening.opened.open_model", lambda *_: pytest.fail("opened"))
    assert status("eval", "--demo", "--data", "no.parquet") == 1
    assert "There is no file no.parquet." in capsys.readouterr().err


def test_out_of_memory_is_a_clear_line(
    neox_folder: Path, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> dict[str, Quality]:
        raise RuntimeError("CUDA out of memory.\nTried to allocate …")

    monkeypatch.setattr("lenstui.evaluation.evaluate.evaluate", fail)
    assert status("eval", "--model", str(neox_folder), "--data", text) == 1
    assert capsys.readouterr().err == (
        "lenstui: Evaluating failed: CUDA out of memory. Try a smaller --seq-len.\n"
    )


def test_help_is_instant_and_lists_it() -> None:
    script = (
        "import sys\n"
        "from lenstui.cli import main\n"
        "for words in (['--help'], ['eval', '--help'], ['eval', '--data', 'x', '--seq-len', '0']):\n"
        "    try: main(words)\n"
        "    except SystemExit: pass\n"
        "heavy = {'torch', 'textual', 'transformers', 'numpy', 'rich', 'pyarrow', 'huggingface_hub'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    assert "lenstui eval --data FILE…" in done.stdout
    assert done.stderr.splitlines()[-1] == "[]"
