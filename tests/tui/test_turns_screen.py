"""The turns of a chat on screen, by keyboard alone: the dialog, the columns, the next turn, what is kept."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Label, OptionList

from lenstui.lens import Model, load
from lenstui.support.request import Start
from lenstui.support.turns import Conversation, Turn
from lenstui.tui.app import LenstuiApp
from lenstui.tui.explore.ask_reading import AskReading
from lenstui.tui.explore.detail import Detail
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.explore.turns_dialog import TurnsDialog
from lenstui.tui.grid.column_marks import BEGINS
from lenstui.tui.session.history import History
from lenstui.tui.trace.words import METRIC_WORDS
from lenstui.tui.why.screen import Why
from tests.programs.calls import status
from tests.tiny.chat_templates import CHATML, GEMMA, LLAMA_2, QWEN_3, chat_tokenizer_of
from tests.tiny.folders import neox_in
from tests.tui.pilots.generate_pilot import generate
from tests.tui.pilots.looking import said, subtitle, until
from tests.tui.pilots.prompt_sets_pilot import go
from tests.tui.pilots.reread_pilot import mark
from tests.tui.pilots.session_pilot import begun, read
from tests.tui.pilots.trace_pilot import ask_for_trace, fill, start

TURNS = Conversation(
    (Turn("system", "Be."), Turn("user", "Hi you"), Turn("assistant", "Oh"), Turn("user", "So"))
)
CONTEXT = 160


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a random model whose tokenizer has a chat template, made once."""
    made: dict[str, Path] = {}

    def folder(template: str) -> Path:
        if template not in made:
            place = tmp_path_factory.mktemp("chats") / "tiny"
            tokenizer = chat_tokenizer_of(template)
            neox_in(place, tokenizer, blocks=2, heads=2, context=CONTEXT, vocabulary=len(tokenizer))
            made[template] = place
        return made[template]

    return folder


@pytest.fixture
def chatml(folders: Callable[[str], Path]) -> Path:
    return folders(CHATML)


def app_of(folder: Path, prompt: str | Conversation, history: History | None = None) -> LenstuiApp:
    text, turns = (prompt, None) if isinstance(prompt, str) else (None, prompt)
    return LenstuiApp(Start(prompt=text, turns=turns, model=str(folder)), history=history, depth=1)


def rendered(model: Model, turns: Conversation) -> list[int]:
    """The ids that the tokenizer itself makes of turns."""
    goes_on = turns.goes_on
    ids: list[int] = model.tokenizer.apply_chat_template(
        turns.messages,
        add_generation_prompt=not goes_on and not turns.closed,
        continue_final_message=goes_on,
        return_dict=True,
    )["input_ids"]
    return ids


def texts(model: Model, turns: Conversation) -> list[str]:
    return [model.texts[token] for token in rendered(model, turns)]


def columns(app: LenstuiApp) -> list[str]:
    return [*app.explore.state.columns]


def title(app: LenstuiApp) -> str:
    """The name of the cell in the panel."""
    return str(app.explore.query_one(Detail).border_title)


def label(app: LenstuiApp, name: str) -> str:
    return str(app.screen.query_one(name, Label).render())


async def opened(app: LenstuiApp, pilot: Pilot[None]) -> TurnsDialog:
    """The dialog of turns, opened by its key."""
    await read(app, pilot)
    await pilot.press("escape", "I")
    await until(pilot, lambda: isinstance(app.screen, TurnsDialog))
    assert isinstance(app.screen, TurnsDialog)
    return app.screen


def lines(app: LenstuiApp) -> list[list[str]]:
    """The turns in the list, each as its number, its role and what it says."""
    options = app.screen.query_one(OptionList).options
    return [str(option.prompt).split(None, 2) for option in options]


async def go_to(pilot: Pilot[None], place: str) -> None:
    await pilot.press("g")
    pilot.app.screen.query_one(Input).value = place
    await pilot.press("enter")
    await pilot.pause(0.1)


async def test_a_text_becomes_turns_that_are_read_as_the_tokenizer_has_them(chatml: Path) -> None:
    app, model = app_of(chatml, "Hi you"), load(str(chatml), device="cpu")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(app, pilot)
        assert lines(app) == [["0", "user", "Hi you"]]
        await pilot.press("a", *"Oh", "escape", "a", "S", "ctrl+j", "o")
        assert lines(app) == [["0", "user", "Hi you"], ["1", "assistant", "Oh"], ["2", "user", "S⏎o"]]
        await pilot.press("enter")
        turns = Conversation((Turn("user", "Hi you"), Turn("assistant", "Oh"), Turn("user", "S\no")))
        await until(pilot, lambda: columns(app) == texts(model, turns))
        await read(app, pilot)
        assert app.explore.query_one(PromptBox).text == "3 turns: user: Hi you · assistant: Oh · user: S o"
        assert mark(app) == "prompt · turns: I edits them"
        assert app.explore.panes.shown_grid.has_focus


