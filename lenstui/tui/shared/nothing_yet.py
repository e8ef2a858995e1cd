"""What is said where there is nothing yet, in one form: what there is not, and the keys that make it."""

from __future__ import annotations

from lenstui.lens.names import kind_word

NO_MODEL = "No model yet: m opens one."
NO_PROMPT = "No prompt yet: i types one, Enter reads it."
NO_PINS = "No pins yet: p pins the cell's token, P a word."
NO_SECOND_SIDE = "No second side yet: + adds one."
NO_LENSES = "No lenses yet: t in Explore trains one, b opens one from any folder."
NO_PROMPTS = "No prompts yet: f names a file of them, Enter reads it."


def no_lens(kind: str) -> str:
    """Return that there is no lens of a kind yet for a model, and the keys that make one."""
    return f"No {kind_word(kind)} lens yet: t trains one, o opens one."
