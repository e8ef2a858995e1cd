"""The prompts of a causal trace that is asked for on screen."""

from __future__ import annotations

from dataclasses import replace

from lenstui.jobs import trace
from lenstui.jobs.trace_messages import PromptAsked
from lenstui.model.load import Model
from lenstui.model.tokens import Prompt
from lenstui.readout.reading import Reading


def test_scanned_tokens_are_traced_as_they_are(tiny: Model) -> None:
    asked = PromptAsked("für", ids=(70, 190))
    assert trace._prompt(tiny, Reading(), asked) == Prompt("für", (70, 190))
    grown = replace(asked, prompt="fürs", stem="für", tail=(84,))
    assert trace._prompt(tiny, Reading(), grown) == Prompt("fürs", (70, 190, 84), 0, 1)