async def test_turns_are_moved_and_removed_and_given_to_another_role(chatml: Path) -> None:
    app, model = app_of(chatml, TURNS), load(str(chatml), device="cpu")
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        assert [line[1] for line in lines(app)] == ["system", "user", "assistant", "user"]
        await pilot.press("x")
        assert [line[2] for line in lines(app)] == ["Be.", "Hi you", "Oh"]
        await pilot.press("u")
        assert [line[2] for line in lines(app)] == ["Be.", "Hi you", "Oh", "So"]
        await pilot.press("K", "K", "r")
        assert lines(app)[1] == ["1", "assistant", "So"]
        await pilot.press("u", "k", "x", "K")
        assert lines(app) == [["0", "user", "So"], ["1", "user", "Hi you"], ["2", "assistant", "Oh"]]
        await pilot.press("end", "e", "!", "enter")
        turns = Conversation((Turn("user", "So"), Turn("user", "Hi you"), Turn("assistant", "Oh!")))
        await until(pilot, lambda: columns(app) == texts(model, turns))


async def test_the_last_turn_is_ended_and_goes_on_again(chatml: Path) -> None:
    turns = Conversation((Turn("user", "Hi"), Turn("assistant", "Oh")))
    app, model = app_of(chatml, turns), load(str(chatml), device="cpu")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(app, pilot)
        assert "the assistant goes on with the last turn" in label(app, "#turns-behind")
        await pilot.press("c")
        assert "nothing, the last turn ends" in label(app, "#turns-behind")
        await pilot.press("enter")
        closed = Conversation(turns.turns, closed=True)
        await until(pilot, lambda: columns(app) == texts(model, closed))
        assert app.explore.query_one(PromptBox).prompt == closed


async def test_esc_and_an_empty_turn_change_nothing(chatml: Path) -> None:
    app = app_of(chatml, TURNS)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(app, pilot)
        before = columns(app)
        await pilot.press("a", "enter")
        assert (
            label(app, "#turns-wrong") == "Turn 4 (assistant) is empty: say something in it, or leave it out."
        )
        await pilot.press("escape", "escape")
        assert app.screen is app.explore
        assert columns(app) == before
        assert app.explore.query_one(PromptBox).prompt == TURNS


async def test_the_thinking_switch_where_there_is_one(folders: Callable[[str], Path]) -> None:
    app, model = app_of(folders(QWEN_3), "Hi"), load(str(folders(QWEN_3)), device="cpu")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(app, pilot)
        assert "thinking: as the template has it" in label(app, "#turns-behind")
        await pilot.press("t", "t")
        assert "thinking: off" in label(app, "#turns-behind")
        await pilot.press("enter")
        ids = model.tokenizer.apply_chat_template(
            [{"role": "user", "content": "Hi"}],
            add_generation_prompt=True,
            enable_thinking=False,
            return_dict=True,
        )["input_ids"]
        await until(pilot, lambda: columns(app) == [model.texts[token] for token in ids])
    app = app_of(folders(CHATML), "Hi")
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(app, pilot)
        assert "thinking: this chat template has no thinking switch" in label(app, "#turns-behind")
        await pilot.press("t")
        assert "nothing to switch" in said(app)


async def test_without_a_chat_template_the_key_says_why_not(tiny_model: Path) -> None:
    app = app_of(tiny_model, "Hi")
    async with app.run_test(size=(120, 40)) as pilot:
        await read(app, pilot)
        await pilot.press("escape", "I")
        assert said(app) == "This tokenizer has no chat template: give it a plain prompt."
        assert app.screen is app.explore


