"""Evaluation on screen: the dialog, the table and its plot, stopping, files, the command, what is kept."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from textual.widgets import Input, OptionList

from lenstui.jobs import evaluation as evaluation_jobs
from lenstui.lens.last_evaluation import last_evaluations, logit_evaluations
from lenstui.tui.evaluation.ask_evaluation import AskEvaluation
from lenstui.tui.evaluation.plot import EvaluationPlot
from lenstui.tui.evaluation.screen import Evaluation
from lenstui.tui.evaluation.table import EvaluationTable
from lenstui.tui.export.dialog import ExportDialog
from lenstui.tui.lenses.screen import Lenses
from lenstui.tui.lenses.table import LensTable
from tests.programs.calls import status
from tests.tui.pilots.evaluation_pilot import (
    Gate,
    ask_for_evaluation,
    evaluated,
    fill,
    hint,
    lens_choices,
    progress,
    shown_table,
    text,
)
from tests.tui.pilots.looking import said, until

SIZE = (160, 45)
WORDS = "\n\n".join(f"The {i}th dog ran after {i * i} cats and a bird." for i in range(20))
BLOCK = 32


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was evaluated before, and files go to a folder of the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "dogs.txt"
    path.write_text(WORDS, encoding="utf-8")
    return path


def plain_kl(folder: Path, blocks: int) -> np.ndarray:
    """KL(final ‖ logit lens) by row over the first blocks, by transformers alone, float64."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = (kind.from_pretrained(folder) for kind in (AutoModelForCausalLM, AutoTokenizer))
    ids = [i for part in WORDS.split("\n\n") for i in (*tokenizer(part)["input_ids"], tokenizer.eos_token_id)]
    found = []
    for start in range(0, blocks * BLOCK, BLOCK):
        caught: list[torch.Tensor] = []
        handle = model.gpt_neox.final_layer_norm.register_forward_pre_hook(
            lambda _, args, caught=caught: caught.append(args[0])
        )
        with torch.no_grad():
            states = model(
                torch.tensor([ids[start : start + BLOCK]]), output_hidden_states=True
            ).hidden_states
            handle.remove()
            h = torch.cat([*states[:-1], caught[0]])
            logits = model.get_output_embeddings()(model.gpt_neox.final_layer_norm(h)).double()
        log_probs = logits.log_softmax(-1)
        found.append((log_probs[-1].exp() * (log_probs[-1] - log_probs)).sum(-1))
    return torch.cat(found, 1).mean(1).numpy()


