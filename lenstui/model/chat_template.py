"""A tokenizer's chat template: a program that makes one text of the turns of a chat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lenstui.model.confined import confined
from lenstui.support.errors import LensError, first_clause

_SWITCH = "enable_thinking"
NO_TEMPLATE = "This tokenizer has no chat template: give it a plain prompt."


def has_chat_template(tokenizer: Any) -> bool:
    """Return whether a tokenizer has a chat template."""
    return bool(getattr(tokenizer, "chat_template", None))


def has_thinking_switch(tokenizer: Any) -> bool:
    """Return whether a tokenizer's chat template knows whether the model is to think."""
    return has_chat_template(tokenizer) and _SWITCH in str(tokenizer.chat_template)


def templated(
    tokenizer: Any,
    messages: Sequence[dict[str, str]],
    *,
    begins_answer: bool = True,
    goes_on: bool = False,
    thinking: bool | None = None,
) -> str:
    """Return the text that a chat template makes of messages.

    Args:
        tokenizer: a Hugging Face tokenizer.
        messages: objects with `role` and `content`.
        begins_answer: whether to begin the assistant's turn behind them.
        goes_on: whether to end within the last message, so that the text can go on.
        thinking: the template's thinking switch; None leaves it as it is.

    Raises:
        LensError: if there is no chat template, or no thinking switch in it, or it cannot be applied: a
            template is a program that may refuse, raise anything, run for ever, or take all memory.
    """
    if not has_chat_template(tokenizer):
        raise LensError(NO_TEMPLATE)
    if thinking is not None and not has_thinking_switch(tokenizer):
        raise LensError("This tokenizer's chat template has no thinking switch: leave it out.")
    switch = {} if thinking is None else {_SWITCH: thinking}
    begins_answer = begins_answer and not goes_on
    try:
        if _applies_its_own_way(tokenizer):
            return str(
                tokenizer.apply_chat_template(
                    list(messages),
                    tokenize=False,
                    add_generation_prompt=begins_answer,
                    continue_final_message=goes_on,
                    **switch,
                )
            )
        return str(
            confined(
                {
                    "do": "render",
                    "template": tokenizer.get_chat_template(),
                    "messages": list(messages),
                    "begins_answer": begins_answer,
                    "goes_on": goes_on,
                    "names": {**tokenizer.special_tokens_map, **switch},
                }
            )
        )
    except Exception as error:
        raise LensError(f"The tokenizer's chat template cannot be applied: {first_clause(error)}.") from error


def _applies_its_own_way(tokenizer: Any) -> bool:
    """Return whether a tokenizer's own code, which the user allowed to run, applies its chat template."""
    from transformers import PreTrainedTokenizerBase

    theirs = PreTrainedTokenizerBase.apply_chat_template
    return getattr(type(tokenizer), "apply_chat_template", None) is not theirs
