"""Documents from files, and the split into what is fitted on and what is held out."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenstui.lens import LensError
from lenstui.model.tokenization import pieces, plain_ids
from lenstui.texts.blocks import split_blocks, token_blocks
from lenstui.texts.documents import Documents, SkippedLines, count_documents, find_files, read_documents
from lenstui.texts.held_out import split_documents

Write = Callable[..., str]
WILD = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXTS = [f"Story {i}. {'A dog ran. ' * (i % 7)}" for i in range(300)]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file as its ending says: a table, a list of texts or JSON values, a text, or bytes."""

    def write(name: str, content: Any, **options: Any) -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pa.Table):
            pq.write_table(content, path, **options)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        elif isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        elif path.suffix == ".parquet":
            pq.write_table(pa.table({"text": content}), path, **options)
        else:
            path.write_text("".join(json.dumps(value) + "\n" for value in content), encoding="utf-8")
        return str(path)

    return write


def texts(*paths: str, **wanted: Any) -> list[str]:
    """All documents; the count must say how many."""
    documents = Documents(paths, **wanted)
    found = list(read_documents(documents))
    assert count_documents(documents) == len(found)
    return found


def complaint(*paths: str, **wanted: Any) -> str:
    """What the one-line error says."""
    with pytest.raises(LensError) as caught:
        list(read_documents(Documents(paths, **wanted)))
    message = str(caught.value)
    assert message.endswith((".", ")"))
    assert "\n" not in message
    return message


# Parquet.


def test_parquet_row_group_by_row_group(write: Write) -> None:
    path = write("a.parquet", TEXTS, row_group_size=7)
    assert texts(path) == TEXTS
    assert texts(path, max_samples=9) == TEXTS[:9]


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())],
    ids=str,
)
def test_parquet_strings_of_every_kind(write: Write, kind: pa.DataType) -> None:
    column = pa.array(["naïve 日本", None, "", "b", "b"]).cast(kind)
    path = write("a.parquet", pa.table({"n": [1, 2, 3, 4, 5], "the.text": column}))
    assert texts(path, column="the.text") == ["naïve 日本", "b", "b"]
    assert texts(path, column="the.text", min_chars=8) == ["naïve 日本"]


def test_parquet_columns(write: Write) -> None:
    table = pa.table({"title": ["a"], "body": ["b"], "score": [1.5], "raw": [b"x"]})
    path = write("a.parquet", table)
    assert "has no column 'text' (it has title, body, score, raw)" in complaint(path)
    assert "'score' of" in complaint(path, column="score")
    assert "holds double, not text" in complaint(path, column="score")
    assert "holds binary, not text" in complaint(path, column="raw")
    many = write("b.parquet", pa.table({f"c{i}": ["x"] for i in range(40)}))
    assert "c10, c11, …)" in complaint(many)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "an empty file"),
        (b'{"text": "x"}\n', "JSON"),
        (b"\x1f\x8b\x08rest", "a gzip file (unpack it)"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer (fetch the file itself)"),
        (b"<!doctype html>", "HTML or XML"),
        (b"text,label\nx,1\n", "text"),
        (b"\x89\0\1\2", "some binary file"),
        (np.random.default_rng(0).bytes(4096), "some binary file"),
        ("é".encode() * 33 + b"x", "text"),
        (b"x" + "é".encode() * 33, "text"),  # what is looked at ends within a character
        ("tout à fait".encode("latin-1"), "some binary file, or text in another encoding than UTF-8"),
    ],
)
def test_no_parquet_file(write: Write, content: bytes, kind: str) -> None:
    assert complaint(write("a.parquet", content)).endswith(f"is not a Parquet file: it looks like {kind}.")


