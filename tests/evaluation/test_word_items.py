"""Items of pass@k: their files, the column that is read, the forms of a word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lenstui import LensError, WordItem, encode, open_items
from lenstui.evaluation.word_forms import surfaces_of, tokens_of_word
from lenstui.model.tokens import TokenTexts

ITEM = {"prompt": "The sky is", "intermediates": ["blue"]}


def opened(folder: Path, content: str) -> tuple[WordItem, ...]:
    path = folder / "items.json"
    path.write_text(content, encoding="utf-8")
    return open_items(path)


# Files.


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"items": [ITEM, ITEM]}, indent=2),
        json.dumps([ITEM, ITEM]),
        f"{json.dumps(ITEM)}\n\n{json.dumps(ITEM)}\n",
        "\ufeff" + json.dumps([ITEM, ITEM]),
    ],
)
def test_a_file_is_an_object_a_list_or_lines(tmp_path: Path, content: str) -> None:
    assert opened(tmp_path, content) == (WordItem("The sky is", ("blue",)),) * 2


def test_a_single_line_is_an_item(tmp_path: Path) -> None:
    assert opened(tmp_path, json.dumps(ITEM)) == (WordItem("The sky is", ("blue",)),)


def test_all_fields_of_an_item(tmp_path: Path) -> None:
    fields = {"target": 7, "at": "newline", "forms": {"5": ["V", "fünf"]}, "name": "ignored"}
    (item,) = opened(tmp_path, json.dumps([{"prompt": "a\nb", "intermediates": [5, "six"], **fields}]))
    assert item == WordItem("a\nb", ("5", "six"), "7", "newline", {"5": ("V", "fünf")})


def test_the_place_of_all_items_yields_to_their_own(tmp_path: Path) -> None:
    content = {"at": "newline", "items": [ITEM, {**ITEM, "at": 3}]}
    assert [item.at for item in opened(tmp_path, json.dumps(content))] == ["newline", 3]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[]", "There are no items in FILE."),
        ("", "There are no items in FILE."),
        ('{"items": []}', "There are no items in FILE."),
        ('{"prompts": []}', "There are no items in FILE: it should hold a list of them"),
        ('{"items": 3}', "The 'items' of FILE are no list."),
        ("The sky is blue", "FILE is neither JSON nor JSON lines (line 1: not JSON)."),
        (f"{json.dumps(ITEM)}\n[]", "FILE is neither JSON nor JSON lines (line 2: not an object)."),
        ("[3]", "Item 1 of FILE is wrong: it is no object."),
        (json.dumps([ITEM, {"intermediates": ["a"]}]), "Item 2 of FILE is wrong: it has no 'prompt'."),
        (json.dumps([{**ITEM, "prompt": " "}]), "its 'prompt' is empty."),
        (json.dumps([{**ITEM, "prompt": 3}]), "its 'prompt' is no string."),
        (json.dumps([{"prompt": "a"}]), "it has no 'intermediates'."),
        (json.dumps([{**ITEM, "intermediates": []}]), "it has no 'intermediates'."),
        (json.dumps([{**ITEM, "intermediates": "blue"}]), "its 'intermediates' are no list."),
        (json.dumps([{**ITEM, "intermediates": [None]}]), "its 'intermediates' is no string."),
        (json.dumps([{**ITEM, "intermediates": [" "]}]), "a word of its 'intermediates' is empty."),
        (json.dumps([{**ITEM, "at": "end"}]), "its 'at' is neither 'last' nor 'newline' nor the index"),
        (json.dumps([{**ITEM, "at": -1}]), "its 'at' is neither 'last' nor 'newline' nor the index"),
        (json.dumps([{**ITEM, "at": True}]), "its 'at' is neither 'last' nor 'newline' nor the index"),
        (json.dumps([{**ITEM, "forms": ["a"]}]), "its 'forms' are no object"),
        (json.dumps([{**ITEM, "forms": {"red": ["a"]}}]), "its 'forms' name 'red', which is none of its"),
        (json.dumps([{**ITEM, "target": ["a"]}]), "its 'target' is no string."),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, content: str, complaint: str) -> None:
    with pytest.raises(LensError) as raised:
        opened(tmp_path, content)
    assert complaint.replace("FILE", str(tmp_path / "items.json")) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_file_a_folder_and_bytes(tmp_path: Path) -> None:
    with pytest.raises(LensError, match=r"There is no file no\.json"):
        open_items(Path("no.json"))
    with pytest.raises(LensError, match="is a folder: name a file of items in it"):
        open_items(tmp_path)
    (tmp_path / "a.json").write_bytes(b"\x1f\x8b\xff\xff")
    with pytest.raises(LensError, match="is not UTF-8 text: it looks like a gzip file"):
        open_items(tmp_path / "a.json")


# The column that is read. The tokenizers are a SentencePiece one with BOS, and byte-level BPE without.


@pytest.fixture(scope="module", params=["models/stories15M", "tokenizers/pythia"])
def tokenizer(request: pytest.FixtureRequest, shared: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(shared / request.param)


def text_up_to(tokenizer: Any, item: WordItem) -> str:
    """The text of the prompt up to the column that is read, without BOS."""
    prompt = encode(tokenizer, item.prompt)
    column = item.column(prompt, TokenTexts(tokenizer))
    ids = [token for token in prompt.ids[: column + 1] if token != tokenizer.bos_token_id]
    text: str = tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    return text


@pytest.mark.parametrize(
    ("item", "wanted"),
    [
        (WordItem("One dog.\nTwo cats", ("a",)), "One dog.\nTwo cats"),
        (WordItem("One dog.\nTwo cats", ("a",), at="last"), "One dog.\nTwo cats"),
        (WordItem("One\ndog.\nTwo cats", ("a",), at="newline"), "One\ndog.\n"),
        (WordItem("The sky is blue", ("a",), "blue"), "The sky is"),
        (WordItem("The sky is light blue", ("a",), "light blue"), "The sky is"),
        (WordItem("The sky is very extraordinary", ("a",), "extraordinary"), "The sky is very"),
        (WordItem("The sky is blue", ("a",), "blue", at="last"), "The sky is blue"),
        # The target follows the prompt, and stands in it by chance.
        (
            WordItem("The opposite of day, unlike day, is", ("a",), "day"),
            "The opposite of day, unlike day, is",
        ),
    ],
)
def test_the_column(tokenizer: Any, item: WordItem, wanted: str) -> None:
    assert text_up_to(tokenizer, item) == wanted


def test_a_column_by_its_index(tokenizer: Any) -> None:
    prompt, texts = encode(tokenizer, "The sky is blue"), TokenTexts(tokenizer)
    assert WordItem(prompt.text, ("a",), at=2).column(prompt, texts) == 2
    last = len(prompt.ids) - 1
    with pytest.raises(LensError, match=f"its prompt has no token 9, but tokens 0 … {last}"):
        WordItem(prompt.text, ("a",), at=9).column(prompt, texts)
    with pytest.raises(LensError, match="no token of its prompt contains a newline"):
        WordItem(prompt.text, ("a",), at="newline").column(prompt, texts)


def test_a_prompt_that_is_its_target_has_no_column(byte_tokenizer: Any) -> None:
    prompt = encode(byte_tokenizer, "blue")
    with pytest.raises(LensError, match="its prompt has no token before the target"):
        WordItem("blue", ("a",), "blue").column(prompt, TokenTexts(byte_tokenizer))


def test_where_a_prompt_ends_in_a_space() -> None:
    assert WordItem("a ", ("b",)).ends_in_space
    assert WordItem("a ", ("b",), at="last").ends_in_space
    assert not WordItem("a", ("b",)).ends_in_space
    assert not WordItem("a\nb ", ("b",), at="newline").ends_in_space
    assert not WordItem("a b ", ("b",), at=0).ends_in_space


# The forms of a word.


def test_the_forms_of_a_word() -> None:
    assert set(surfaces_of("paris")) == {" paris", "paris", " Paris", "Paris"}
    assert set(surfaces_of("USA")) == {" USA", "USA", " usa", "usa"}
    assert set(surfaces_of("red", ["Rot"])) == {
        f"{s}{w}" for s in ("", " ") for w in ("red", "Red", "Rot", "rot")
    }


def test_numbers_and_operations_have_other_forms() -> None:
    assert {"7", " 7", "seven", " Seven"} <= {*surfaces_of("seven")} == {*surfaces_of("7")}
    assert {"12", " twelve"} <= {*surfaces_of("12")}
    assert {"90", " Ninety"} <= {*surfaces_of("Ninety")}
    assert {" plus", "Add", "addition"} <= {*surfaces_of("addition")} == {*surfaces_of("plus")}
    assert {" times", "multiplication"} <= {*surfaces_of("Multiplication")}
    assert "17" not in surfaces_of("7")


def test_only_single_tokens_of_the_vocabulary_count(tokenizer: Any) -> None:
    texts, pieces = TokenTexts(tokenizer), tokenizer.get_vocab()
    mark = "▁" if "▁" in pieces else "Ġ"
    wanted = {pieces.get(f"{m}{word}") for m in ("", mark) for word in ("blue", "Blue")} - {None}
    assert {*tokens_of_word(texts, "blue", vocabulary=len(tokenizer))} == wanted
    assert tokens_of_word(texts, "blue", vocabulary=min(wanted)) == ()
    assert tokens_of_word(texts, "extraordinarily blue", vocabulary=len(tokenizer)) == ()
    some = tokens_of_word(texts, "extraordinarily blue", ["blue"], vocabulary=len(tokenizer))
    assert {*some} == wanted
