"""A tokenizer's chat template: a program that makes one text of the turns of a chat."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from lenstui.support.errors import LensError, first_clause

_SECONDS = 5.0  # a template takes milliseconds
_JINJA_CODE = "<template>"  # the file name of a compiled template
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
            template is a program that may refuse, raise anything, or run for ever.
    """
    if not has_chat_template(tokenizer):
        raise LensError(NO_TEMPLATE)
    if thinking is not None and not has_thinking_switch(tokenizer):
        raise LensError("This tokenizer's chat template has no thinking switch: leave it out.")
    switch = {} if thinking is None else {_SWITCH: thinking}
    try:
        with _stopped_after(_SECONDS):
            text: str = tokenizer.apply_chat_template(
                list(messages),
                tokenize=False,
                add_generation_prompt=begins_answer and not goes_on,
                continue_final_message=goes_on,
                **switch,
            )
    except Exception as error:
        reason = "".join(c if c.isprintable() else "?" for c in first_clause(error))
        raise LensError(f"The tokenizer's chat template cannot be applied: {reason}.") from error
    return text


@contextmanager
def _stopped_after(seconds: float) -> Iterator[None]:
    """Raise a `TimeoutError` in a template that takes longer: a thread cannot be stopped from outside."""
    end = time.monotonic() + seconds

    def check(frame: FrameType, event: str, argument: object) -> Any:
        if time.monotonic() > end:
            raise TimeoutError(f"it took longer than {seconds:g} s")
        return check

    def of_templates(frame: FrameType, event: str, argument: object) -> Any:
        return check if frame.f_code.co_filename == _JINJA_CODE else None

    before = sys.gettrace()
    sys.settrace(of_templates)
    try:
        yield
    finally:
        sys.settrace(before)