@pytest.mark.parametrize(
    ("template", "turns", "why"),
    [
        (GEMMA, (Turn("system", "Be."), Turn("user", "Hi")), "System role not supported"),
        (LLAMA_2, (Turn("user", "Hi"), Turn("user", "So")), "Roles must alternate: user/assistant/user/…"),
    ],
    ids=["no system turn", "two turns of the user"],
)
async def test_what_a_template_refuses_is_said_and_no_turn_is_lost(
    folders: Callable[[str], Path], template: str, turns: tuple[Turn, ...], why: str
) -> None:
    app = app_of(folders(template), "Hi")
    async with app.run_test(size=(120, 40)) as pilot:
        await read(app, pilot)
        app.explore.read_prompt(Conversation(turns))
        await until(pilot, lambda: "cannot be applied" in said(app))
        assert said(app) == f"The tokenizer's chat template cannot be applied: {why}."
        await pilot.press("escape", "I")
        assert [line[1:] for line in lines(app)] == [[turn.role, turn.content] for turn in turns]


async def test_the_oldest_turns_go_where_the_context_is_too_short(chatml: Path) -> None:
    turns = Conversation((Turn("user", "a" * 90), Turn("assistant", "b" * 30), Turn("user", "c" * 30)))
    app, model = app_of(chatml, turns), load(str(chatml), device="cpu")
    async with app.run_test(size=(120, 40)) as pilot:
        await read(app, pilot)
        assert f"turns 0–1 were left out: the context is {CONTEXT}" in subtitle(app)
        assert columns(app) == texts(model, Conversation(turns.turns[2:]))
        assert ", turn 3 assistant (template)" in title(app)
        await go_to(pilot, "t1")
        assert said(app) == "Turn 1 was left out: the context has no room for it."


async def test_columns_say_their_turn_and_g_goes_to_one(chatml: Path) -> None:
    app, model = app_of(chatml, TURNS), load(str(chatml), device="cpu")
    async with app.run_test(size=(200, 50)) as pilot:
        await read(app, pilot)
        await pilot.press("escape")
        await go_to(pilot, "turn 1")
        whole = texts(model, TURNS)
        headers = [place for place, text in enumerate(whole) if text == "<|im_start|>"]
        assert app.explore.panes.cursor.column == headers[1]
        assert f'column {headers[1]}, turn 1 user (template) "<|im_start|>"' in title(app)
        await pilot.press(*["right"] * 6)
        await pilot.pause(0.2)
        assert f'column {headers[1] + 6}, turn 1 user "H"' in title(app)
        strip = app.explore.grids[0].render_lines(app.explore.grids[0].size.region)[0]
        assert strip.text.count(BEGINS) == sum(
            place in app.explore.grids[0].visible_columns() for place in headers
        )
        await go_to(pilot, "t9")
        assert said(app) == "No column is of turn 9: the turns are 0 … 4."
        app.explore.read_prompt("Hi")
        await until(pilot, lambda: app.explore.state.turns is None)
        await go_to(pilot, "t1")
        assert said(app) == "The prompt is one text, and not turns: I makes turns of it."


async def test_template_tokens_are_dimmed_and_that_is_remembered(chatml: Path, tmp_path: Path) -> None:
    start = Start(turns=TURNS, model=str(chatml))
    app = begun(start, tmp_path / "session.json")
    async with app.run_test(size=(200, 50)) as pilot:
        await read(app, pilot)
        grid, of = app.explore.grids[0], app.explore.state.turns
        assert of is not None
        assert grid.column_marks.dim == frozenset()
        await pilot.press("escape", "z")
        template = frozenset(place for place, is_template in enumerate(of.template) if is_template)
        assert grid.column_marks.dim == template != frozenset()
        assert said(app) == "Tokens of the chat template are dim."
        await pilot.press("q")
    app = begun(Start(model=str(chatml)), tmp_path / "session.json")
    async with app.run_test(size=(200, 50)) as pilot:
        await read(app, pilot)
        assert app.explore.query_one(PromptBox).prompt == TURNS
        assert app.explore.grids[0].column_marks.dim == template
        assert not app.explore.query_one(PromptBox).has_focus


async def test_typing_in_the_box_is_a_text_in_place_of_turns(chatml: Path, tmp_path: Path) -> None:
    history = History(tmp_path / "history.json")
    app = app_of(chatml, "Hi", history)
    async with app.run_test(size=(120, 40)) as pilot:
        await opened(app, pilot)
        await pilot.press("a", "O", "h", "enter")
        turns = Conversation((Turn("user", "Hi"), Turn("assistant", "Oh")))
        await until(pilot, lambda: app.explore.state.turns is not None)
        await read(app, pilot)
        await pilot.press("i", "i")
        box = app.explore.query_one(PromptBox)
        assert box.has_focus
        assert subtitle(app) == "type a text in place of the turns, or esc"
        await pilot.press("N", "o", "enter")
        await until(pilot, lambda: app.explore.state.turns is None)
        await read(app, pilot)
        assert box.text == "No"
        assert mark(app) == "prompt"
        await pilot.press("i", "up")
        assert box.prompt == turns
        assert box.text == "2 turns: user: Hi · assistant: Oh"
        await pilot.press("enter")
        await until(pilot, lambda: app.explore.state.turns is not None)
    assert History(tmp_path / "history.json").prompts[-3:] == (turns, "No", turns)


