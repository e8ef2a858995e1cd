"""A model's `tokenizer.json`, checked before a library reads it: what it may make of a text, in what time.

Such a file describes steps that a text goes through, and nothing ends them once they are under way: twenty
that each write `aa` for `a` make a million letters of one. So what the steps may make of a byte at most is
reckoned from the file, and patterns of unusual kinds are tried in a child process that can be ended.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lenstui.model.confined import Unconfined, confined
from lenstui.support.errors import LensError
from lenstui.support.small_file import read_json

MOST = 10_000  # times as long as a text; the steps of known tokenizers make at most a few hundred
LIMIT = 256 << 20  # bytes of the file; those of the largest vocabularies have some 35 MB
_RUN = 1000  # times a character, to try patterns on
_CHARACTERS = "aA1 \n\t._'é日\U0001f600"

# What steps of these kinds make of a byte at most: Unicode has characters of 3 bytes that become 33.
_FACTORS = {
    "NFC": 3, "NFD": 3, "NFKC": 11, "NFKD": 11, "Lowercase": 2, "BertNormalizer": 10, "ByteLevel": 3,
    "Metaspace": 4,
}  # fmt: skip


def check_tokenizer_files(folder: Path) -> None:
    """Refuse a folder whose `tokenizer.json` could take memory or time without end.

    For some versions of transformers there may be others, `tokenizer.4.0.json`. A file that is no JSON object
    is passed over: whoever reads it says so.

    Raises:
        LensError: in one line.
    """
    for file in sorted(folder.glob("tokenizer.*json")):
        _check(file)


def growth(step: object) -> float:
    """Return how many times as long a text can become, in bytes, in a step of a tokenizer's file or in all.

    It is the product over steps within steps, which is more than any text needs; 1 for none.
    """
    product = 1.0
    for each in _steps(step):
        product *= _factor(each)
    return product


def is_usual(pattern: str) -> bool:
    """Return whether a regular expression surely takes few ways through a text.

    Such a pattern repeats no group, refers to none, and no alternative has more than two repetitions
    without a limit.
    """
    # What is left has a letter in place of each escape and each set.
    bare = re.sub(r"\[(?:\\.|[^\]\\])*\]", "x", re.sub(r"\\[pPxuo]\{[^}]*\}", "x", pattern))
    if re.search(r"\\[1-9gk]|\(\?R|\)[*+{]", bare):
        return False
    bare, depth, repeated = re.sub(r"\\.", "x", bare), 0, 0
    for place, character in enumerate(bare):
        depth += (character == "(") - (character == ")")
        repeated += character in "*+" or bool(re.match(r"\{\d*,", bare[place:]))
        if character == "|" and depth == 0:
            repeated = 0
        if repeated > 2:
            return False
    return True


def _check(file: Path) -> None:
    try:
        content = read_json(file, limit=LIMIT)
    except ValueError:
        return
    except OSError as error:
        raise LensError(f"{file} cannot be read: {error.strerror or error}.") from error
    if not isinstance(content, Mapping):
        return
    before = growth(content.get("normalizer")) * growth(content.get("pre_tokenizer"))
    for what, factor in (("a text", before), ("a token", growth(content.get("decoder")))):
        if factor > MOST:
            raise LensError(
                f"{file} may make {what} {factor:.0e} times as long, and at most {MOST:,} times is read: "
                "it is damaged, or made to take all memory."
            )
    patterns = [pattern for pattern in _patterns(content) if not is_usual(pattern)]
    if patterns:
        _try(file, patterns)


def _steps(step: object) -> Iterator[Mapping[str, Any]]:
    """Yield the steps that a step consists of; a list of steps is in a `Sequence`."""
    pending = [step]
    while pending:
        each = pending.pop()
        if isinstance(each, list):
            pending += each
        elif isinstance(each, Mapping):
            yield each
            pending += [value for value in each.values() if isinstance(value, list)]


def _factor(step: Mapping[str, Any]) -> float:
    kind = step.get("type")
    if kind == "Replace":
        return _replacement(step.get("pattern"), _size(step.get("content")))
    if kind == "Prepend":
        return 1 + _size(step.get("prepend"))
    if kind == "Precompiled":
        return _precompiled(step.get("precompiled_charsmap"))
    return _FACTORS.get(kind, 1) if isinstance(kind, str) else 1


def _replacement(pattern: object, content: int) -> float:
    """Return what a step makes of a byte that writes `content` bytes for each match of a pattern."""
    found = pattern if isinstance(pattern, Mapping) else {"String": pattern}
    if text := found.get("String"):
        return max(1.0, content / _size(text))
    expression = found.get("Regex")
    # Each match takes a character at least, unless the pattern may match nothing: before and behind a byte.
    takes = isinstance(expression, str) and not re.search(r"[*?|^$()]|\{0?,|\{0|\\[bBAzZG]", expression)
    return max(1, content) if takes else 1 + 2 * content


def _precompiled(table: object) -> float:
    """Return the bytes of the longest text that a table of sentencepiece holds; zeros stand between them."""
    try:
        raw = base64.b64decode(table) if isinstance(table, str) else b""
    except (binascii.Error, ValueError):
        return 1
    return max(1, *map(len, raw[4 + int.from_bytes(raw[:4], "little") :].split(b"\0")))


def _size(text: object) -> int:
    return len(text.encode(errors="surrogatepass")) if isinstance(text, str) else 0


def _patterns(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield the regular expressions of all steps."""
    for part in ("normalizer", "pre_tokenizer", "decoder"):
        for step in _steps(content.get(part)):
            pattern = step.get("pattern")
            if isinstance(pattern, Mapping) and isinstance(pattern.get("Regex"), str):
                yield pattern["Regex"]


def _try(file: Path, patterns: list[str]) -> None:
    """Have a child process cut runs of characters into tokens, of those that the patterns name too."""
    named = dict.fromkeys(c for pattern in patterns for c in pattern if c.isalnum())
    texts = [f"{character * _RUN}\x01" for character in (*_CHARACTERS, *list(named)[:20])]
    try:
        confined({"do": "tokenize", "file": str(file.absolute()), "texts": texts})
    except Unconfined as error:
        reason = str(error).rstrip(".")
        raise LensError(
            f"{file} has a pattern that was tried on {_RUN} equal characters, and failed: {reason}."
        ) from error
