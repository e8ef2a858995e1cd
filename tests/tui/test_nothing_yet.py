"""What is said where there is nothing yet has one form, and names keys that there are."""

from __future__ import annotations

import re

import pytest

from lenstui.jobs.instant_messages import InstantPhase, InstantStatus
from lenstui.tui.keymap import bindings_of, places
from lenstui.tui.shared import nothing_yet

SENTENCES = [text for name, text in vars(nothing_yet).items() if name.startswith("NO_")]
SENTENCES.append(nothing_yet.no_lens("tuned"))
OFFERED = InstantStatus(InstantPhase.OFFERED, reason="in about 45 s")
SENTENCES.append(nothing_yet.no_lens("tuned", OFFERED))


@pytest.mark.parametrize("sentence", SENTENCES)
def test_it_says_what_makes_one(sentence: str) -> None:
    found = re.fullmatch(r"No [a-z ]+ yet: (.+)\.", sentence)
    assert found
    names = {"+": "plus", "Enter": "enter"}
    keys = [names.get(way.split()[0], way.split()[0]) for way in found[1].split(", ")]
    bound = {
        key.strip()
        for place in places()
        for binding in bindings_of(place.owner)
        for key in binding.key.split(",")
    }
    assert set(keys) <= bound
