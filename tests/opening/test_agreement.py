"""Whether two models read a prompt in the same tokens, and what is said where they do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lenstui.lens import LensError
from lenstui.model.load import Model
from lenstui.opening.agreement import shared_prompt
from lenstui.readout.reading import Reading


def test_bos_before_one_of_two_prompts_is_named_and_can_be_set(tiny: Model, chat_tokenizer: Any) -> None:
    begins = replace(tiny, name="begins", tokenizer=chat_tokenizer)
    for pair in ((tiny, begins), (begins, tiny)):
        with pytest.raises(LensError, match=r"other tokens: begins puts BOS before it\. b can have both"):
            shared_prompt(*pair, "Hi", Reading())
        letters = tuple(tiny.tokenizer("Hi")["input_ids"])
        assert shared_prompt(*pair, "Hi", Reading(bos=False)).ids == letters
        assert shared_prompt(*pair, "Hi", Reading(bos=True)).ids == (0, *letters)


def test_other_tokens_are_not_laid_to_bos(tiny: Model, byte_tokenizer: Any) -> None:
    from tokenizers.normalizers import Lowercase
    from transformers import PreTrainedTokenizerFast

    fast = type(byte_tokenizer.backend_tokenizer).from_str(byte_tokenizer.backend_tokenizer.to_str())
    fast.normalizer = Lowercase()
    small = PreTrainedTokenizerFast(tokenizer_object=fast, bos_token="<bos>", eos_token="<eos>")
    with pytest.raises(LensError, match=r"cut this prompt into other tokens\.$"):
        shared_prompt(tiny, replace(tiny, tokenizer=small), "Hi", Reading())
