"""Pinned words of several tokens, key by key: their sums follow the cursor, and say what they are."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Static

from lenstui.jobs.look_up import LookUpJobs
from lenstui.jobs.messages import WordsRead
from lenstui.jobs.read import ReadJobs
from lenstui.jobs.read_request import ReadRequest
from lenstui.opening.opened import Opened
from lenstui.opening.sides import Sides
from lenstui.readout.number_texts import logprob_text
from lenstui.readout.reading import Reading
from lenstui.support.errors import LensError
from lenstui.support.request import Start
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.pin_line import PinLine
from lenstui.tui.explore.pin_list import PinList
from lenstui.tui.explore.pin_plot import PinPlot
from tests.tui.pilots.export_pilot import without_value, write
from tests.tui.pilots.looking import said, subtitle, until
from tests.tui.pilots.pins_pilot import coloured_by, grid, panel, pin_word

TEXT = "Hello, you "
WORD = "zebra"
Sums = Callable[[str, str, int], dict[str, np.ndarray]]


def line(app: LenstuiApp) -> str:
    return app.explore.query_one(PinLine).render().plain


def listed(app: LenstuiApp) -> list[str]:
    pins = app.explore.query_one(PinList)
    return [str(pins.get_option_at_index(place).prompt) for place in range(pins.option_count)]


async def whole(app: LenstuiApp, pilot: Pilot[None]) -> str:
    """The line of the pins, once their words are read in the column of the cursor."""
    await until(
        pilot, lambda: app.explore.parts.words.read is not None and "…" not in line(app).split("whole")[-1]
    )
    return line(app)


@pytest.fixture
def sums(tiny_model: Path) -> Sums:
    """By lens, `[rows, tokens]`: a pass for each token, the weights by hand, in float64."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from lenstui.lens import open_lens

    module = AutoModelForCausalLM.from_pretrained(tiny_model).double()
    tokenizer, lens = AutoTokenizer.from_pretrained(tiny_model), open_lens(tiny_model / "lens.pt")

    def of(text: str, word: str, column: int) -> dict[str, np.ndarray]:
        ids = tokenizer(text)["input_ids"][: column + 1]
        found: dict[str, list[Any]] = {"logit": [], "tuned": []}
        for token in tokenizer(word)["input_ids"]:
            with torch.no_grad():
                states = module(torch.tensor([ids]), output_hidden_states=True).hidden_states
                for name, logprobs in found.items():
                    rows = [h[0, -1] for h in states]
                    if name == "tuned":
                        low = zip(rows[:-1], lens.weight.double(), lens.bias.double(), strict=True)
                        rows = [h + weight @ h + bias for h, weight, bias in low] + rows[-1:]
                    normed = [module.gpt_neox.final_layer_norm(h) for h in rows[:-1]] + rows[-1:]
                    logits = torch.stack([module.lm_head(h) for h in normed])
                    logprobs.append(logits.log_softmax(-1)[:, token].numpy())
            ids = [*ids, token]
        return {name: np.stack(logprobs, axis=1) for name, logprobs in found.items()}

    return of


async def test_the_sum_follows_the_cursor_beside_the_first_token(opened: Any, sums: Sums) -> None:
    async with opened(TEXT) as (app, pilot):
        await pin_word(app, pilot, WORD)
        assert f'No token is "{WORD}": its first token, "z", is pinned.' in said(app)
        assert "In the cursor's column the whole word is read, too." in said(app)
        last = len(TEXT) - 1
        for keys, row, column, follows in (
            ((), 3, last, WORD),
            (("down", "down"), 1, last, WORD),
            (("left", "left"), 1, last - 2, f" {WORD}"),
            (("home",), 1, 0, f" {WORD}"),
        ):
            await pilot.press(*keys)
            await until(pilot, lambda column=column: grid(app).cursor.column == column)
            await pilot.pause(0.2)
            shown = await whole(app, pilot)
            wanted = sums(TEXT, follows, column)
            for name in ("logit", "tuned"):
                cells = grid(app, name).cells
                assert cells is not None
                first = logprob_text(float(cells.pin_logprobs[row, column, 0]))
                total = float(wanted[name][row].sum())
                texts = {f"whole {logprob_text(total + off)}" for off in (-0.004, 0, 0.004)}
                assert f"1st {first} r" in shown
                assert any(text in shown for text in texts), (shown, texts)


async def test_on_a_narrow_screen_there_is_room_for_both(opened: Any) -> None:
    async with opened(TEXT, size=(80, 24)) as (app, pilot):
        await pin_word(app, pilot, WORD)
        shown = await whole(app, pilot)
        assert shown.startswith(f"pins   1 {WORD} 1st −") and shown.count(" whole −") == 2


