"""Agreement of two models that are read side by side: one cursor, and the same tokens in the same columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lenstui.model.load import Model
from lenstui.model.rows import RowChoice
from lenstui.model.tokens import Prompt
from lenstui.readout.reading import Reading
from lenstui.readout.streams import rows_to_read
from lenstui.support.errors import LensError
from lenstui.support.turns import Conversation


def rows_of_both(one: Model, other: Model) -> str:
    """Return how many rows each of two models has, in words."""
    names = both_names(one, other)
    return f"{names[0]} has {one.num_blocks + 1} rows, {names[1]} {other.num_blocks + 1}"


def check_same_tokens(one: Model, other: Model) -> None:
    """Check that two models have the same tokens by id.

    The number of logits may differ: a vocabulary may be padded.

    Raises:
        LensError: if they do not agree; the message names both.
    """
    names = both_names(one, other)
    vocabularies = one.tokenizer.get_vocab(), other.tokenizer.get_vocab()
    if vocabularies[0] == vocabularies[1]:
        return
    sizes = [len(vocabulary) for vocabulary in vocabularies]
    differs = f"they have {sizes[0]} and {sizes[1]} tokens"
    if sizes[0] == sizes[1]:
        count = len(vocabularies[0].items() - vocabularies[1].items())
        differs = f"{count} of {sizes[0]} tokens are not the same"
    raise LensError(f"The tokenizers of {names[0]} and {names[1]} do not agree: {differs}.")


def shared_prompt(
    one: Model,
    other: Model,
    text: str | Conversation,
    reading: Reading,
    *,
    tail: tuple[int, ...] = (),
    context: int | None = None,
    ids: tuple[int, ...] = (),
) -> Prompt:
    """Return a prompt that two models read in the same tokens, no longer than either can read.

    Args:
        one: from `load`.
        other: a model that agrees with it.
        text: the prompt, which may be turns.
        reading: the options for reading it; its rows are those of the first model.
        tail: token ids to append to those of the text.
        context: the most columns, where these are fewer than both models can read.
        ids: the token ids of the text, where it is not to be cut into tokens; else empty.

    Raises:
        LensError: if a model does not allow the options, or both do not read the prompt in the same
            tokens; the message names both.
    """
    names = both_names(one, other)
    context = shared_context(one, other) if context is None else context
    prompts = []
    for model, name in zip((one, other), names, strict=True):
        rows = reading.rows if model.num_blocks == one.num_blocks else RowChoice()  # rows are the first's
        if refused := replace(reading, rows=rows).refused(model.allowed, model.num_blocks):
            raise LensError(f"{name}: {' '.join(refused.values())}")
        prompts.append(reading.prompt(model, text, tail=tail, context=context, ids=ids))
    if prompts[0].ids != prompts[1].ids:
        first = _only_one_begins_with_bos(one, other, prompts)
        why = (
            ""
            if first is None
            else f": {names[first]} puts BOS before it. b can have both with it, or without"
        )
        raise LensError(
            f"The tokenizers of {names[0]} and {names[1]} cut this prompt into other tokens{why}."
        )
    for model, name in zip((one, other), names, strict=True):
        if max(prompts[0].ids) >= model.vocabulary:
            raise LensError(f"{name} has no token {max(prompts[0].ids)}, which is in this prompt.")
    return prompts[0]


def check_sublayers(one: Model, other: Model, reading: Reading) -> None:
    """Check that two models have the same sublayer rows, if those are to be read.

    Raises:
        LensError: if they do not; the message names both.
    """
    if not reading.sublayers:
        return
    if one.num_blocks != other.num_blocks:
        raise LensError(f"{rows_of_both(one, other)}: sublayers are of models with equally many blocks.")
    rows = [rows_to_read(model, reading.rows.of(model.num_blocks), sublayers=True) for model in (one, other)]
    if rows[0] != rows[1]:
        names = both_names(one, other)
        raise LensError(f"The blocks of {names[0]} and {names[1]} come apart into other rows.")


def _only_one_begins_with_bos(one: Model, other: Model, prompts: Sequence[Prompt]) -> int | None:
    """Return which of two prompts is the other one behind a BOS token; None for neither."""
    for place, model in enumerate((one, other)):
        begin, longer, shorter = model.tokenizer.bos_token_id, prompts[place].ids, prompts[1 - place].ids
        if begin is not None and longer == (begin, *shorter):
            return place
    return None


def shared_context(one: Model, other: Model) -> int | None:
    """Return the most columns that two models can both read, or None where neither has a limit."""
    known = [model.context for model in (one, other) if model.context is not None]
    return min(known, default=None)


def both_names(one: Model, other: Model) -> tuple[str, str]:
    """Return the names of two models, with their revisions where these were named."""
    return _name(one), _name(other)


def _name(model: Model) -> str:
    named = model.name if model.revision is None else f"{model.name}@{model.revision}"
    return named if model.adapter is None else f"{named} + {model.adapter.typed}"
