"""`--turns` of `lenstui read`, `why` and `trace`, and prompt sets of `messages`, against the template."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lenstui
from lenstui.lens import Model, load
from tests.programs.calls import status
from tests.tiny.chat_templates import CHATML, LLAMA_2, QWEN_3, chat_tokenizer_of
from tests.tiny.folders import neox_in

TURNS = [
    {"role": "system", "content": "Be."},
    {"role": "user", "content": "Hi 'you'\n"},
    {"role": "assistant", "content": "Oh, "},
]
OTHER = [*TURNS[:2], {"role": "assistant", "content": "No, "}]
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


@pytest.fixture(scope="module")
def chatml(folders: Callable[[str], Path]) -> Path:
    return folders(CHATML)


@pytest.fixture(scope="module")
def model(chatml: Path) -> Model:
    return load(str(chatml), device="cpu")


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    """A file of turns."""
    file = tmp_path / "chat.json"
    file.write_text(json.dumps(TURNS), encoding="utf-8")
    return file


@pytest.fixture
def out(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What goes to stdout."""

    def printed(*words: object) -> str:
        assert status(*words) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return printed


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What goes to stderr, one line, where nothing is read."""

    def printed(*words: object) -> str:
        assert status(*words) in {1, 2}
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1, said.err
        return said.err

    return printed


def ids_of(folder: Path, turns: list[dict[str, str]], **how: Any) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder).apply_chat_template(turns, return_dict=False, **how)


def test_without_a_terminal_the_program_itself_prints_the_table(
    chatml: Path, chat: Path, out: Callable[..., str]
) -> None:
    model = ("--model", chatml, "--top-k", "1")
    assert out("--turns", chat, *model) == out("read", "--turns", chat, *model)


def test_what_is_appended_is_one_turn(chatml: Path, chat: Path, out: Callable[..., str]) -> None:
    asked = ("--turns", chat, "--model", chatml, "--append", "3", "--format", "json")
    found = json.loads(out("read", *asked))
    assert found["appended"] == 3
    assert found["turns"][:2] == TURNS[:2]
    assert found["turns"][2]["content"].startswith("Oh, ")
    assert found["prompt"].endswith(found["turns"][2]["content"])
    assert found["column_turns"][-3:] == [2, 2, 2]


def test_json_has_the_templates_tokens_and_their_turns(
    chatml: Path, model: Model, chat: Path, out: Callable[..., str]
) -> None:
    found = json.loads(out("read", "--turns", chat, "--model", chatml, "--format", "json"))
    theirs = ids_of(chatml, TURNS, continue_final_message=True)
    assert (found["token_ids"], found["chat"]) == (theirs, True)
    assert (found["turns"], found["thinking"], found["closed"]) == (TURNS, None, False)
    assert found["prompt"].endswith("<|im_start|>assistant\nOh, ")
    header = 1 + len("assistant\n")  # a special token, and a token for each letter
    assert found["column_turns"][-header - 4 :] == [2] * (header + 4)
    assert found["column_templates"][-header - 4 :] == [True] * header + [False] * 4
    assert found["left_out_turns"] == []
    readout = lenstui.read(model, TURNS)
    assert list(readout.prompt.ids) == theirs
    entropy = np.array(found["lenses"]["logit"]["entropy"], np.float32)
    assert np.array_equal(entropy, readout.lenses["logit"].entropy)
    assert readout.prompt.turns is not None
    assert readout.prompt.turns.conversation == lenstui.Conversation(
        tuple(lenstui.Turn(turn["role"], turn["content"]) for turn in TURNS)
    )


def test_tidy_forms_have_a_turn_and_a_role(
    chatml: Path, chat: Path, out: Callable[..., str], tmp_path: Path
) -> None:
    words = ("read", "--turns", chat, "--model", chatml, "--rows", "last")
    found = json.loads(out(*words, "--format", "json"))
    wanted = [
        (str(turn), TURNS[turn]["role"], str(int(template)))
        for turn, template in zip(found["column_turns"], found["column_templates"], strict=True)
    ]
    lines = list(csv.DictReader(io.StringIO(out(*words, "--format", "csv"))))
    assert [(line["turn"], line["role"], line["template"]) for line in lines] == wanted
    out(*words, "-o", tmp_path / "x.parquet")
    table = pq.read_table(tmp_path / "x.parquet").to_pydict()
    columns = zip(table["turn"], table["role"], table["template"], strict=True)
    assert [(str(turn), role, str(template)) for turn, role, template in columns] == wanted
    plain = out("read", "hi", "--model", chatml, "--rows", "last", "--format", "csv")
    assert "turn" not in plain.splitlines()[0].split(",")


@pytest.mark.parametrize("form", ["table", "md", "html", "svg"])
def test_forms_for_people_name_the_turns(
    chatml: Path, chat: Path, out: Callable[..., str], form: str
) -> None:
    said = out("read", "--turns", chat, "--model", chatml, "--rows", "last", "--format", form)
    # `<|im_start|>` and `<|im_end|>` are one token each, all else a token for each letter.
    system = len(" system\n") + len("Be.") + len(" \n")
    user = len(" user\n") + len("Hi 'you'\n") + len(" \n")
    end = system + user + len(" assistant\n") + len("Oh, ")
    assert (
        f"turns: 0 system, columns 0–{system - 1}; 1 user, columns {system}–{system + user - 1}; "
        f"2 assistant, columns {system + user}–{end - 1}"
    ) in " ".join(said.split())


@pytest.mark.parametrize("more", [(), ("--closed",), ("--append", "3"), ("--no-thinking",)])
def test_the_command_reads_the_same_turns(
    folders: Callable[[str], Path], chat: Path, out: Callable[..., str], more: tuple[str, ...]
) -> None:
    folder = folders(QWEN_3)
    words = ("read", "--turns", chat, "--model", folder, "--rows", "last", *more)
    page = out(*words, "--format", "md")
    (command,) = [line for line in page.splitlines() if line.startswith("lenstui read")]
    assert "--chat" not in command
    assert out(*shlex.split(command)[1:]) == page


def test_turns_from_standard_input_and_from_the_argument(
    chatml: Path, out: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--model", chatml, "--rows", "last", "--format", "json")
    given = json.dumps(TURNS)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
    assert out("read", "--turns", "-", *words) == out("read", "--turns", given, *words)


def test_a_page_marks_where_turns_begin(chatml: Path, chat: Path, out: Callable[..., str]) -> None:
    page = out("read", "--turns", chat, "--model", chatml, "--rows", "last", "--format", "html")
    (data,) = re.findall(r'<script type="application/json" id="readout">(.*?)</script>', page)
    turns = json.loads(data)["turns"]
    ids = json.loads(out("read", "--turns", chat, "--model", chatml, "--format", "json"))["token_ids"]
    begins = [column for column, each in enumerate(turns) if each["begins"]]
    start = ids_of(chatml, TURNS)[0]  # the token that each turn begins with
    assert begins == [column for column, token in enumerate(ids) if token == start]
    assert [turns[column]["name"] for column in begins] == [
        "turn 0 system, template",
        "turn 1 user, template",
        "turn 2 assistant, template",
    ]
    assert (turns[-1]["name"], turns[-1]["template"]) == ("turn 2 assistant", False)


def test_oldest_turns_are_left_out_and_that_is_said(chatml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    longer = [TURNS[0], {"role": "user", "content": "x" * 120}, *TURNS[1:2], TURNS[2]]
    assert status("read", "--turns", json.dumps(longer), "--model", chatml, "--format", "json") == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["left_out_turns"] == [1]
    assert found["token_ids"] == ids_of(chatml, TURNS, continue_final_message=True)
    assert {*found["column_turns"]} == {0, 2, 3}
    whole = len(found["token_ids"]) + found["dropped"]
    assert f"The turns have {whole} tokens, more than the model reads: turn 1 was left out" in said.err


def test_why_explains_a_cell_of_turns(
    chatml: Path, model: Model, chat: Path, out: Callable[..., str]
) -> None:
    words = ("why", "--turns", chat, "--model", chatml)
    found = json.loads(out(*words, "--format", "json"))
    wanted = lenstui.contributions(model, TURNS)
    assert found["logit"] == pytest.approx(wanted.logit)
    assert found["token_ids"] == list(wanted.ids)
    lines = list(csv.DictReader(io.StringIO(out(*words, "--format", "csv"))))
    sources = [line for line in lines if line["what"] == "source"]
    assert {line["source_role"] for line in sources} == {"system", "user", "assistant"}
    assert all(
        found["column_turns"][int(line["source_column"])] == int(line["source_turn"]) for line in sources
    )
    assert {line["source_role"] for line in lines if line["what"] != "source"} == {""}
    page = out(*words, "--format", "md", "--no-sources")
    (command,) = [line for line in page.splitlines() if line.startswith("lenstui why")]
    assert out(*shlex.split(command)[1:]) == page
    assert "turns: 0 system" in page
    for form in ("table", "html"):
        assert "turns: 0 system" in out(*words, "--format", form)


def test_trace_between_two_chats(chatml: Path, model: Model, out: Callable[..., str]) -> None:
    words = ("trace", "--turns", json.dumps(TURNS), json.dumps(OTHER), "--model", chatml)
    found = json.loads(out(*words, "--format", "json"))
    clean, corrupted = (lenstui.encode(model.tokenizer, turns) for turns in (TURNS, OTHER))
    wanted = lenstui.trace(model, clean, corrupted)
    assert np.allclose(np.array(found["recovered"], np.float32), wanted.recovered, equal_nan=True)
    assert (found["turns"], found["corrupted_turns"]) == (TURNS, OTHER)
    page = out(*words, "--format", "md")
    (command,) = [line for line in page.splitlines() if line.startswith("lenstui trace")]
    assert out(*shlex.split(command)[1:]) == page
    lines = list(csv.DictReader(io.StringIO(out(*words, "--format", "csv"))))
    assert [line["turn"] for line in lines[: len(clean.ids)]] == [str(turn) for turn in found["column_turns"]]
    noisy = out("trace", "--turns", json.dumps(TURNS), "--noise", "3-4", "--samples", 2, "--model", chatml)
    assert "turns: 0 system" in noisy


def test_edits_are_of_the_turns(chatml: Path, model: Model, chat: Path, out: Callable[..., str]) -> None:
    words = ("read", "--turns", chat, "--model", chatml, "--edit", "ablate 0.mlp @20-29")
    found = json.loads(out(*words, "--format", "json"))
    wanted = lenstui.read(lenstui.edited(model, ["ablate 0.mlp @20-29"], TURNS), TURNS)
    entropy = np.array(found["lenses"]["logit"]["entropy"], np.float32)
    assert np.array_equal(entropy, wanted.lenses["logit"].entropy)
    assert not np.array_equal(entropy, lenstui.read(model, TURNS).lenses["logit"].entropy)


def set_of(folder: Path, cases: list[dict[str, Any]]) -> Path:
    file = folder / "cases.jsonl"
    file.write_text("".join(json.dumps(case) + "\n" for case in cases), encoding="utf-8")
    return file


def test_prompt_sets_take_messages(
    chatml: Path, model: Model, out: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases: list[dict[str, Any]] = [
        {"messages": TURNS, "target": "h", "group": "chats"},
        {"prompt": "plain ", "target": "h"},
        {"messages": [{"role": "bot", "content": "x"}]},
        {"messages": [{"role": "user", "content": "y"}] * 2, "target": "Z"},
    ]
    file = set_of(tmp_path, cases)
    words = ("--model", chatml, "--rows", "last")
    assert status("read", "--prompts", file, *words, "--format", "json") == 0
    said = capsys.readouterr()
    assert "turn 0 has the role 'bot'" in said.err.lower()
    first, plain, double = json.loads(said.out)["cases"]
    assert (first["messages"], first["tokens"]) == (TURNS, len(lenstui.encode(model.tokenizer, TURNS).ids))
    assert first["prompt"].startswith("system: Be.\nuser: Hi")
    assert ("messages" in plain, plain["error"]) == (False, None)
    readout = lenstui.read(model, TURNS)
    assert first["final_prob"] == pytest.approx(float(readout.lenses["logit"].top_probs[-1, -1, 0]))
    # Behind the template's own newline a word has no space before it.
    assert double["target_token"] == "Z"
    lines = list(csv.DictReader(io.StringIO(out("read", "--prompts", file, *words, "--format", "csv"))))
    assert [json.loads(line["messages"]) if line["messages"] else None for line in lines] == [
        TURNS,
        None,
        cases[3]["messages"],
    ]
    edited = json.loads(out("read", "--prompts", file, *words, "--edit", "ablate 0.mlp", "--format", "json"))
    changed = lenstui.read(lenstui.edited(model, ["ablate 0.mlp"], TURNS), TURNS)
    prob = float(changed.lenses["logit"].top_probs[-1, -1, 0])
    assert edited["cases"][0]["final_prob"] == pytest.approx(prob)
    columns = {name: [case.get(name) for case in cases] for name in ("messages", "target")}
    pq.write_table(pa.table(columns), tmp_path / "cases.parquet")
    found = out("read", "--prompts", tmp_path / "cases.parquet", *words, "--format", "json")
    first, double = json.loads(found)["cases"]
    assert (first["messages"], double["number"]) == (TURNS, 4)


def test_a_set_of_chats_is_traced(chatml: Path, out: Callable[..., str], tmp_path: Path) -> None:
    file = set_of(tmp_path, [{"messages": TURNS, "corrupted": OTHER}, {"messages": TURNS, "corrupted": "Hi"}])
    found = json.loads(out("trace", "--prompts", file, "--model", chatml, "--format", "json"))
    (one, mixed) = found["cases"]
    assert (one["messages"], one["corrupted_messages"], one["error"]) == (TURNS, OTHER, None)
    assert mixed["error"] == "One of its prompts is of turns, and the other is one text."
    pair = (json.dumps(TURNS), json.dumps(OTHER))
    alone = json.loads(out("trace", "--turns", *pair, "--model", chatml, "--format", "json"))
    means = np.array(found["means"]["recovered"]["mean"], float)
    assert np.allclose(means, np.array(alone["recovered"], float), equal_nan=True)


def test_the_thinking_switch_is_for_sets_too(
    folders: Callable[[str], Path], out: Callable[..., str], tmp_path: Path
) -> None:
    folder = folders(QWEN_3)
    file = set_of(tmp_path, [{"messages": [{"role": "user", "content": "Hi"}]}])

    def tokens(*more: str) -> int:
        words = ("read", "--prompts", file, "--model", folder, "--format", "json", *more)
        (case,) = json.loads(out(*words))["cases"]
        return int(case["tokens"])

    assert tokens("--no-thinking") - tokens() == len("<think>\n\n</think>\n\n")


def test_wrong_calls_and_wrong_turns_are_refused(
    chatml: Path,
    folders: Callable[[str], Path],
    neox_folder: Path,
    tmp_path: Path,
    refused: Callable[..., str],
) -> None:
    model = ("--model", chatml)
    hi = json.dumps([{"role": "user", "content": "Hi"}])
    for words, why in (
        ((hi, "hello"), "a PROMPT and --turns are given"),
        ((hi, "--bos"), "BOS is as the chat template has it"),
        ((hi, "--chat"), "--chat is of a text"),
        ((hi, "--thinking"), "has no thinking switch: leave it out."),
        ((hi, "--prompts", "examples"), "--turns and --prompts are given"),
        (("",), "--turns names no file"),
        (("there/is/none",), "There is no file there/is/none."),
        ((tmp_path,), "cannot be read"),
        (("[1",), "--turns is not JSON: a list of turns is expected, as in"),
        (("[]",), "There is no turn: give at least one."),
        (("[1]",), "Turn 0 is no object"),
        (('[{"role": "user"}]',), "Turn 0 has no 'content' that is text."),
        (('[{"role": "user", "content": ["a"]}]',), "Turn 0 has no 'content' that is text."),
        (('[{"role": "bot", "content": "a"}]',), "has the role 'bot': it can be system, user or assistant."),
        (('[{"role": "user", "content": " \\n"}]',), "Turn 0 (user) is empty"),
        (('[{"role": "user", "content": "\\ud800"}]',), "Turn 0 (user) has half of a surrogate pair"),
        (('[{"role": "user", "content": "a", "tool_calls": [1]}]',), "has 'tool_calls', which is not read"),
        (("[" * 9999,), "--turns is not JSON"),
    ):  # fmt: skip
        turns, *more = words
        assert why in refused("read", f"--turns={turns}", *more, *model), words
    assert "--closed needs --turns" in refused("read", "hi", "--closed", *model)
    assert "--thinking needs --turns" in refused("why", "hi", "--thinking", *model)
    assert "no chat template" in refused("read", "--turns", hi, "--model", neox_folder)
    twice = json.dumps([{"role": "user", "content": "Hi"}] * 2)
    said = refused("read", "--turns", twice, "--model", folders(LLAMA_2))
    assert (
        "The tokenizer's chat template cannot be applied: Roles must alternate: user/assistant/user/…."
        in said
    )
    long = json.dumps([{"role": "user", "content": "x" * 999}])
    assert "alone makes" in refused("read", "--turns", long, *model)
    for name, content, why in (
        ("dict.json", b'{"messages": []}', "dict.json is no list in JSON"),
        ("latin.json", b"[\xe4]", "is not UTF-8 text (byte 1)"),
    ):
        (tmp_path / name).write_bytes(content)
        assert why in refused("read", "--turns", tmp_path / name, *model)
    assert "these are 3" in refused("trace", "--turns", hi, hi, hi, *model)
    both = refused("trace", "--turns", hi, hi, "--noise", "1", *model)
    assert "the corruption is a second prompt or --noise" in both
    assert "give a second prompt" in refused("trace", "--turns", hi, *model)
