"""The page of families, from what their tests find: python -m tests.tiny.family_page > assets/families.md."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import torch
import transformers

from tests.tiny.causal_levels import level
from tests.tiny.families import FAMILIES
from tests.tiny.family import Family
from tests.tiny.family_reading import Reading, reading, refusal
from tests.tiny.refused_models import REFUSED

_TITLE = """\
# Families of models

Every family below is read by the same two rules: hidden states by hooks on what enters the blocks and
the final norm, the head by the model's own code. This page is made by `tests/tiny/family_page.py` from
what the tests find, with one tiny random model each: norm weights, biases, scales and softcaps far from
what they are at first, so that a forgotten one shows.
"""
_CHECKED = """\
**Checked**, by value, against a formula written out by hand from the source of the family: every `h_i`,
head and final norm of every `h_i`, the final distribution, within 1e-4 of the largest value; and the
head as one matrix, where it is one, at sizes that the model never reads. **resid_mid** is the stream
between attention and MLP: there is none where they run side by side (parallel), nor where what a block
adds is not simply the sum of the two (other: a norm behind the sum, a learned scale, three parts).
"""
_WHY = """\
**why** is how far [`lenstui why`](manual/command-line.md#lenstui-why) goes: *components* (embedding,
attention and MLP of each block), attention *heads*, and the *sources*, what heads read; each checked by
value on the prompt at hand, and heads against forwards without them. Where a model has blocks of several
kinds, it says in how many of the three.
"""
_MISSING = """\
## What `why` leaves out

Where something does not hold by value it is left out, and this is what is said:
"""
_REFUSED = """\
## Refused

Nothing is shown where numbers could be wrong. These say so, and why:
"""
_KINDS = {"layer": "LayerNorm", "rms": "RMSNorm"}


def page() -> str:
    """All of it, as Markdown."""
    parts = [_TITLE, _versions(), "", _CHECKED, _WHY, *_table(), "", _MISSING, *_left_out(), ""]
    return "\n".join([*parts, _REFUSED, *_refusals(), ""])


def comparable(text: str) -> list[str]:
    """The lines of a page but for the versions."""
    return [line for line in text.splitlines() if not line.startswith("Versions:")]


def _versions() -> str:
    return f"Versions: transformers {transformers.__version__}, torch {torch.__version__.partition('+')[0]}."


def _table() -> Iterator[str]:
    yield "| family | class | final norm | head | residual | resid_mid | checked | why |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, family in FAMILIES.items():
        found = reading(name)
        model_class = type(found.model.module).__name__
        cells = [_norm(family), _head(found), *_mid(found), _checked(found), level(name).words]
        yield f"| {name} | `{model_class}` | {' | '.join(cells)} |"


def _norm(family: Family) -> str:
    if family.norm is None:
        return "none"
    kind, _, more = family.kind.partition(", ")
    return _KINDS[kind] + (f", {more}" if more else "")


def _head(found: Reading) -> str:
    linear = found.model.head.linear
    if linear is None:
        return "the model's own code"
    parts = ["linear"]
    if linear.bias is not None:
        parts.append("+ bias")
    if linear.scale != 1:
        parts.append("× scale")
    if linear.softcap is not None:
        parts.append("softcap")
    return " ".join(parts)


def _mid(found: Reading) -> tuple[str, str]:
    """Residual, and whether there is a resid_mid."""
    if found.mid is None:
        return "other", "no"
    return ("sequential", "yes") if found.mid else ("parallel", "no")


def _checked(found: Reading) -> str:
    parts = {"h_i": found.stream, "head": found.head, "final distribution": max(found.cells, found.formula)}
    wrong = [part for part, difference in parts.items() if not difference < 1e-4]
    return f"wrong: {', '.join(wrong)}" if wrong else ", ".join(parts)


def _left_out() -> Iterator[str]:
    yield "| family | why |"
    yield "|---|---|"
    for name in FAMILIES:
        if reasons := level(name).reasons:
            yield f"| {name} | {'; '.join(reason.replace('|', '/') for reason in reasons)} |"


def _refusals() -> Iterator[str]:
    yield "| family | class | why |"
    yield "|---|---|---|"
    for name, (model_class, *_) in REFUSED.items():
        why = refusal(name).replace("tiny ", "it ").removesuffix(" Choose another model.")
        yield f"| {name} | `{model_class}` | {why} |"


if __name__ == "__main__":
    transformers.utils.logging.set_verbosity_error()
    sys.stdout.write(page())