async def test_the_second_prompt_is_a_text(chatml: Path, tmp_path: Path) -> None:
    """Its box neither begins with turns nor goes back to any."""
    history = History(tmp_path / "history.json")
    history.add("Earlier")
    history.add(TURNS)
    app = app_of(chatml, TURNS, history)
    async with app.run_test(size=(120, 40)) as pilot:
        await read(app, pilot)
        await pilot.press("escape", "B")
        assert app.screen.query_one(PromptBox).prompt == ""
        assert "Beside turns it is one turn of the user." in label(app, "Label")
        await pilot.press("up")
        assert app.screen.query_one(PromptBox).prompt == "Earlier"


async def test_the_options_of_reading_are_those_of_turns(chatml: Path) -> None:
    """BOS and the chat template are as they are; BOS that was chosen for a text is of no matter."""
    app = LenstuiApp(Start(prompt="Hi", model=str(chatml), bos=True), depth=1)
    model = load(str(chatml), device="cpu")
    async with app.run_test(size=(120, 40)) as pilot:
        await read(app, pilot)
        assert mark(app) == "prompt · with BOS"
        app.explore.read_prompt(TURNS)
        await until(pilot, lambda: columns(app) == texts(model, TURNS))
        assert mark(app) == "prompt · turns: I edits them"
        await read(app, pilot)
        await pilot.press("escape", "b")
        assert isinstance(app.screen, AskReading)
        assert not app.screen.query("#reading-bos, #reading-chat")


class Ends:
    """Has the model end its turn: the tokens that generation gives, in place of its own."""

    def __init__(self, tokens: list[int]) -> None:
        self.tokens = tokens

    def __call__(self, model: Model, ids: Any, *, count: int, **options: Any) -> Any:
        return iter(self.tokens[:count])