async def test_in_a_cell_in_full_the_tokens_add_up(opened: Any, sums: Sums) -> None:
    async with opened(TEXT) as (app, pilot):
        await pin_word(app, pilot, WORD)
        await pilot.press("down", "enter")

        def words(place: int) -> str:
            return str(app.screen.query_one(f"#ranking-{place} .ranking--words", Static).render())

        for keys, column, follows, pieces in (
            ((), len(TEXT) - 1, WORD, [*WORD]),
            (("h", "h"), len(TEXT) - 3, f" {WORD}", ["·", *WORD]),
        ):
            await pilot.press(*keys)
            await until(pilot, lambda: "log p of the whole" in words(0) and "log p of the whole" in words(1))
            wanted = sums(TEXT, follows, column)
            for place, name in enumerate(("logit", "tuned")):
                shown = words(place)
                total, _, tokens = shown.removeprefix(f"{WORD}: log p of the whole ").partition(" = ")
                numbers = [part.split() for part in tokens.removeprefix("first token ").split(" + ")]
                assert [number[0] for number in numbers] == pieces
                logprobs = [float(number[1].replace("−", "-")) for number in numbers]
                np.testing.assert_allclose(logprobs, wanted[name][2], atol=0.0052)
                assert float(total.replace("−", "-")) == pytest.approx(wanted[name][2].sum(), abs=0.0052)