def test_half_of_a_parquet_file_is_damaged(write: Write) -> None:
    whole = Path(write("a.parquet", TEXTS)).read_bytes()
    assert "is damaged (" in complaint(write("b.parquet", whole[: len(whole) // 2]))
    broken = bytearray(whole)
    broken[4:200] = bytes(196)  # pages, not the footer
    assert "is damaged (" in complaint(write("c.parquet", bytes(broken)))


def test_parquet_from_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    """Its end is read first, and to open one waits for a writer."""
    os.mkfifo(tmp_path / "a.parquet")
    assert "a.parquet is no regular file" in complaint(f"{tmp_path}/a.parquet")


def test_parquet_that_is_not_utf8(write: Write) -> None:
    bad = pa.array([b"ok", b"\xff\xfe"]).view(pa.string())
    assert "is not UTF-8" in complaint(write("a.parquet", pa.table({"text": bad})))


def test_a_text_in_many_rows_is_not_held_for_all(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """256 times 4 MB in a file of 565 bytes took 4 GB."""
    monkeypatch.setattr("lenstui.texts.files.LONGEST", 2 << 20)
    monkeypatch.setattr("lenstui.texts.files._AT_ONCE", 4 << 20)
    path = write("a.parquet", ["a" * (1 << 20)] * 64)
    before = pa.total_allocated_bytes()
    most = 0
    for _ in read_documents(Documents((path,))):
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 12 << 20


def test_a_long_row_is_refused_unread(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("a.parquet", pa.table({"text": ["a" * (1 << 21)], "other": ["b"]}))
    monkeypatch.setattr("lenstui.texts.files.LONGEST", 1 << 20)
    assert complaint(path) == f"A row of {path} has more than 1 MB: cut it into several."
    assert texts(path, column="other") == ["b"]
    monkeypatch.setattr("lenstui.texts.documents.LONGEST", 1 << 20)
    among_others = write("b.parquet", ["a" * (3 << 19), "b", "c"])
    assert complaint(among_others) == f"A document in {among_others} has more than 1 MB: cut it into several."


def test_a_large_file_is_not_held(write: Write) -> None:
    """One row group of 30 MB: by default Arrow would hold all of it."""
    content = [f"{i:05}" * 4000 for i in range(1500)]
    pages = {"write_batch_size": 16, "data_page_size": 1 << 16}
    path = write("a.parquet", content, use_dictionary=False, compression="none", **pages)
    before = pa.total_allocated_bytes()
    most = 0
    for _ in read_documents(Documents((path,))):
        most = max(most, pa.total_allocated_bytes() - before)
    assert Path(path).stat().st_size > 25e6
    assert most < 12e6


# JSON lines.


def test_json_lines(write: Write) -> None:
    entries = [{"text": "one", "id": 1}, {"text": "", "id": 2}, {"text": "zwei\nnaïve 日本 😀", "body": "x"}]
    for ending in (".jsonl", ".ndjson", ".json", ".JSONL"):
        path = write(f"a{ending}", entries)
        assert texts(path) == ["one", "zwei\nnaïve 日本 😀"]
    assert texts(write("b.jsonl", '\ufeff{"text": "marked"}\r\n\r\n{"text": "x"}')) == ["marked", "x"]
    assert texts(write("c.jsonl", [{"body": "here"}]), column="body") == ["here"]


def test_bad_lines_are_numbered_skipped_and_counted(write: Write) -> None:
    path = write(
        "a.jsonl",
        b'{"text": "good"}\nnonsense\n[1]\n{"title": 1, "by": 2}\n{"text": null}\n{"text": "\xff"}\n'
        b'{"text": "\\ud800"}\n' + b"[" * 100_000 + b'\n{"text": "also"}\n',
    )
    skipped = SkippedLines()
    for _ in range(2):  # read again, they are not counted again
        assert list(read_documents(Documents((path,)), skipped)) == ["good", "also"]
    assert skipped.count == 7
    assert str(skipped) == (
        "Skipped 7 lines without a text: a.jsonl line 2 (not JSON), a.jsonl line 3 (not an object), "
        "a.jsonl line 4 (it has title, by), …"
    )
    one = SkippedLines()
    list(read_documents(Documents((write("b.jsonl", b'x\n{"text": "y"}'),)), one))
    assert str(one) == "Skipped 1 line without a text: b.jsonl line 1 (not JSON)."


def test_only_bad_lines(write: Write) -> None:
    assert "in 'text' (line 2: not JSON)" in complaint(write("a.jsonl", "\nnonsense\nmore\n"))
    assert "(line 1: it has title, body)" in complaint(write("b.jsonl", [{"title": "x", "body": "y"}]))
    assert "(line 1: its 'text' is no string)" in complaint(write("c.jsonl", [{"text": ["x"]}]))
    pretty = json.dumps([{"text": "x"}], indent=1)
    assert "One object a line is expected" in complaint(write("d.json", pretty))


# Plain text.


def test_plain_text_is_split_at_blank_lines(write: Write) -> None:
    content = b"\xef\xbb\xbf\n\n  One\nline two\r\n\r\n \t \nThree \xe6\x97\xa5\n\n\n"
    assert texts(write("a.txt", content)) == ["  One\nline two", "Three 日"]
    assert texts(write("b", "no blank line,\none document")) == ["no blank line,\none document"]


def test_plain_text_that_is_not(write: Write) -> None:
    assert "is not UTF-8 text (line 2)" in complaint(write("a.txt", "ok\nnaïve\n".encode("latin-1")))
    assert "it looks like a gzip file (unpack it)." in complaint(write("a.jsonl.gz", b"\x1f\x8b\x08\0\n"))
    assert "it looks like UTF-16 text." in complaint(write("b.txt", "text".encode("utf-16")))
    assert "has no columns: leave the column 'body' out" in complaint(write("c.txt", "x"), column="body")


# Which files, and how much of them.


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_a_line_without_an_end(write: Write, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("lenstui.texts.files.LONGEST", 1 << 20)
    path = write(name, '{"text": "first"}\n')
    os.truncate(path, 1 << 40)  # sparse
    assert complaint(path) == f"Line 2 of {path} has more than 1 MB: cut it into several."


def test_lines_without_a_blank_one(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lenstui.texts.documents.LONGEST", 20)
    assert texts(write("a.txt", "a document\n\nof lines\nand lines\n\n")) == [
        "a document",
        "of lines\nand lines",
    ]
    assert "A document in " in complaint(write("b.txt", "a document\nof lines\n" * 9))


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/null"])
def test_devices_are_refused(tmp_path: Path, device: str) -> None:
    for name in (device, f"{tmp_path}/a.jsonl"):
        if name != device:
            Path(name).symlink_to(device)
        assert complaint(name) == f"{name} is a device: name a file, or a pipe."


def test_files_and_globs_in_a_fixed_order(write: Write, tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "deep/er/c.txt", "d[1].txt"):
        write(name, name)
    write("z.parquet", ["table"])
    write("y.jsonl", [{"text": "line"}])
    assert texts(f"{tmp_path}/b.txt", f"{tmp_path}/*.txt") == ["b.txt", "a.txt", "d[1].txt"]
    assert texts(f"{tmp_path}/d[1].txt") == ["d[1].txt"]
    everything = ["a.txt", "b.txt", "d[1].txt", "deep/er/c.txt", "line", "table"]
    assert texts(f"{tmp_path}/**") == texts(f"{tmp_path}/**/*") == everything
    assert texts(f"{tmp_path}/[ab].txt", f"{tmp_path}/z.*", max_samples=2) == ["a.txt", "b.txt"]


def test_a_home_folder(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write("a.txt", "at home")
    assert texts("~/*.txt") == texts("~/a.txt") == ["at home"]
    assert complaint("~nobody-of-that-name/a.txt") == "There is no file ~nobody-of-that-name/a.txt."


def test_files_that_are_not_there(tmp_path: Path) -> None:
    assert complaint(f"{tmp_path}/no.txt") == f"There is no file {tmp_path}/no.txt."
    assert complaint(f"{tmp_path}/*.parquet") == f"No file matches {tmp_path}/*.parquet."
    assert complaint(str(tmp_path)).startswith(f"{tmp_path} is a folder: name the files in it")
    assert complaint() == "No file to read documents from: name one."
    assert "cannot be read: File name too long" in complaint("x" * 5000)
    complaint("a\0b")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert "loop cannot be read: Too many levels of symbolic links." in complaint(f"{tmp_path}/loop")


def test_a_file_that_cannot_be_read(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [write("a.txt", "x"), write("a.jsonl", [{"text": "x"}]), write("a.parquet", ["x"])]

    def refuse(path: Path, *args: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    for path in paths:
        assert complaint(path) == f"{path} cannot be read: Permission denied."


def test_a_wrong_file_is_said_at_once(write: Write) -> None:
    """Not after the hours that those before it take."""
    good, wrong = write("a.parquet", ["x"]), write("b.parquet", pa.table({"other": ["x"]}))
    with pytest.raises(LensError, match="no column"):
        read_documents(Documents((good, wrong)))


def test_minimum_length(write: Write) -> None:
    path = write("a.jsonl", [{"text": "日本"}, {"text": "four"}, {"text": "fives"}])
    assert texts(path, min_chars=4) == ["four", "fives"]
    assert texts(path, min_chars=4, max_samples=1) == ["four"]
    assert "No document has 6 characters: the longest has 5." in complaint(path, min_chars=6)


@pytest.mark.parametrize(("name", "content"), [("a.txt", ""), ("a.jsonl", " \n"), ("a.parquet", [""])])
def test_no_text_at_all(write: Write, name: str, content: Any) -> None:
    path = write(name, content)
    assert complaint(path) == f"There is no text in {path}."
    assert count_documents(Documents((path,))) == 0


@WILD
@given(
    content=st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=100).map(lambda middle: b"PAR1" + middle + b"PAR1"),
        st.lists(st.sampled_from([b'{"text": "x"}', b"{", b"\n", b"\xff", b'"', b"\\ud800", b" "])).map(
            b"".join
        ),
    ),
    ending=st.sampled_from([".parquet", ".jsonl", ".json", ".txt", ""]),
    min_chars=st.integers(0, 5),
)
def test_any_bytes_are_documents_or_one_clear_line(
    write: Write, content: bytes, ending: str, min_chars: int
) -> None:
    documents = Documents((write(f"wild{ending}", content),), min_chars=min_chars)
    try:
        found = list(read_documents(documents))
    except LensError as error:
        assert "\n" not in str(error)
    else:
        assert found
        assert all(len(text) >= min_chars and text.encode() for text in found if text)
        assert count_documents(documents) == len(found)


@WILD
@given(
    entries=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=8),
    max_samples=st.one_of(st.none(), st.integers(1, 9)),
)
def test_what_is_written_is_read(write: Write, entries: Sequence[str], max_samples: int | None) -> None:
    wanted = list(entries)[:max_samples]
    assert texts(write("a.parquet", entries), max_samples=max_samples) == wanted
    assert texts(write("a.jsonl", [{"text": text} for text in entries]), max_samples=max_samples) == wanted


# The split.


def test_the_split_is_by_text_and_reproducible() -> None:
    split = split_documents(TEXTS, 0.2, seed=3)
    assert split is not None
    assert split == split_documents(iter(TEXTS), 0.2, seed=3)
    held_out = [text for text in TEXTS if split.holds_out(text)]
    assert 0.12 < len(held_out) / len(TEXTS) < 0.28
    other = split_documents(TEXTS, 0.2, seed=4)
    assert other is not None
    assert held_out != [text for text in TEXTS if other.holds_out(text)]


@WILD
@given(
    documents=st.lists(st.text("ab", max_size=3), min_size=1, max_size=70),
    share=st.floats(0.001, 0.999),
    seed=st.integers(0, 2**64),
)
def test_both_sides_get_some(documents: list[str], share: float, seed: int) -> None:
    split = split_documents(documents, share, seed)
    if split is None:
        assert len(set(documents)) == 1
        return
    sides = {text: split.holds_out(text) for text in documents}
    assert len(set(documents)) > 1
    assert set(islice(documents, 64)) >= set(documents) or len(documents) > 64
    assert set(sides.values()) == {True, False}


@pytest.mark.parametrize("share", [0.0, 1.0, -1.0, float("nan")])
def test_a_share_that_is_none(share: float) -> None:
    with pytest.raises(LensError, match="must be between 0 and 1"):
        split_documents(TEXTS, share)


def test_blocks_of_a_split_are_disjoint_and_all(write: Write, byte_tokenizer: Any) -> None:
    documents = Documents((write("a.parquet", TEXTS),))
    fitted_on, held_out = split_blocks(byte_tokenizer, documents, 16, share=0.3)
    split = split_documents(TEXTS, 0.3)
    assert split is not None
    for blocks, side in ((fitted_on, False), (held_out, True)):
        mine = [text for text in TEXTS if split.holds_out(text) == side]
        wanted = torch.stack(list(token_blocks(byte_tokenizer, mine, 16)))
        for _ in range(2):  # as often as one likes
            assert torch.equal(torch.stack(list(blocks)), wanted)


def test_a_single_document_gives_its_last_blocks(write: Write, byte_tokenizer: Any) -> None:
    text = "".join(map(str, range(200)))
    documents = Documents((write("a.txt", text),))
    whole = list(token_blocks(byte_tokenizer, [text], 8))
    fitted_on, held_out = (list(side) for side in split_blocks(byte_tokenizer, documents, 8, share=0.25))
    assert torch.equal(torch.stack([*fitted_on, *held_out]), torch.stack(whole))
    assert len(held_out) == round(len(whole) / 4)
    fitted_on, held_out = (list(side) for side in split_blocks(byte_tokenizer, documents, 240, share=0.01))
    assert (len(fitted_on), len(held_out)) == (1, 1)


def test_a_single_long_document_gives_its_end(
    write: Write, byte_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more of it is tokenized than is wanted: a fit on one of 50 MB began after two minutes."""
    text = " ".join(map(str, range(200)))
    monkeypatch.setattr("lenstui.model.tokenization.LONGEST_TEXT", 100)
    monkeypatch.setattr("lenstui.texts.blocks.LONGEST_TEXT", 100)
    documents = Documents((write("a.txt", text),))
    read: list[str] = []

    def heard(tokenizer: Any, text: str) -> list[int]:
        read.append(text)
        return plain_ids(tokenizer, text)

    monkeypatch.setattr("lenstui.texts.blocks.plain_ids", heard)
    sides = split_blocks(byte_tokenizer, documents, 8, share=0.25)
    assert len(read) == 2
    edge = text.rindex(" ", 0, round(0.75 * len(text)) + 1)
    for blocks, part in zip(sides, (text[:edge], text[edge:]), strict=True):
        wanted = torch.stack(list(token_blocks(byte_tokenizer, [part], 8)))
        for _ in range(2):  # as often as one likes
            assert torch.equal(torch.stack(list(blocks)), wanted)
    with pytest.raises(LensError, match="documents held out fill no block of 16 columns"):
        split_blocks(byte_tokenizer, documents, 16, share=0.01)


def test_too_little_to_split(write: Write, byte_tokenizer: Any) -> None:
    one = Documents((write("a.txt", "only ten"),))
    with pytest.raises(LensError, match="fills 1 blocks of 8 columns, and one has to be held out"):
        split_blocks(byte_tokenizer, one, 8)
    two = Documents((write("b.txt", "a rather long document\n\nshort"),))
    with pytest.raises(LensError, match="fill no block of 16 columns: give more text, or shorter blocks"):
        split_blocks(byte_tokenizer, two, 16)


def test_lines_without_a_text_are_counted_once(write: Write, byte_tokenizer: Any) -> None:
    entries = [{"text": text} if i % 10 else {} for i, text in enumerate(TEXTS)]
    skipped = SkippedLines()
    sides = split_blocks(byte_tokenizer, Documents((write("a.jsonl", entries),)), 32, skipped=skipped)
    for side in sides:
        assert list(side)
    assert skipped.count == 30


def test_find_files_looks_at_no_text(write: Write) -> None:
    path = write("a.jsonl", "nonsense")
    assert find_files(Documents((path, path))) == (Path(path),)


# Long documents.


def test_a_long_document_is_tokenized_as_far_as_it_is_wanted(
    byte_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pieces, which give the tokens of the whole: one of 50 MB took 7 GB."""
    documents = ["one two  three four five " * 8, "", "short", "nospaceinthis" * 9]
    wanted = [ids.tolist() for ids in token_blocks(byte_tokenizer, documents, 8)]
    monkeypatch.setattr("lenstui.model.tokenization.LONGEST_TEXT", 20)
    blocks = token_blocks(byte_tokenizer, documents, 8)
    read: list[str] = []

    def heard(tokenizer: Any, text: str) -> list[int]:
        read.append(text)
        return plain_ids(tokenizer, text)

    monkeypatch.setattr("lenstui.texts.blocks.plain_ids", heard)
    first = [next(blocks).tolist()]
    assert read == ["one two  three four"]
    assert first + [ids.tolist() for ids in blocks] == wanted
    assert "".join(read) == "".join(documents)
    assert max(map(len, read)) == 20


@pytest.mark.parametrize("text", ["", "word", "a word  and another", "\n" * 50, "日本語" * 20])
def test_pieces_are_the_whole(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(pieces(text)) == [text]
    monkeypatch.setattr("lenstui.model.tokenization.LONGEST_TEXT", 12)
    cut = list(pieces(text))
    assert "".join(cut) == text
    assert max(map(len, cut)) <= 12
    assert text != "a word  and another" or cut == ["a word  and", " another"]
