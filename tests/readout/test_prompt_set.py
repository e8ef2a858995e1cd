"""Cases from files of prompts: plain text, JSON lines, Parquet, and files that are none of these."""

from __future__ import annotations

import csv
import io
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenstui.lens import Case, LensError, PromptFile, example_prompts, open_prompts
from lenstui.readout.sets.prompts import read_cases, read_lines, skipped_rows

Write = Callable[..., Path]
WILD = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file: a table, bytes, a text, or a list of JSON values."""

    def write(name: str, content: Any, **options: Any) -> Path:
        path = tmp_path / name
        if isinstance(content, pa.Table):
            pq.write_table(content, path, **options)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8", newline="")
        else:
            path.write_text("".join(json.dumps(value) + "\n" for value in content), encoding="utf-8")
        return path

    return write


def complaint(path: Path, **names: str) -> str:
    """What the one-line error says."""
    with pytest.raises(LensError) as caught:
        open_prompts(PromptFile(path, **names))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_plain_text_is_a_prompt_a_line(write: Write) -> None:
    content = (
        "\ufeffThe sky is\tblue\r\n\n  two words \n \t \na\tb\tc\nno target\t\n\tno prompt\nlast\u2028line"
    )
    cases = open_prompts(PromptFile(write("a.txt", content))).cases
    assert cases == (
        Case(1, "The sky is", "blue"),
        Case(3, "  two words "),
        Case(5, "a\tb", "c"),
        Case(6, "no target"),
        Case(7, "", "no prompt"),
        Case(8, "last\u2028line"),
    )


def test_json_lines(write: Write) -> None:
    lines = [
        {"prompt": "1 + 1 =", "target": 2, "group": "sums"},
        {"text": "The sky is", "target": "", "group": None, "other": [1]},
        ["no object"],
        {"prompt": None},
        {"prompt": "", "text": "passed over"},
        {"prompt": "x", "target": 1.5},
        {"promt": "x"},
        {"prompt": "\ud800"},
        {"prompt": "x", "target": True},
    ]
    found = open_prompts(PromptFile(write("a.jsonl", lines)))
    assert found.cases == (Case(1, "1 + 1 =", "2", "sums"), Case(2, "The sky is"), Case(5, ""))
    assert found.groups == ("sums",)
    assert found.skipped.count == 6
    assert str(found.skipped) == (
        "Skipped 6 lines without a prompt: a.jsonl line 3 (not an object), "
        "a.jsonl line 4 (its 'prompt' is no string), a.jsonl line 6 (its 'target' is no string), …"
    )


def test_other_names(write: Write) -> None:
    names = {"prompt": "q", "target": "a", "group": "kind"}
    values = [{"q": "x", "a": "y", "kind": "z", "prompt": "p"}, {"q": "x"}]
    cases = (Case(1, "x", "y", "z"), Case(2, "x"))
    assert open_prompts(PromptFile(write("a.ndjson", values), **names)).cases == cases
    assert open_prompts(PromptFile(write("a.pq", pa.Table.from_pylist(values)), **names)).cases == cases
    one = write("b.jsonl", [{"q": "x", "c": 1}])
    assert complaint(one, prompt="q", target="a") == f"No line of {one} has 'a' (they have q, c)."
    assert "is a JSON object with a prompt in 'p' (line 1: it has q, c)" in complaint(one, prompt="p")
    assert (
        complaint(write("a.txt", "x"), target="a") == "Plain text has no columns: leave the column 'a' out."
    )


def test_parquet_row_group_by_row_group(write: Write) -> None:
    table = pa.table(
        {
            "text": [f"{i} and" if i % 3 else None for i in range(1, 600)],
            "target": pa.array(range(1, 600), pa.int16()),
            "group": pa.array([None, "a", ""] * 199 + ["b", "b"]).dictionary_encode(),
        }
    )
    found = open_prompts(PromptFile(write("a.parquet", table, row_group_size=7)))
    assert [case.number for case in found.cases] == [i for i in range(1, 600) if i % 3]
    assert found.cases[:2] == (Case(1, "1 and", "1"), Case(2, "2 and", "2", "a"))
    assert found.skipped.count == 199
    assert "a.parquet row 3 (its 'text' is null)" in str(found.skipped)


def test_parquet_columns(write: Write) -> None:
    path = write("a.parquet", pa.table({"title": ["a"], "score": [1.5], "nothing": pa.nulls(1)}))
    assert "has no column 'prompt' (it has title, score, nothing): name the one with the prompt" in complaint(
        path
    )
    assert "has no column 'x'" in complaint(path, prompt="title", group="x")
    assert "holds double, not text" in complaint(path, prompt="title", target="score")
    assert open_prompts(PromptFile(path, prompt="title", target="nothing")).cases == (Case(1, "a"),)
    both = write("b.parquet", pa.table({"prompt": ["a"], "text": ["b"]}))
    assert open_prompts(PromptFile(both)).cases == (Case(1, "a"),)


def test_tables(write: Write) -> None:
    text = (
        '\ufeffprompt,target,foil,group,label\r\n"a, ""b""\r\nc",4,5,sums,x\r\n\r\n'
        "plain,,,,\r\n,,,,\r\n,t,,,\r\n"
    )
    found = open_prompts(PromptFile(write("a.csv", text)))
    assert found.cases == (
        Case(2, 'a, "b"\r\nc', "4", "sums", foil="5"),
        Case(5, "plain"),
        Case(7, "", "t"),
    )
    assert found.unread == ("label",) and found.remarks == ["Fields of a.csv that are not read: label."]
    tabs = write("a.TSV", "text\ta\nx, y\tz\n")
    assert open_prompts(PromptFile(tabs, target="a")).cases == (Case(2, "x, y", "z"),)
    assert "has no column 'b' (it has text, a): name the one with the target." in complaint(tabs, target="b")
    pairs = write("b.csv", "prompt,corrupted,target,minus\na,b,c,d\n")
    assert open_prompts(PromptFile(pairs)).cases == (Case(2, "a", "c"),)
    assert open_prompts(PromptFile(pairs, of_pairs=True)).cases == (Case(2, "a", "c", None, "b", "d"),)


def test_turns_in_a_table(write: Write) -> None:
    turns = [{"role": "user", "content": 'Hi, "you"'}]
    quoted = json.dumps(turns).replace('"', '""')
    found = open_prompts(PromptFile(write("a.csv", f'messages,target\n"{quoted}",b\nno turns,c\n')))
    (case,) = found.cases
    assert case.turns is not None and case.turns.messages == turns and case.target == "b"
    assert "a.csv line 3 (its 'messages' is not JSON" in str(found.skipped)


def test_fields_that_are_not_read_are_named_once(write: Write) -> None:
    lines = [
        {"prompt": "a", "label": 1, "minus": "x"},
        {"prompt": "b", "note": 2, "label": 3},
        {"prompt": "c"},
    ]
    file = write("a.jsonl", lines)
    assert open_prompts(PromptFile(file)).remarks == ["Fields of a.jsonl that are not read: label, note."]
    assert open_prompts(PromptFile(file, target="note", group="label")).unread == ()
    named = open_prompts(PromptFile(write("b.jsonl", [{"q": "a", "prompt": "b", "target": "c"}]), prompt="q"))
    assert named.unread == ("prompt",)
    table = pa.table({"prompt": ["a"], "target": ["b"], "score": [1.5]})
    assert open_prompts(PromptFile(write("a.parquet", table))).unread == ("score",)


def test_two_parquet_columns_of_one_name(write: Write) -> None:
    table = pa.table(
        [pa.array(["a"]), pa.array(["b"]), pa.array(["c"])], names=["prompt", "target", "target"]
    )
    assert "has two columns 'target': rename one." in complaint(write("a.parquet", table))


def test_two_columns_that_are_not_read_may_have_one_name(write: Write) -> None:
    table = pa.table([pa.array(["a"]), pa.array(["b"]), pa.array(["c"])], names=["prompt", "x", "x"])
    assert open_prompts(PromptFile(write("a.parquet", table))).cases == (Case(1, "a"),)
    assert open_prompts(PromptFile(write("a.csv", "prompt,x,x\na,b,c\n"))).cases == (Case(2, "a"),)


def test_a_table_of_many_columns_is_read_in_no_time(write: Write) -> None:
    """Each name was looked for among all others: a minute and more."""
    columns = ["prompt", *(f"c{number}" for number in range(50_000))]
    file = write("a.csv", f"{','.join(columns)}\nHi{',' * 50_000}\n")
    began = time.process_time()
    assert open_prompts(PromptFile(file)).cases == (Case(2, "Hi"),)
    assert time.process_time() - began < 5


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@WILD
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=6))
def test_wild_tables(write: Write, rows: list[tuple[str, str, str]]) -> None:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([("prompt", "target", "foil"), *rows])
    path = write("wild.csv", out.getvalue().encode())
    wanted = [(text, target or None, foil or None) for text, target, foil in rows if text or target or foil]
    if wanted:
        found = open_prompts(PromptFile(path)).cases
        assert [(case.text, case.target, case.foil) for case in found] == wanted
    else:
        assert "There is no prompt" in complaint(path)


def test_pairs_are_read_only_where_they_are_asked_for(write: Write) -> None:
    """A file of readings may have anything in fields of these names."""
    pair = {"prompt": "a", "corrupted": "b", "target": "c", "minus": 4}
    odd = {"prompt": "a", "corrupted": [1], "minus": 1.5}
    file = write("a.jsonl", [pair, odd])
    assert open_prompts(PromptFile(file)).cases == (Case(1, "a", "c"), Case(2, "a"))
    found = open_prompts(PromptFile(file, of_pairs=True))
    assert found.cases == (Case(1, "a", "c", None, "b", "4"),)
    assert found.skipped.count == 1
    table = pa.table({"prompt": ["a", "b"], "corrupted": ["c", None], "other": ["d", ""], "minus": [1.5, 2]})
    parquet = write("a.parquet", table)
    assert open_prompts(PromptFile(parquet)).cases == (Case(1, "a"), Case(2, "b"))
    with pytest.raises(LensError, match="holds double, not text"):
        open_prompts(PromptFile(parquet, of_pairs=True))
    found = open_prompts(PromptFile(parquet, minus="other", of_pairs=True))
    assert found.cases == (Case(1, "a", None, None, "c", "d"), Case(2, "b"))
    plain = write("a.txt", "a\tb\n")
    assert open_prompts(PromptFile(plain, of_pairs=True)).cases == (Case(1, "a", "b"),)
    with pytest.raises(LensError, match="Plain text has no columns"):
        open_prompts(PromptFile(plain, corrupted="x", of_pairs=True))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", b"", "There is no prompt in"),
        ("a.txt", b"\n \n", "There is no prompt in"),
        ("a.jsonl", b"", "There is no prompt in"),
        ("a.parquet", b"", "looks like an empty file"),
        ("a.parquet", b"PAR1xx", "is damaged"),
        ("a.txt", b"PAR1\0\xff\n", "not UTF-8 text (line 1): it looks like a Parquet file"),
        ("a.parquet", bytes(range(128, 256)), "some binary file, or text in another encoding than UTF-8"),
        ("a.xlsx", b"PK\x03\x04", "as CSV, JSON lines (.jsonl) or Parquet"),
        ("a.xlsx", b"PK\x03\x04", "or as plain text (.txt)"),
        ("a.csv", b"", "There is no prompt in"),
        ("a.csv", b"prompt,target\n\n,\n", "There is no prompt in"),
        ("a.csv", b"messages\n[1]\n", "a.csv: a.csv line 2 (Turn 0 is no object"),
        ("a.csv", b"prompt;target\na;b\n", "has no column 'prompt' (it has prompt;target)"),
        (
            "a.csv",
            b"q,target\na,b\n",
            "has no column 'prompt' (it has q, target): name the one",
        ),
        ("a.csv", b"prompt,target,target\na,b,c\n", "Line 1 of "),
        ("a.csv", b"prompt,target,target\na,b,c\n", " has two columns 'target': rename one."),
        ("a.csv", b'prompt,target\n"a\nb",c\n\nd\n', "Line 5 of "),
        ("a.csv", b"prompt,target\na,b,c\n", "has 3 columns, and the first line has 2: a cell that holds"),
        ("a.csv", b'prompt,target\n"a,b\n', "Line 2 of "),
        ("a.csv", b'prompt,target\n"a"b,c\n', "is no line of a table"),
        ("a.csv", b"prompt\n\xff\n", "is not UTF-8 text (line 2)"),
        ("a.parquet", b"PAR1", "is damaged"),
        ("a.jsonl", b"x\n", "line 1: not JSON"),
        ("a.jsonl", b'{"a": "\xff"}\n', "line 1: not UTF-8"),
    ],
)
def test_what_is_no_file_of_prompts(write: Write, name: str, content: bytes, words: str) -> None:
    assert words in complaint(write(name, content))


def test_places_that_are_no_file(tmp_path: Path) -> None:
    assert "There is no file" in complaint(tmp_path / "missing.txt")
    assert "is a folder" in complaint(tmp_path)
    assert "cannot be read" in complaint(tmp_path / ("x" * 300))


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.txt"])
def test_a_line_without_an_end(write: Write, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("lenstui.texts.files.LONGEST", 1 << 20)
    path = write(name, "prompt,target\n")
    os.truncate(path, 1 << 40)  # sparse
    assert complaint(path) == f"Line 2 of {path} has more than 1 MB: cut it into several."
    with path.open("rb") as opened, pytest.raises(LensError, match="Line 2 of"):
        list(read_lines(opened, PromptFile(path), skipped_rows(path)))


def test_a_cell_may_be_as_long_as_a_line(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's limit, 131,072 characters, is not that of JSON lines."""
    long = "word " * 40_000
    assert open_prompts(PromptFile(write("a.csv", f"prompt\n{long}\n"))).cases == (Case(2, long),)
    pipe = io.BytesIO(f"prompt,{long}\nHi,there\n".encode())
    file = PromptFile(Path("a pipe"), target=long)
    assert list(read_lines(pipe, file, skipped_rows(file.path))) == [Case(2, "Hi", "there")]
    monkeypatch.setattr("lenstui.readout.sets.prompt_tables.LONGEST", 100)
    of_many_lines = 'prompt\nHi\n"' + "a line\n" * 20 + '"\n'
    assert complaint(write("b.csv", of_many_lines)).startswith("Line 3 of ")