async def test_the_numbers_on_screen_and_what_becomes_of_them(
    opened: Any,
    file: Path,
    tiny_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The table, the plot, the command that says the same, a file, the cards, and the trust overlay."""
    async with opened(size=SIZE) as (app, pilot):
        await pilot.press("D")
        await until(pilot, lambda: app.explore.panes.trusts is not None)
        dialog = await ask_for_evaluation(app, pilot)
        assert list(lens_choices(dialog)) == ["logit lens", "tuned lens lens"]
        fill(dialog, data=str(file), tokens="200", block=str(BLOCK))
        await pilot.press("enter")
        await evaluated(app, pilot)
        blocks = 200 // BLOCK
        assert progress(app).startswith(f"{blocks * BLOCK} tokens in ")

        # The table: measures beside each other, the last row on top.
        first, second, *lines = shown_table(app)
        assert first.split()[:4] == ["KL", "CE", "ppl", "bits/B"]
        assert second.split()[:5] == ["row", "○", "logit", "●", "tuned"]
        assert [line.split()[0] for line in lines[:4]] == ["2", "1", "0", "emb"]
        kl = [float(line.split()[1]) for line in lines[:4]][::-1]
        np.testing.assert_allclose(kl, plain_kl(tiny_model, blocks), atol=6e-4)
        assert all(line.split()[2] == "±" for line in lines[:4])

        # The plot follows the measure, and has what the table has.
        plot = app.screen.query_one(EvaluationPlot)
        np.testing.assert_allclose(plot.curves["logit"][0], kl, atol=6e-4)
        assert str(plot.border_title).startswith("KL by row")
        await pilot.press("v", "v", "v", "v")
        assert str(plot.border_title).startswith("top-1 by row")
        assert "the model itself: CE " in text(app, "said")

        # The command prints the same cells, lens by lens.
        await pilot.press("Y")
        await until(pilot, lambda: app.clipboard.startswith("lenstui eval"))
        table = app.screen.query_one(EvaluationTable)
        wanted = [[column.texts[row] for column in table._columns] for row in range(4)]
        command = app.clipboard
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        things = app.screen.query_one(OptionList)
        things.highlighted = things.get_option_index("json")
        await pilot.pause()
        app.screen.query_one(Input).value = str(tmp_path / "found.json")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Evaluation) and "Written" in said(app))
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog))
        things = app.screen.query_one(OptionList)
        things.highlighted = things.get_option_index("svg")
        await pilot.pause()
        app.screen.query_one(Input).value = str(tmp_path / "found.svg")
        await pilot.press("enter")
        beside = tmp_path / "found.svg.txt"
        await until(pilot, lambda: isinstance(app.screen, Evaluation) and beside.exists())

        # What was reached is on the cards, and in the trust overlay.
        (kept,) = last_evaluations().values()
        content = json.loads((tmp_path / "found.json").read_text())
        assert kept.kl_by_row == tuple(content["tuned"]["kl"][:-1])
        assert [each.tokens for each in logit_evaluations().values()] == [blocks * BLOCK]
        assert kept.data == (str(file),)
        await pilot.press("escape")
        assert app.screen is app.explore
        panes = app.explore.panes
        await until(pilot, lambda: "eval on dogs.txt" in str(panes.pane(0).border_subtitle))
        assert "eval on dogs.txt, 192 tokens" in str(panes.pane(1).border_subtitle)

    capsys.readouterr()
    assert status(*shlex.split(command)[1:]) == 0
    printed = capsys.readouterr().out.splitlines()
    for row, line in zip(wanted, printed[1:5], strict=True):
        # On the command line the columns go lens by lens, on screen measure by measure.
        assert re.split(r"  +", line.strip())[1:] == [*row[::2], *row[1::2]]
    caption = beside.read_text("utf-8")
    (tmp_path / "again").mkdir()
    monkeypatch.chdir(tmp_path / "again")
    assert status(*shlex.split(caption.splitlines()[-1].removeprefix("Made by: lenstui "))) == 0
    assert Path("found.svg").read_bytes() == (tmp_path / "found.svg").read_bytes()
    capsys.readouterr()
    as_json = [*shlex.split(command)[1:], "--format", "json"]
    assert status(*(word for word in as_json if word not in {"--measures", "all", "--errors"})) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["tuned"] == content["tuned"]
    assert again["final"] == content["final"]


async def test_it_grows_and_what_was_measured_stays_when_it_is_stopped(
    opened: Any, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch, through=3)
    monkeypatch.setattr(evaluation_jobs, "SHOW_EVERY", 0.0)
    monkeypatch.setattr(evaluation_jobs, "_SHARE", 1e9)
    monkeypatch.setattr(evaluation_jobs, "POST_EVERY", -1.0)
    async with opened(size=(80, 24)) as (app, pilot):
        fill(await ask_for_evaluation(app, pilot), data=str(file), tokens="640", block=str(BLOCK))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Evaluation) and "at most" in progress(app))
        await until(pilot, lambda: gate.is_waiting.is_set() and shown_table(app)[2].startswith("  2"))
        assert re.match(r"(64|96) of 640 tokens · at most 0:\d\d left · esc stops", progress(app))
        before = shown_table(app)
        assert "more →" in str(app.screen.query_one("#evaluation-frame").border_subtitle)
        await pilot.press("right")
        assert shown_table(app) != before
        assert "← 1 more" in str(app.screen.query_one("#evaluation-frame").border_subtitle)

        await pilot.press("tab")
        assert not app.screen.query_one("#evaluation-frame").display
        await pilot.press("tab")
        assert app.screen.query_one("#evaluation-frame").display
        await pilot.press("q")  # meanwhile it goes on
        assert app.screen is app.explore
        await pilot.press("E")
        await until(pilot, lambda: isinstance(app.screen, Evaluation))
        await pilot.press("escape")
        assert isinstance(app.screen, Evaluation)
        gate.is_open.set()
        await until(pilot, lambda: progress(app).startswith("stopped at "))
        tokens = int(re.findall(r"stopped at (\d+) tokens: what was measured is kept", progress(app))[0])
        assert tokens % BLOCK == 0
        assert 3 * BLOCK <= tokens < 640
        (kept,) = last_evaluations().values()
        assert kept.tokens == tokens
        await pilot.press("s")
        assert "Nothing is being evaluated" in said(app)
        await pilot.press("Y")
        await until(pilot, lambda: f"--max-tokens {tokens} --seq-len {BLOCK}" in app.clipboard)
        await pilot.press("escape")
        assert app.screen is app.explore


WRONG = {
    "no file": ({"data": "nowhere.txt"}, "There is no file "),
    "a folder": ({"data": "{folder}"}, " is a folder: name the files in it"),
    "a quote": ({"data": '"'}, "A quote is not closed."),
    "few tokens": ({"data": "{file}", "tokens": "1"}, "tokens: a whole number from 2 on"),
    "the context": ({"tokens": "200", "block": "65"}, "in blocks of: the model reads at most 64 tokens"),
    "all tokens": ({"tokens": "16", "block": "32"}, "in blocks of: no more than the 16 tokens that are read"),
    "empty": ({"tokens": "200", "data": "{folder}/empty.txt"}, "There is no text in "),
    "short": ({"data": "{folder}/short.txt"}, "There is too little text for a single block"),
    "nested": ({"data": "{folder}/nested.parquet"}, "The column 'text' of "),
    "a column": ({"data": "{file}", "column": "words"}, "Plain text has no columns"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_what_makes_no_sense_is_said_in_the_dialog_and_nothing_is_lost(
    opened: Any, file: Path, tmp_path: Path, case: str
) -> None:
    (tmp_path / "empty.txt").write_text("\n\n")
    (tmp_path / "short.txt").write_text("Hi.")
    nested = pa.table({"text": pa.array([["a", "b"]])})
    pq.write_table(nested, tmp_path / "nested.parquet")
    words, message = WRONG[case]
    typed = {name: value.format(folder=tmp_path, file=file) for name, value in words.items()}
    async with opened() as (app, pilot):
        dialog = await ask_for_evaluation(app, pilot)
        fill(dialog, **typed)
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, AskEvaluation) and message in hint(app.screen))
        dialog = app.screen
        for name, value in typed.items():
            assert dialog.query_one(f"#ask-{name}", Input).value == value
        assert "\n" not in hint(dialog)


async def test_a_lens_has_to_be_chosen(opened: Any) -> None:
    async with opened() as (app, pilot):
        dialog = await ask_for_evaluation(app, pilot)
        for choice in lens_choices(dialog).values():
            choice.value = "no"
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: hint(dialog) == "Choose a lens: left and right say yes and no.")


async def test_without_a_model_the_key_says_so_and_a_text_of_the_fit_is_doubted(
    opened: Any, tmp_path: Path, file: Path, tiny_model: Path
) -> None:
    from dataclasses import replace

    from lenstui.lens import open_lens, save_lens

    lens = open_lens(tiny_model / "lens.pt")
    save_lens(replace(lens, fit={**lens.fit, "data": [file.name]}), tmp_path / "dogs.pt")
    async with opened() as (app, pilot):
        app.program.lenses.open(tmp_path / "dogs.pt", app.program.post_to(app.explore))
        await until(pilot, lambda: app.program.model is not None and app.program.model.lens == "dogs")
        dialog = await ask_for_evaluation(app, pilot)
        fill(dialog, data=str(file))
        await pilot.pause()
        assert hint(dialog).startswith("The tuned lens dogs was fitted on this text")
        lens_choices(dialog)["tuned lens dogs"].value = "no"
        await pilot.pause()
        assert "fitted on this text" not in hint(dialog)
        await pilot.press("escape")
        assert app.screen is app.explore


async def test_lenses_are_ordered_by_their_last_evaluation(opened: Any, tmp_path: Path, file: Path) -> None:
    """From the list of lenses, too; the order is kept for the next session."""
    from lenstui.lens import TunedLens, save_lens
    from lenstui.support.paths import lenses
    from lenstui.tui.session.session import Session

    for name, size in (("near", 0.01), ("far", 2.0)):
        torch.manual_seed(0)
        save_lens(TunedLens(size * torch.randn(3, 32, 32), torch.zeros(3, 32)), lenses() / f"{name}.pt")
    async with opened(size=SIZE) as (app, pilot):
        for name in ("near", "far"):
            app.program.lenses.open(lenses() / f"{name}.pt", app.program.post_to(app.explore))
            wanted = name
            await until(pilot, lambda wanted=wanted: app.program.model.lens == wanted)
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.screen, Lenses) and app.screen.query_one(LensTable)._lenses)

        def names() -> list[str]:
            return [each.card.name for each in app.screen.query_one(LensTable)._lenses][:2]

        before = names()
        dialog = await ask_for_evaluation(app, pilot)
        fill(dialog, data=str(file), tokens="64", block=str(BLOCK))
        await pilot.press("enter")
        await evaluated(app, pilot)
        await pilot.press("escape")
        assert isinstance(app.screen, Lenses)
        far = last_evaluations()[lenses() / "far.pt"]
        table = app.screen.query_one(LensTable)
        await until(pilot, lambda: any(each.card.evaluation for each in table._lenses))
        assert names() == before
        await pilot.press("K")
        assert "the least KL of the last evaluation first" in said(app)
        assert names()[0] == "far"  # the only one of which anything is known
        lines = [table.render_line(y).text for y in range(2)]
        assert f" {far.kl:.2f} " in lines[0]
        assert "▴eval" in app.screen.query_one("#headings").render_line(0).text
        app._keep_session()
        assert app.program.lenses_by_kl
        await pilot.press("K")
        assert names() == before
    assert not Session(None).lenses_by_kl


async def test_a_refusal_leaves_what_was_measured(opened: Any, file: Path, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("Hi.")
    async with opened(size=SIZE) as (app, pilot):
        dialog = await ask_for_evaluation(app, pilot)
        fill(dialog, data=str(file), tokens="64", block=str(BLOCK))
        lens_choices(dialog)["logit lens"].value = "no"
        await pilot.pause()
        await pilot.press("enter")
        await evaluated(app, pilot)
        dialog = await ask_for_evaluation(app, pilot, "e")
        assert lens_choices(dialog)["logit lens"].value == "no"
        fill(dialog, data=str(tmp_path / "short.txt"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, AskEvaluation) and "too little" in hint(app.screen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, Evaluation))
        assert shown_table(app)[1].split()[:3] == ["row", "○", "tuned"]