async def test_the_next_turn_is_generated_until_it_ends(
    chatml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, model = app_of(chatml, TURNS), load(str(chatml), device="cpu")
    end = model.tokenizer.convert_tokens_to_ids("<|im_end|>")
    words = model.tokenizer("Yes", add_special_tokens=False)["input_ids"]
    monkeypatch.setattr("lenstui.readout.generation.generate", Ends([*words, end, *words]))
    async with app.run_test(size=(160, 40)) as pilot:
        await read(app, pilot)
        await pilot.press("escape")
        await generate(pilot, "50")
        await until(pilot, lambda: "turn ends" in subtitle(app))
        said_turns = Conversation((*TURNS.turns, Turn("assistant", "Yes")))
        assert columns(app) == texts(model, said_turns)
        assert app.explore.query_one(PromptBox).prompt == said_turns
        assert subtitle(app).endswith("3 appended, kept until turns change · turn ends: <|im_end|>")
        assert 'turn 4 assistant "s"' in title(app)
        await pilot.press("I", "a", "O", "k", "enter")
        more = Conversation((*said_turns.turns, Turn("user", "Ok")))
        await until(pilot, lambda: columns(app) == texts(model, more))
        assert app.explore.state.tail == ()


async def test_generated_tokens_stay_until_a_turn_is_edited(
    folders: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This template drops the reasoning of earlier turns, which the model has read as it was generated."""
    folder = folders(QWEN_3)
    app, model = app_of(folder, Conversation((Turn("user", "Hi"),))), load(str(folder), device="cpu")
    words = model.tokenizer("<think>\nHm\n</think>\n\nYes", add_special_tokens=False)["input_ids"]
    end = model.tokenizer.convert_tokens_to_ids("<|im_end|>")
    monkeypatch.setattr("lenstui.readout.generation.generate", Ends([*words, end]))
    async with app.run_test(size=(160, 40)) as pilot:
        await read(app, pilot)
        await pilot.press("escape")
        await generate(pilot, "50")
        await until(pilot, lambda: "turn ends" in subtitle(app))
        before = columns(app)
        assert before[-len(words) :] == [model.texts[token] for token in words]
        await pilot.press("I", "enter")  # nothing is edited
        await until(pilot, lambda: subtitle(app).endswith(" s"))
        assert columns(app) == before
        await pilot.press("I", "a", "O", "k", "enter")
        await until(pilot, lambda: "has other tokens now for what was generated" in said(app))
        first = next(i for i, (old, new) in enumerate(zip(before, columns(app), strict=False)) if old != new)
        assert f"from column {first} on" in said(app)


async def test_a_turn_that_is_over_gets_no_more_tokens(chatml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Conversation((Turn("user", "Hi"), Turn("assistant", "Oh")))
    app, model = app_of(chatml, turns), load(str(chatml), device="cpu")
    end = model.tokenizer.convert_tokens_to_ids("<|im_end|>")
    monkeypatch.setattr("lenstui.readout.generation.generate", Ends([end]))
    async with app.run_test(size=(160, 40)) as pilot:
        await read(app, pilot)
        await pilot.press("escape")
        await generate(pilot, "5")
        await until(pilot, lambda: "turn ends: <|im_end|>" in subtitle(app))
        assert columns(app) == texts(model, turns)
        await pilot.press("Y")  # what is on screen can be exported
        await until(pilot, lambda: "lenstui read --turns" in said(app))


async def test_the_copied_command_reads_the_same(
    chatml: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app = app_of(chatml, TURNS)
    copied: list[str] = []
    async with app.run_test(size=(160, 40)) as pilot:
        monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
        await read(app, pilot)
        await pilot.press("escape")
        await generate(pilot, "2")
        await until(pilot, lambda: "2 appended" in subtitle(app))
        shown = columns(app)
        await pilot.press("Y")
        await until(pilot, lambda: copied)
    words = shlex.split(copied[0])
    assert words[:3] == ["lenstui", "read", "--turns"]
    assert "--chat" not in words
    assert json.loads(words[3])[-1]["role"] == "assistant"
    place = words.index("--value")
    assert status(*words[1:place], "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["tokens"] == shown


async def test_a_case_of_turns_opens_from_a_prompt_set(chatml: Path, tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    file.write_text(json.dumps({"messages": TURNS.messages, "target": "a"}), encoding="utf-8")
    app, model = app_of(chatml, "Hi"), load(str(chatml), device="cpu")
    async with app.run_test(size=(120, 40)) as pilot:
        await read(app, pilot)
        await pilot.press("escape")
        await go(app, pilot, file)
        await pilot.press("enter")
        await until(pilot, lambda: columns(app) == texts(model, TURNS))
        assert app.screen is app.explore
        assert app.explore.query_one(PromptBox).prompt == TURNS
        assert [pin.text for pin in app.explore.panel.pins] == ["a"]


async def test_why_and_trace_are_of_the_turns_and_their_commands_name_them(
    chatml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_of(chatml, TURNS)
    copied: list[str] = []
    async with app.run_test(size=(160, 45)) as pilot:
        monkeypatch.setattr(app, "copy_to_clipboard", copied.append)
        await read(app, pilot)
        await pilot.press("escape", "w")
        await until(pilot, lambda: isinstance(app.screen, Why) and app.screen.query_one(OptionList).options)
        await pilot.press("Y")
        await until(pilot, lambda: copied)
        assert json.loads(shlex.split(copied.pop())[3]) == TURNS.messages
        await pilot.press("escape")
        fill(await ask_for_trace(app, pilot), "Ho you", metric=METRIC_WORDS["logprob"])
        await start(app, pilot)
        await pilot.press("Y")
        await until(pilot, lambda: copied)
    words = shlex.split(copied.pop())
    assert words[:3] == ["lenstui", "trace", "--turns"]
    assert [json.loads(word) for word in words[3:5]] == [
        TURNS.messages,
        [{"role": "user", "content": "Ho you"}],
    ]


async def test_a_template_that_looks_into_turns_leaves_them_unknown_which_is_said(
    folders: Callable[[str], Path],
) -> None:
    looks = CHATML.replace("{% for m", "{% if 'Hi' in messages[-1].content %}!{% endif %}{% for m", 1)
    app = app_of(folders(looks), Conversation((Turn("user", "Hi"),)))
    async with app.run_test(size=(120, 40)) as pilot:
        await read(app, pilot)
        assert said(app).startswith("Which columns are of which turn is unknown: ")
        assert "turn" not in title(app)
        await pilot.press("escape")
        await go_to(pilot, "t0")
        assert said(app).startswith("Which columns are of which turn is unknown: ")
