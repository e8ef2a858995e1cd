"""The schema of a lens file's metadata, checked before any value is used.

A file may come from anywhere: a text in place of a list of numbers, or a number of a thousand digits, would
fail only where it is computed with or drawn. Keys that the schema does not have are left alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lenstui.lens.fit_history import MOST_POINTS
from lenstui.support.errors import LensError

_LONGEST_TEXT = 4096  # characters
_LONGEST_LIST = 1 << 16
_LARGEST = 1 << 53  # whole numbers that a float holds exactly
_MOST = 1e9  # nats, or seconds: a greater number is no measurement

Check = Callable[[Any], bool]


def check_header(path: Path, config: object, fit: object = None, remarks: object = None) -> None:
    """Refuse a lens file whose metadata do not agree with the schema.

    Args:
        path: the file, for messages.
        config: the model that the lens is for.
        fit: how the lens was fitted.
        remarks: remarks for the user.

    Raises:
        LensError: if an entry is wrong; the message names the first one.
    """
    for name, table, schema in (("config", config, _CONFIG), ("fit", fit, _FIT)):
        if table is None:
            continue
        if not isinstance(table, Mapping):
            raise LensError(f"{path} is damaged: its {name} is no table.")
        for key, is_right in schema.items():
            if table.get(key) is not None and not is_right(table[key]):
                raise LensError(f"{path} is damaged: in its {name}, {key} is not what it should be.")
    if remarks is not None and not _each(_is_text)(remarks):
        raise LensError(f"{path} is damaged: its remarks are not what they should be.")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_TEXT


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def is_count(value: object) -> bool:
    """Return whether a value is a whole number that can be a count or a width."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and abs(value) < 1 << 64  # as large as the seeds that torch takes


def _is_measured(value: object) -> bool:
    """Return whether a value is a plausible measurement, or infinite or NaN, as a KL may be."""
    return (isinstance(value, float) and not math.isfinite(value)) or _is_moderate(value)


def _is_moderate(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) <= _MOST


def _is_finite(value: object) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _each(is_right: Check) -> Check:
    def check(value: object) -> bool:
        return isinstance(value, list) and len(value) <= _LONGEST_LIST and all(map(is_right, value))

    return check


def _is_table_of(is_right: Check) -> Check:
    def check(value: object) -> bool:
        return (
            isinstance(value, Mapping)
            and len(value) <= _LONGEST_LIST
            and all(_is_text(key) and is_right(item) for key, item in value.items())
        )

    return check


def _is_sampled(value: object) -> bool:
    """Return whether a value is a tensor of a fingerprint: its shape and samples."""
    return (
        isinstance(value, Mapping)
        and _each(is_count)(value.get("shape"))
        and _each(_is_finite)(value.get("samples"))
    )


def _is_fingerprint(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and is_count(value.get("scheme"))
        and _is_flag(value.get("rounded"))
        and _is_table_of(_is_table_of(_is_sampled))(value.get("parts"))
    )


def is_history(value: object) -> bool:
    """Return whether a value is what `lens/fit_history` keeps."""
    if not isinstance(value, list) or len(value) > MOST_POINTS + 1:
        return False
    rows = {len(each["held_out_kl"]) for each in value if _is_point(each)}
    return all(map(_is_point, value)) and len(rows) < 2


def _is_point(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and all(is_count(value.get(name)) for name in ("step", "tokens", "columns"))
        and all(value.get(name) is not None for name in ("step", "tokens", "columns"))
        and value.get("held_out_kl") != []
        and _each(_is_measured)(value.get("held_out_kl"))
    )


# Every entry may also be missing or None, for unknown.
_CONFIG: dict[str, Check] = {
    "base_model_name_or_path": _is_text,
    "base_model_revision": _is_text,
    "d_model": is_count,
    "num_hidden_layers": is_count,
    "bias": _is_flag,
    "lens_type": _is_text,
    "unembed_sample": _each(_is_finite),
    "unembed_hash": _is_text,
    "unemebd_hash": _is_text,
    "fingerprint": _is_fingerprint,
}
_FIT: dict[str, Check] = {
    "method": _is_text,
    "preset": _is_text,
    "steps": is_count,
    "tokens": is_count,
    "n_prompts": is_count,
    "skip_first": is_count,
    "target": _is_text,
    "rule": _is_text,
    "estimator": _is_text,
    "n_exact": is_count,
    "error": _each(_is_measured),
    "convergence": _each(_is_measured),
    "seconds": _is_moderate,
    "seed": _is_whole,
    "data": _each(_is_text),
    "merged": _each(_is_text),
    "held_out_kl": _each(_is_measured),
    "logit_lens_kl": _each(_is_measured),
    "versions": _is_table_of(_is_text),
    "time": _is_text,
    "origin": _is_table_of(_is_text),
    "history": is_history,
}