async def test_the_list_has_both_lines_and_unpins_the_word(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pin_word(app, pilot, WORD)
        await pin_word(app, pilot, "zoo")
        await pin_word(app, pilot, "z")
        assert [(pin.text, pin.word) for pin in panel(app).pins] == [("z", WORD), ("z", "zoo"), ("z", "")]
        assert app.explore.panes.pins == ("z…", "z…", "z")
        await whole(app, pilot)
        await pilot.press("u")
        entries = listed(app)
        for entry, word in zip(entries[:2], (WORD, "zoo"), strict=True):
            of_word, of_first = entry.splitlines()
            assert of_word.split()[1] == word and of_word.count("whole") == 2
            assert of_first.split()[:2] == ["1st", "z…"] and "%" in of_first
        assert "\n" not in entries[2]
        await pilot.press("down", "enter")
        assert [pin.word for pin in panel(app).pins] == ["zoo", WORD, ""]
        await pilot.press("p")
        assert [pin.word for pin in panel(app).pins] == [WORD, ""]
        await pilot.press("escape")
        await coloured_by(app, pilot, "pin-logprob")
        assert app.explore.panes.value.label == "log p(z…)"


async def test_the_plot_draws_the_whole_word_and_says_so(opened: Any, sums: Sums) -> None:
    async with opened(TEXT) as (app, pilot):
        await pin_word(app, pilot, WORD)
        await whole(app, pilot)
        plot, wanted = app.explore.query_one(PinPlot), sums(TEXT, WORD, len(TEXT) - 1)
        await until(pilot, lambda: plot.display)
        assert plot.border_title == "whole 1 · probability by row"
        await pilot.press("R")
        assert plot.border_title == "1st token of 1 · rank by row, 0 is first"
        cells = grid(app).cells
        assert cells is not None
        ranks = [-np.log10(1 + rank) for rank in cells.pin_ranks[:, -1, 0].tolist()]
        np.testing.assert_allclose(plot._datasets[1].y, ranks, atol=1e-6)
        await pilot.press("R")
        assert plot.border_title == "whole 1 · log-probability by row, nats"
        tuned, logit = plot._datasets
        np.testing.assert_allclose(logit.y, wanted["logit"].sum(1), atol=1e-3)
        np.testing.assert_allclose(tuned.y, wanted["tuned"].sum(1), atol=1e-3)


async def test_without_room_in_the_context_the_reason_is_there(opened: Any) -> None:
    async with opened("x" * 63 + " ") as (app, pilot):
        await pin_word(app, pilot, WORD)
        assert "whole –" in await whole(app, pilot)
        await pilot.press("enter")
        words = app.screen.query_one("#ranking-0 .ranking--words", Static)
        reason = "'zebra' is 5 tokens, and behind column 63 the context of 64 columns has room for 1."
        await until(pilot, lambda: reason in str(words.render()))


async def test_a_word_that_is_one_token_is_shown_as_before(opened: Any) -> None:
    async with opened(TEXT) as (app, pilot):
        await pin_word(app, pilot, "q")
        await pilot.pause(0.2)
        assert "whole" not in line(app) and "1st" not in line(app)
        assert app.explore.parts.words.pinned == () and app.explore.parts.words.read is None
        await pilot.press("enter")
        assert not app.screen.query_one("#ranking-0 .ranking--words", Static).display


async def test_what_is_taken_away_is_what_the_command_writes(
    opened: Any, tiny_model: Path, tmp_path: Path
) -> None:
    from lenstui.cli import main

    async with opened(TEXT) as (app, pilot):
        await pin_word(app, pilot, WORD)
        await write(app, pilot, "json", tmp_path / "screen.json")
        await pilot.press("Y")
        await until(pilot, lambda: "lenstui read" in app.clipboard)
    import shlex

    words = without_value(shlex.split(app.clipboard)[1:])
    assert f"--pin={WORD}" in words
    assert main([*words, "-o", str(tmp_path / "own.json")]) == 0
    screen, own = (json.loads((tmp_path / name).read_text()) for name in ("screen.json", "own.json"))
    assert screen["pins"] == own["pins"] and len(own["pins"][0]["ids"]) == len(WORD)
    assert own["pins"][0]["tuned"]["word_logprob"][-1] < own["pins"][0]["tuned"]["logprob"][-1][-1]


async def test_a_jacobian_lens_has_no_sum_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    app = LenstuiApp(Start(prompt="The dragon was a", demo=True))
    async with app.run_test(size=(180, 40)) as pilot:
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        await pin_word(app, pilot, "dragonfly")
        assert (await whole(app, pilot)).count("whole") == 2
        of_jacobian = line(app).split(" │ ")[-1]
        assert "1st" in of_jacobian and "whole" not in of_jacobian
        await pilot.press("u")
        assert listed(app)[0].splitlines()[0].rstrip().endswith("no sum")
        await pilot.press("escape", "enter")
        words = app.screen.query_one("#ranking-2 .ranking--words", Static)
        await until(pilot, lambda: "gives no distribution of the next token" in str(words.render()))


async def test_a_target_of_several_tokens_is_pinned_as_the_word(opened: Any, tmp_path: Path) -> None:
    from tests.tui.pilots.prompt_sets_pilot import go, table

    file = tmp_path / "cases.jsonl"
    file.write_text('{"prompt": "Hello, you ", "target": "zebra"}\n{"prompt": "one ", "target": "two"}\n')
    async with opened() as (app, pilot):
        await go(app, pilot, file)
        case = table(app).shown[0].line
        total, first = case.whole_logprobs
        assert case.whole == "zebra" and total.startswith("−")
        told = str(app.screen.query_one("#set-case", Static).render())
        assert f"zebra: log p of the whole {total}, of its first token {first}" in told
        await pilot.press("enter")
        await until(pilot, lambda: app.explore.state.prompt == "Hello, you " and subtitle(app).endswith(" s"))
        await until(pilot, lambda: [pin.word for pin in panel(app).pins] == ["zebra"])
        assert f"whole {total}" in await whole(app, pilot)
        await pilot.press("e", "end", "enter")
        await until(pilot, lambda: [pin.word for pin in panel(app).pins] == ["two"])


class _Open:
    """The model thread's jobs as far as looking up needs them, on the tiny model."""

    def __init__(self, opened: Opened) -> None:
        self.sides = Sides.of(opened)
        self.lenses = [side.lens for side in self.sides.sides]


@pytest.fixture
def jobs(tiny_model: Path) -> LookUpJobs:
    from lenstui.lens import load, open_lens

    model = load(str(tiny_model), device="cpu")
    opened = Opened(model, (open_lens(tiny_model / "lens.pt"),))
    request = ReadRequest(7, TEXT, 10, 3, Reading())
    return LookUpJobs(_Open(opened), SimpleNamespace(request=request))  # type: ignore[arg-type]


def run(jobs: LookUpJobs, serial: int, words: Sequence[str], stops: Sequence[bool]) -> list[Message]:
    posted: list[Message] = []
    answers = iter(stops)
    for _ in jobs.read_words(serial, words, 3, posted.append, lambda: next(answers)):
        pass
    return posted


def test_the_job_ends_when_it_is_stopped_and_answers_the_reading_on_screen(jobs: LookUpJobs) -> None:
    (done,) = run(jobs, 7, ["ab", "cd"], [False] * 4)
    assert isinstance(done, WordsRead) and (done.serial, done.column) == (7, 3)
    assert {place: list(words) for place, words in done.words.items()} == {0: ["ab", "cd"], 1: ["ab", "cd"]}
    assert run(jobs, 7, ["ab", "cd"], [False, False, True]) == []
    assert run(jobs, 6, ["ab"], []) == []


async def test_a_prompt_that_cannot_be_read_has_no_words(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is on screen then is the prompt before, perhaps with a column that the other does not have."""
    async with opened(TEXT, size=(120, 40)) as (app, pilot):
        await pin_word(app, pilot, WORD)
        await whole(app, pilot)

        def prompts(self: ReadJobs, request: ReadRequest) -> list[object]:
            raise LensError("This prompt is refused.")

        monkeypatch.setattr(ReadJobs, "_prompts", prompts)
        app.explore.parts.reader.read("He")
        await until(pilot, lambda: "not read" in subtitle(app))
        app.clear_notifications()
        done, words = threading.Event(), app.explore.parts.words
        await pilot.press("left")
        await until(
            pilot, lambda: words._asked == (app.explore.state.serial, grid(app).cursor.column, (WORD,))
        )
        app.explore.services.prompts._thread.submit(None, lambda stop: done.set(), priority=9)
        await until(pilot, done.is_set)
        await pilot.pause()
        assert words.read is None
