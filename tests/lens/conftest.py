"""For the tests of the science: tiny models with random weights."""

from __future__ import annotations

from typing import Any

import pytest
from families import FAMILIES, random_model

from lenstui.lens import Model, wire


@pytest.fixture(scope="session")
def tiny(byte_tokenizer: Any) -> Model:
    """A random GPT-NeoX: 3 blocks, d 32, vocabulary 272."""
    return wire("tiny", random_model(FAMILIES["GPT-NeoX"].config), byte_tokenizer)
