"""One observation for each cell and lens: the variables, and CSV and Parquet files of them."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lenstui import __version__
from lenstui.export.csv_text import csv_text
from lenstui.export.parquet_file import write_parquet
from lenstui.lens import Readout
from lenstui.support.printable import printable
from tests.by_hand.known_readouts import (
    HOSTILE,
    HOSTILE_PROMPT,
    HOSTILE_SOURCE,
    PINS,
    heading,
    hostile_readout,
    hostile_words,
    tiles,
)

READOUT = hostile_readout()
INTEGERS = {"row_index", "column", "token_id", "final_rank", "next_rank"}
FLOATS = {"entropy", "kl", "js", "next_logprob"}
NAMES = [
    *("lens", "row", "row_index", "column", "token", "token_id"),
    *("entropy", "kl", "js", "final_rank", "next_logprob", "next_rank", "crystallization"),
    *("top_1_id", "top_1_token", "top_1_logit", "top_1_prob"),
    *("top_2_id", "top_2_token", "top_2_logit", "top_2_prob"),
    *("pin_1_word", "pin_1_id", "pin_1_token", "pin_1_logprob", "pin_1_rank"),
    *("pin_1_ids", "pin_1_word_logprob"),
    *("pin_2_word", "pin_2_id", "pin_2_token", "pin_2_logprob", "pin_2_rank"),
    *("pin_2_ids", "pin_2_word_logprob"),
]


def wanted() -> list[dict[str, Any]]:
    """Every observation, written out."""
    observations, words = [], hostile_words(READOUT)
    for column, token in enumerate(READOUT.prompt.ids):
        last = column == len(READOUT.prompt.ids) - 1
        for name, cells in READOUT.lenses.items():
            settles = READOUT.rows[READOUT.crystallization(name)[column]]
            for row, label in enumerate(READOUT.rows):
                at = row, column
                here: dict[str, Any] = {
                    "lens": name,
                    "row": label,
                    "row_index": row,
                    "column": column,
                    "token": HOSTILE[token],
                    "token_id": token,
                    "entropy": cells.entropy[at],
                    "kl": cells.kl[at],
                    "js": cells.js[at],
                    "final_rank": cells.final_rank[at],
                    "next_logprob": None if last else cells.next_logprob[at],
                    "next_rank": None if last else cells.next_rank[at],
                    "crystallization": settles,
                }
                for k in range(2):
                    here |= {
                        f"top_{k + 1}_id": cells.top_ids[at][k],
                        f"top_{k + 1}_token": HOSTILE[int(cells.top_ids[at][k])],
                        f"top_{k + 1}_logit": cells.top_logits[at][k],
                        f"top_{k + 1}_prob": cells.top_probs[at][k],
                    }
                for p, pin in enumerate(PINS):
                    here |= {
                        f"pin_{p + 1}_word": pin.word,
                        f"pin_{p + 1}_id": pin.id,
                        f"pin_{p + 1}_token": HOSTILE[pin.id],
                        f"pin_{p + 1}_logprob": cells.pin_logprobs[at][p],
                        f"pin_{p + 1}_rank": cells.pin_ranks[at][p],
                        f"pin_{p + 1}_ids": "3 5 7" if p else "10",
                        f"pin_{p + 1}_word_logprob": (
                            None
                            if not last
                            else words[1].logprob(name)[row]
                            if p
                            else cells.pin_logprobs[at][0]
                        ),
                    }
                observations.append(here)
    return observations


def as_csv(readout: Readout = READOUT, width: int = 4) -> str:
    return "".join(csv_text(tiles(readout, width), heading(readout), HOSTILE))


def as_parquet(readout: Readout = READOUT, width: int = 4) -> bytes:
    file = io.BytesIO()
    write_parquet(tiles(readout, width), heading(readout), HOSTILE, file)
    return file.getvalue()


# CSV


def test_csv_gives_every_number_back() -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv(), newline="")))
    assert list(lines[0]) == [
        *NAMES,
        *(
            "model",
            "revision",
            "adapter",
            "dtype",
            "device",
            "lens_file",
            "final_norm",
            "chat",
            "edits",
            "sublayers",
            "words_only",
            "versions",
            "prompt",
        ),
    ]
    observations = wanted()
    assert len(lines) == len(observations) == 9 * 2 * 4
    for line, observation in zip(lines, observations, strict=True):
        for name, value in observation.items():
            if value is None:
                assert line[name] == ""
            elif isinstance(value, np.float32):
                assert np.float32(line[name]) == value, name
            else:
                assert line[name] == str(value), name


def test_csv_says_on_every_line_where_it_comes_from_and_the_prompt() -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv(), newline="")))
    for line in lines:
        assert line["model"] == printable(HOSTILE_SOURCE.model)
        assert (line["revision"], line["dtype"], line["device"]) == ("\"&'", "float32", "cpu")
        assert (line["final_norm"], line["chat"], line["sublayers"]) == ("true", "false", "false")
        assert line["lens_file"] == "\\x1b]0;`|x`.pt"
        assert line["versions"] == f"lenstui {__version__}, torch 1.2, transformers 3.4"
        assert line["prompt"] == HOSTILE_PROMPT


def fields(text: str) -> list[list[str]]:
    """CSV by the grammar of RFC 4180, its line ends `\\n`, character by character."""
    records, field, quoted, rest = [[""]], 0, False, iter(text)
    for character in rest:
        if quoted:
            if character != '"':
                records[-1][field] += character
                continue
            character = next(rest, "")  # the end of the field, or a quote that is meant  # noqa: PLW2901
            quoted = character == '"'
            if quoted:
                records[-1][field] += '"'
                continue
        if character == '"' and not records[-1][field]:
            quoted = True
        elif character == ",":
            records[-1].append("")
            field += 1
        elif character == "\n":
            records.append([""])
            field = 0
        else:
            assert character not in '"\r', "outside quotes"
            records[-1][field] += character
    assert records.pop() == [""], "the last line ends too"
    return records


@settings(max_examples=25, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8") | st.sampled_from('\r\n\t"\\n,\x1b\0 '), min_size=1))
@example("a\nb")
@example("a\\nb")
@example("a\rb")
@example('"\r\n",')
def test_the_prompt_is_the_exact_text(text: str) -> None:
    prompt = replace(READOUT.prompt, text=text)
    whole = "".join(csv_text(tiles(READOUT), replace(heading(READOUT), prompt=prompt), HOSTILE))
    records = fields(whole)
    assert len(records) == 1 + 9 * 2 * 4
    assert {len(record) for record in records} == {len(records[0])}
    assert [record[-1] for record in records] == ["prompt"] + [text] * (len(records) - 1)
    assert list(csv.reader(io.StringIO(whole, newline=""))) == records


def test_tokens_and_names_are_display_text() -> None:
    for line in csv.DictReader(io.StringIO(as_csv(), newline="")):
        shown = [value for name, value in line.items() if name != "prompt" and not name.endswith("_word")]
        assert all(value.isprintable() for value in shown)


def test_csv_floats_are_short() -> None:
    tenth = replace(READOUT.lenses["logit"], kl=np.full((4, 9), 0.1, np.float32))
    (line, *_) = csv.DictReader(io.StringIO(as_csv(replace(READOUT, lenses={"logit": tenth}))))
    assert line["kl"] == "0.1"


def test_csv_of_numbers_out_of_bounds() -> None:
    odd = replace(READOUT.lenses["logit"], kl=np.full((4, 9), np.inf, np.float32))
    lines = list(csv.DictReader(io.StringIO(as_csv(replace(READOUT, lenses={"logit": odd})))))
    assert {line["kl"] for line in lines} == {"inf"}
    assert {line["lens"] for line in lines} == {"logit"}


# Parquet


def test_parquet_gives_every_number_back() -> None:
    rows = pq.read_table(io.BytesIO(as_parquet()))
    assert rows.column_names == [*NAMES, "prompt"]
    for field in rows.drop_columns("prompt").schema:
        name = field.name.split("_", 2)[-1] if field.name.startswith(("top_", "pin_")) else field.name
        kind = (
            "int32"
            if name in INTEGERS | {"id", "rank"}
            else "float"
            if name in FLOATS | {"logit", "prob", "logprob", "word_logprob"}
            else "string"
        )
        assert str(field.type) == kind, field.name
    assert rows.to_pylist() == [{**observation, "prompt": HOSTILE_PROMPT} for observation in wanted()]


def test_parquet_says_where_it_comes_from() -> None:
    metadata = pq.read_schema(io.BytesIO(as_parquet())).metadata
    assert list(metadata) == [b"lenstui"]
    assert json.loads(metadata[b"lenstui"]) == {
        "lenstui": __version__,
        "model": HOSTILE_SOURCE.model,
        "revision": HOSTILE_SOURCE.revision,
        "adapter": None,
        "dtype": "float32",
        "lens": HOSTILE_SOURCE.lens,
        "lens_files": {each.key: each.facts for each in HOSTILE_SOURCE.lenses},
        "device": "cpu",
        "versions": {"torch": "1.2", "transformers": "3.4"},
        "final_norm": True,
        "chat": False,
        "sublayers": False,
        "words_only": False,
        "edits": [],
        "edit_lens": None,
        "prompt": HOSTILE_PROMPT,
        "dropped": 0,
        "appended": 0,
    }


def test_parquet_holds_a_long_prompt_once_in_a_row_group() -> None:
    text = " ".join(map(str, range(10_000)))
    file = io.BytesIO()
    write_parquet(
        tiles(READOUT), replace(heading(READOUT), prompt=replace(READOUT.prompt, text=text)), HOSTILE, file
    )
    assert pq.read_table(file)["prompt"].to_pylist() == [text] * (9 * 2 * 4)
    assert len(file.getvalue()) < len(as_parquet()) + 6 * len(text)  # three tiles, and the metadata


def test_parquet_has_a_row_group_for_each_tile() -> None:
    file = pq.ParquetFile(io.BytesIO(as_parquet()))
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [32, 32, 8]


# Both


@pytest.mark.parametrize("width", [1, 3, 9])
def test_how_it_was_cut_into_tiles_does_not_show(width: int) -> None:
    assert as_csv(width=width) == as_csv()
    assert pq.read_table(io.BytesIO(as_parquet(width=width))).equals(pq.read_table(io.BytesIO(as_parquet())))


def test_tiles_are_written_as_they_come() -> None:
    taken: list[int] = []

    def watched() -> Any:
        for tile in tiles(READOUT, 3):
            taken.append(tile.start)
            yield tile

    pieces = csv_text(watched(), heading(READOUT), HOSTILE)
    next(pieces)
    assert taken == [0]
    next(pieces)
    assert taken == [0, 3]


def test_many_lines_of_csv_come_in_pieces_with_one_header() -> None:
    wide = hostile_readout(400)
    header, *lines = csv.reader(io.StringIO(as_csv(wide, width=300), newline=""))
    assert len(lines) == 400 * 2 * 4
    assert [line[header.index("column")] for line in lines] == [str(c) for c in range(400) for _ in range(8)]
    assert {line[-1] for line in lines} == {HOSTILE_PROMPT}


def test_without_pins_there_are_no_variables_of_pins() -> None:
    bare = {
        name: replace(
            cells,
            pin_logits=cells.pin_logits[..., :0],
            pin_logprobs=cells.pin_logprobs[..., :0],
            pin_ranks=cells.pin_ranks[..., :0],
        )
        for name, cells in READOUT.lenses.items()
    }
    readout = replace(READOUT, lenses=bare, pins=())
    (first, *_) = csv_text(tiles(readout), heading(readout, ()), HOSTILE)
    assert "pin_" not in first.splitlines()[0]
