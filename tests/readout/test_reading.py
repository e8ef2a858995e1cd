"""How a prompt is read, as one value."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lenstui.model.capabilities import Allowed
from lenstui.model.load import Model
from lenstui.model.rows import RowChoice, parse_rows
from lenstui.model.tokens import Prompt
from lenstui.opening.agreement import shared_prompt
from lenstui.readout.reading import Reading

READINGS = st.builds(
    Reading,
    rows=st.sampled_from(["all", "every 4", "emb,0-4,last"]).map(parse_rows),
    final_norm=st.booleans(),
    bos=st.sampled_from([None, True, False]),
    chat=st.booleans(),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(reading=READINGS)
def test_a_file_gives_it_back(reading: Reading) -> None:
    assert Reading.of_plain(json.loads(json.dumps(reading.plain()))) == reading


@settings(max_examples=50)
@given(found=st.dictionaries(st.sampled_from(["rows", "final_norm", "bos", "chat", "more"]), JSON))
def test_any_file_is_read_as_far_as_it_goes(found: dict[str, object]) -> None:
    reading = Reading.of_plain(found)
    assert isinstance(reading.rows, RowChoice)
    for name in ("final_norm", "bos", "chat"):
        value = getattr(reading, name)
        assert (
            value is found[name] if isinstance(found.get(name), bool) else value is getattr(Reading(), name)
        )


@given(reading=READINGS)
def test_whatever_is_unusual_is_marked(reading: Reading) -> None:
    assert bool(reading.mark) == (reading != Reading())
    assert ("final norm" in reading.mark) == (not reading.final_norm)
    assert ("BOS" in reading.mark) == (reading.bos is not None)
    assert ("chat" in reading.mark) == reading.chat
    assert ("rows" in reading.mark) == (reading.rows != RowChoice())


@pytest.mark.parametrize(
    ("reading", "allowed", "refused"),
    [
        (Reading(), Allowed(False, False, False), {}),
        (Reading(final_norm=False), Allowed(final_norm=False), {"final_norm": "no final norm"}),
        (Reading(bos=True), Allowed(bos=False), {"bos": "no BOS token"}),
        (Reading(bos=False), Allowed(bos=False), {}),
        (Reading(chat=True), Allowed(chat=False), {"chat": "no chat template"}),
        (Reading(chat=True, bos=False), Allowed(), {"bos": "as the template has it"}),
        (Reading(chat=True, bos=False), Allowed(chat=False), {"chat": "no chat template"}),
        (Reading(rows=parse_rows("0-9")), Allowed(), {"rows": "There is no row 9"}),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(
    reading: Reading, allowed: Allowed, refused: dict[str, str]
) -> None:
    reasons = reading.refused(allowed, 6)
    assert reasons.keys() == refused.keys()
    for name, reason in refused.items():
        assert reason in reasons[name]
    assert not reading.without(reasons).refused(allowed, 6)


@given(reading=READINGS, allowed=st.builds(Allowed, st.booleans(), st.booleans(), st.booleans()))
def test_what_is_left_can_be(reading: Reading, allowed: Allowed) -> None:
    left = reading.without(reading.refused(allowed, 6))
    assert not left.refused(allowed, 6)


def test_known_token_ids_are_read_as_they_are(tiny: Model) -> None:
    """Whatever their text would be cut into: half a character, BOS in the middle, no BOS in front."""
    text = "für"
    whole = tuple(tiny.tokenizer(text)["input_ids"])
    assert len(whole) == 4  # of four bytes
    ids = (*whole[:2], 0, *whole[2:])
    for reading in (Reading(), Reading(bos=True), Reading(bos=False)):
        assert reading.prompt(tiny, text, ids=ids) == Prompt(text, ids)
        assert reading.prompt(tiny, text, ids=ids[:2], tail=(9, 8)) == Prompt(text, (*ids[:2], 9, 8), 0, 2)
    cut = Reading().prompt(tiny, text, ids=ids, tail=(9,), context=4)
    assert cut == Prompt(text, (*ids, 9)[-4:], len(ids) + 1 - 4, 1)
    assert shared_prompt(tiny, tiny, text, Reading(bos=True), ids=ids).ids == ids
