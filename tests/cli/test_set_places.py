"""`lenstui read --prompts --at`: read where its reasoning or answer ends, a prompt is the shorter prompt."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.programs.calls import status
from tests.tiny.chat_templates import CHATML, chat_tokenizer_of
from tests.tiny.folders import neox_in

LONG = "Q<think>so it is</think>Yes"
AT_REASONING = "Q<think>so it is"

Printed = Callable[..., str]


def written(path: Path, *cases: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(case) + "\n" for case in cases))
    return path


@pytest.fixture
def printed(tiny_folder: Path, capsys: pytest.CaptureFixture[str]) -> Printed:
    """What goes to stdout for a file and further words."""

    def printed(file: Path, *more: object) -> str:
        assert status("read", "--prompts", file, "--model", tiny_folder, "--device", "cpu", *more) == 0
        return capsys.readouterr().out

    return printed


def read(text: str) -> list[dict[str, Any]]:
    return json.loads(text)["cases"]


def test_the_numbers_are_those_of_the_prompt_up_to_there(printed: Printed, tmp_path: Path) -> None:
    cut = written(tmp_path / "cut.jsonl", {"prompt": AT_REASONING, "target": "t"})
    whole = written(tmp_path / "whole.jsonl", {"prompt": LONG, "target": "t"})
    (wanted,), (found,) = (
        read(printed(cut, "--format", "json", "--exact-targets")),
        read(printed(whole, "--format", "json", "--exact-targets", "--at", "reasoning")),
    )
    assert found["at"] == "reasoning" and wanted["at"] is None
    assert found["tokens"] == wanted["tokens"] == len(AT_REASONING)
    assert found["final_id"] == wanted["final_id"]
    for row, number in enumerate(wanted["lenses"]["logit"]["target_logprob"]):
        assert found["lenses"]["logit"]["target_logprob"][row] == pytest.approx(number, abs=1e-5)


def test_a_field_comes_before_the_option_and_is_read_again(printed: Printed, tmp_path: Path) -> None:
    file = written(
        tmp_path / "cases.jsonl", {"prompt": LONG, "at": "last"}, {"prompt": LONG}, {"prompt": "no marks"}
    )
    first, second, third = read(printed(file, "--format", "json", "--at", "reasoning"))
    assert first["tokens"] == len(LONG) and first["at"] == "last"
    assert second["tokens"] == len(AT_REASONING)
    assert third["error"] == "The prompt has no reasoning, between marks such as <think> and </think>."
    table = printed(file, "--format", "csv", "--at", "reasoning")
    assert {line["at"] for line in csv.DictReader(io.StringIO(table))} == {"last", "reasoning"}
    (tmp_path / "again.csv").write_text(table)
    again = read(printed(tmp_path / "again.csv", "--format", "json"))
    assert [case["tokens"] for case in again] == [len(LONG), len(AT_REASONING)]


def test_the_answer_of_a_turn_ends_before_what_the_template_ends_it_with(
    printed: Printed, tmp_path: Path
) -> None:
    folder, tokenizer = tmp_path / "chatml", chat_tokenizer_of(CHATML)
    neox_in(folder, tokenizer, blocks=2, heads=2, context=160, vocabulary=len(tokenizer))
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "<think>so</think>Yo"}]
    text = tokenizer.apply_chat_template(turns, tokenize=False)
    file = written(tmp_path / "turns.jsonl", {"messages": turns})
    counts = [len(tokenizer(text[: text.rindex(end) + len(end)])["input_ids"]) for end in ("so", "Yo")]
    for place, count in zip(("reasoning", "answer"), counts, strict=True):
        (case,) = read(printed(file, "--format", "json", "--model", folder, "--at", place))
        assert case["error"] is None and case["tokens"] == count


def test_a_place_that_is_none_is_said(printed: Printed, tmp_path: Path) -> None:
    file = written(tmp_path / "cases.jsonl", {"prompt": "a", "at": "end"}, {"prompt": "b"})
    first, second = read(printed(file, "--format", "json"))
    assert first["error"] == "A prompt is read at last, reasoning or answer, not at 'end'."
    assert second["error"] is None
