"""Whether values from a file are of the types that the fields of a dataclass are annotated with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from lenstui.support.printable import is_unicode

_LARGEST = 1 << 64  # the largest seeds that torch takes
_LARGEST_COUNT = 1 << 53  # a float holds those below exactly
_LONGEST_TEXT = 4096  # characters, as many as a path may have
_LONGEST_LIST = 1 << 16


def wrong_field(kind: type, values: Mapping[str, Any], *, counts: bool = False) -> str | None:
    """Return the name of the first field of a dataclass whose value is missing or of another type.

    Known are whole and finite numbers, texts, flags, literals, None, tuples of one type (which may be lists),
    and unions of these.

    Args:
        kind: the dataclass.
        values: the value of each field.
        counts: whether whole numbers are counts, which are not negative.
    """
    hints = get_type_hints(kind)
    for field in fields(kind):
        value = values.get(field.name)
        is_negative = counts and isinstance(value, int) and not 0 <= value < _LARGEST_COUNT
        if field.name not in values or is_negative or not _is_of(hints[field.name], value):
            return field.name
    return None


def _is_of(hint: Any, value: Any) -> bool:
    if get_origin(hint) in {Union, UnionType}:
        return any(_is_of(each, value) for each in get_args(hint))
    if get_origin(hint) is Literal:
        return any(type(value) is type(each) and value == each for each in get_args(hint))
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        return (
            isinstance(value, list | tuple)
            and len(value) <= _LONGEST_LIST
            and all(_is_of(item, each) for each in value)
        )
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST
    if hint is float:
        return _is_of(int, value) or (isinstance(value, float) and math.isfinite(value))
    if hint is str:
        return isinstance(value, str) and len(value) <= _LONGEST_TEXT and is_unicode(value)
    assert hint in {bool, NoneType}, hint
    return isinstance(value, hint)