def test_a_set_that_is_too_large_for_memory(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a small Parquet file that repeats a long prompt."""
    path = write("a.parquet", pa.table({"prompt": ["a" * 100] * 20}))
    assert len(open_prompts(PromptFile(path)).cases) == 20
    monkeypatch.setattr("lenstui.readout.sets.prompts._MOST", 1500)
    assert complaint(path) == f"{path} has more than 1,500 characters of prompts: cut it into several."
    assert len(list(read_cases(PromptFile(path)))) == 20


def test_devices_are_refused() -> None:
    assert complaint(Path("/dev/zero")) == "/dev/zero is a device: name a file, or a pipe."


def test_a_long_row_is_refused_unread(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lenstui.texts.files.LONGEST", 1 << 20)
    turns = [[{"role": "user", "content": "a" * (1 << 21)}]]
    path = write("a.parquet", pa.table({"messages": turns, "prompt": ["Hi"]}))
    assert open_prompts(PromptFile(path)).cases == (Case(1, "Hi"),)
    wanted = f"A row of {path} has more than 1 MB: cut it into several."
    assert complaint(path, prompt="messages") == wanted


def test_parquet_without_rows(write: Write) -> None:
    assert "There is no prompt" in complaint(
        write("a.parquet", pa.table({"prompt": pa.array([], pa.string())}))
    )


@pytest.mark.parametrize(
    ("content", "cases"),
    [
        (b'\n \n{"prompt": "a"}\n', [Case(3, "a")]),
        (b'\xef\xbb\xbf{"prompt": "a"}', [Case(1, "a")]),
        (b"\na {\tb\n", [Case(2, "a {", "b")]),
        (b'prompt,target\n"a, b",c\n', [Case(2, "a, b", "c")]),
        (b"\xef\xbb\xbf\n\ngroup\ttext\r\ng\ta b\r\n", [Case(4, "a b", group="g")]),
        (b'"prompt"\na\n"b\nc"\n', [Case(2, "a"), Case(3, "b\nc")]),
        (b"text\na\n", [Case(1, "text"), Case(2, "a")]),  # a prompt of one word
        (b"Hello, prompt\na\n", [Case(1, "Hello, prompt"), Case(2, "a")]),
    ],
)
def test_lines_that_tell_what_they_are(content: bytes, cases: list[Case]) -> None:
    file = PromptFile(Path("standard input"))
    assert list(read_lines(io.BytesIO(content), file, skipped_rows(file.path))) == cases


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        (b"prompt,target\na,b,c\n", {}, "Line 2 of standard input has 3 columns, and the first line has 2"),
        (b"\nprompt,target,target\n", {}, "Line 2 of standard input has two columns 'target': rename one."),
        (
            b"q\ta\nx\ty\n",
            {"prompt": "question"},
            "standard input has no column 'question' (it has q, a)",
        ),
        (b"Hello\n", {"target": "b"}, "Plain text has no columns: leave the column 'b' out."),
    ],
)
def test_what_is_wrong_in_a_table_is_said_in_one_line(
    content: bytes, options: dict[str, str], reason: str
) -> None:
    file = PromptFile(Path("standard input"), **options)
    with pytest.raises(LensError) as raised:
        list(read_lines(io.BytesIO(content), file, skipped_rows(file.path)))
    assert str(raised.value).startswith(reason) and "\n" not in str(raised.value)


def test_a_pipe_is_seen_by_its_first_line(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"prompt,target\na,b\n",))
    writer.start()
    assert list(read_cases(PromptFile(pipe))) == [Case(2, "a", "b")]
    writer.join()


@WILD
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\t"))))
def test_wild_plain_text(write: Write, prompts: list[str]) -> None:
    path = write("wild.txt", "\n".join(prompts).encode())
    wanted = [Case(i, text) for i, text in enumerate(prompts, 1) if text.strip()]
    if wanted and wanted[0].number == 1:
        wanted[0] = Case(1, wanted[0].text.removeprefix("\ufeff"))
        wanted = wanted if wanted[0].text.strip() else wanted[1:]
    if wanted:
        assert list(read_cases(PromptFile(path))) == wanted
    else:
        assert "There is no prompt" in complaint(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["prompt", "text", "target", "group", "x"]), inner, max_size=5)
    ),
    max_leaves=8,
)


@WILD
@given(st.lists(JSON, max_size=6))
def test_wild_json_lines(write: Write, values: list[Any]) -> None:
    path = write("wild.jsonl", values)
    skipped = skipped_rows(path)
    try:
        cases = list(read_cases(PromptFile(path), skipped))
    except LensError as error:
        assert str(path) in str(error)
        assert skipped.count == len(values)
        return
    assert len(cases) + skipped.count == len(values)
    for case in cases:
        value = values[case.number - 1]
        assert case.text == value.get("prompt", value.get("text"))
        assert case.target in {None, str(value.get("target"))}


@WILD
@given(st.binary(max_size=300), st.sampled_from(["txt", "jsonl", "parquet", "csv", "tsv"]))
def test_wild_bytes(write: Write, content: bytes, ending: str) -> None:
    path = write(f"wild.{ending}", content)
    try:
        cases = open_prompts(PromptFile(path)).cases
    except LensError as error:
        assert "\n" not in str(error)
    else:
        assert all(isinstance(case.text, str) for case in cases)


def test_the_examples() -> None:
    examples = example_prompts()
    assert examples.groups == ("facts", "grammar", "arithmetic", "code", "stories")
    assert examples.skipped.count == 0
    for group in examples.groups:
        assert 8 <= sum(case.group == group for case in examples.cases) <= 10
    assert all(case.target and case.text and case.text[-1] != " " for case in examples.cases)
    assert len({case.text for case in examples.cases}) == len(examples.cases)
