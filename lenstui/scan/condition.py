"""The language of conditions over the records of a scan, parsed into expressions of pyarrow.

    next_rank > 0 and final_prob >= 0.9
    tuned_best_rank = 0 and not (next in ("·the", "·a") or tuned_crystallization is missing)

A condition is made of comparisons, `and`, `or`, `not` and parentheses. A comparison has a column on its left:
`=`, `!=`, `<`, `<=`, `>` or `>=` and a number, a text in quotes or another column; `in` and such values in
parentheses; `contains` and a text in quotes; or `is missing` and `is not missing`. A comparison with a
missing number is neither true nor false, and no such position is found, by its opposite neither.

Nothing in a condition is ever run as Python: what the grammar does not have is an error, at its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NoReturn

from lenstui.model.tokens import visible
from lenstui.scan.columns import Column
from lenstui.support.errors import LensError

_DEEPEST = 50  # parentheses and `not` within each other
_WORDS = ("and", "or", "not", "in", "contains", "is", "missing", "emb")
_EMB = -1  # the number of the row `emb`

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<name>[^\W\d][\w:.]*|`[^`]+`)
    |(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)
    |(?P<text>"[^"]*"|'[^']*')
    |(?P<sign>==|!=|<=|>=|[=<>(),])
    )""",
    re.VERBOSE,
)
_NUMBERS = ("int", "float", "row")
_COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": lambda left, right: left == right,
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}


class ConditionError(LensError):
    """An error in a condition.

    Attributes:
        place: where it is, in characters from 0.
        why: what is wrong there, without the place.
    """

    def __init__(self, text: str, place: int, why: str) -> None:
        super().__init__(text)
        self.place = place
        self.why = why


@dataclass(frozen=True, slots=True)
class _Word:
    """A piece of a condition: its kind (`name`, `number`, `text`, `sign` or `end`), its text, its place."""

    kind: str
    text: str
    place: int


@dataclass(frozen=True, slots=True)
class _Operand:
    """A value on the right of a comparison: the expression, and whether it is a number."""

    value: Any
    is_number: bool


def parse_condition(text: str, columns: Sequence[Column]) -> Any:
    """Return a condition as an expression of pyarrow.

    Args:
        text: the condition.
        columns: the columns of the records.

    Raises:
        ConditionError: if the condition is wrong; the message says what, and at which character.
    """
    return _Parser(text, columns).parse()


def nearest_names(name: str, names: Sequence[str]) -> str:
    """Return the names that are most like `name`, for a message: `the nearest are a, b`."""
    folded = {each.lower(): each for each in names}
    found = get_close_matches(name.lower(), list(folded), n=3, cutoff=0.5)
    found = found or [each for each in folded if name.lower() in each][:3]
    if not found:
        return f"it is one of {', '.join(names)}"
    return f"the nearest {'is' if len(found) == 1 else 'are'} {', '.join(folded[each] for each in found)}"


class _Parser:
    """A parser by recursive descent, with one word of lookahead."""

    def __init__(self, text: str, columns: Sequence[Column]) -> None:
        self._text = text
        self._columns = {column.name: column for column in columns}
        self._words = self._cut()
        self._place = 0
        self._depth = 0

    def parse(self) -> Any:
        """Return the expression of the whole condition."""
        if self._word.kind == "end":
            raise ConditionError("The condition is empty.", 0, "it is empty")
        found = self._either()
        if self._word.kind != "end":
            self._fail("there should be `and`, `or` or the end")
        return found

    def _cut(self) -> list[_Word]:
        """Return the words of the condition, `end` as the last."""
        words: list[_Word] = []
        place = 0
        while rest := self._text[place:].lstrip():
            begin = len(self._text) - len(rest)
            found = _TOKEN.match(self._text, begin)
            if found is None or found.lastgroup is None:
                what = "a text that does not end" if rest[0] in "\"'`" else "no part of a condition"
                self._fail(f"this is {what}", _Word("", rest[:1], begin))
            words.append(_Word(found.lastgroup, found[found.lastgroup], begin))
            place = found.end()
        return [*words, _Word("end", "", len(self._text))]

    @property
    def _word(self) -> _Word:
        return self._words[self._place]

    def _fail(self, why: str, word: _Word | None = None) -> NoReturn:
        """Refuse the condition, at a word or at the one that comes next."""
        word = word or self._word
        where = "the end" if word.kind == "end" else f"{word.text} (character {word.place + 1})"
        raise ConditionError(f"The condition is wrong at {where}: {why}.", word.place, why)

    def _takes(self, *texts: str) -> str | None:
        """Take the next word if it is one of these, in any case, and return it."""
        word = self._word
        if word.kind in {"name", "sign"} and word.text.lower() in texts:
            self._place += 1
            return word.text.lower()
        return None

    def _expect(self, text: str) -> None:
        if not self._takes(text):
            self._fail(f"there should be `{text}`")

    def _either(self) -> Any:
        found = self._both()
        while self._takes("or"):
            found = found | self._both()
        return found

    def _both(self) -> Any:
        found = self._one()
        while self._takes("and"):
            found = found & self._one()
        return found

    def _one(self) -> Any:
        self._depth += 1
        if self._depth > _DEEPEST:
            self._fail("it is too deep in parentheses")
        if self._takes("not"):
            found = ~self._one()
        elif self._takes("("):
            found = self._either()
            self._expect(")")
        else:
            found = self._comparison()
        self._depth -= 1
        return found

    def _comparison(self) -> Any:
        from pyarrow import compute

        column = self._column()
        left = compute.field(column.name)
        if self._takes("is"):
            negated = self._takes("not")
            self._expect("missing")
            return left.is_valid() if negated else left.is_null()
        if self._takes("in"):
            self._expect("(")
            found = left == self._value(column).value
            while self._takes(","):
                found = found | (left == self._value(column).value)
            self._expect(")")
            return found
        if column.type in _NUMBERS:
            return self._compared(column, left)
        if self._takes("contains"):
            if self._word.kind != "text":
                self._fail("there should be a text in quotes behind `contains`")
            return compute.match_substring(left, self._quoted(column))
        return self._compared(column, left)

    def _compared(self, column: Column, left: Any) -> Any:
        sign = self._word
        if sign.kind != "sign" or sign.text not in _COMPARISONS:
            more = "" if column.type in _NUMBERS else ", `contains`"
            self._fail(f"there should be a comparison behind {column.name}: =, !=, <, …{more}, `in` or `is`")
        if column.type not in _NUMBERS and sign.text[0] in "<>":
            self._fail(f"{column.name} is a text, which is = or !=, not less or greater", sign)
        self._place += 1
        return _COMPARISONS[sign.text](left, self._value(column).value)

    def _column(self) -> Column:
        """Take the name of a column that can be compared."""
        word = self._word
        name = word.text.strip("`")
        if word.kind != "name" or name.lower() in _WORDS:
            self._fail("there should be a column, `not` or a parenthesis")
        if name not in self._columns:
            self._fail(f"there is no column {name}: {nearest_names(name, self._comparable)}")
        if self._columns[name].type == "rows":
            self._fail(f"{name} has a number for each row, which a condition does not compare")
        self._place += 1
        return self._columns[name]

    @property
    def _comparable(self) -> list[str]:
        return [column.name for column in self._columns.values() if column.type != "rows"]

    def _value(self, column: Column) -> _Operand:
        """Take a value that goes with a column."""
        word = self._word
        operand = self._operand(column)
        if operand.is_number != (column.type in _NUMBERS):
            wanted = "a number" if column.type in _NUMBERS else 'a text in quotes, such as "·the"'
            self._fail(f"{column.name} is compared with {wanted}", word)
        return operand

    def _operand(self, column: Column) -> _Operand:
        from pyarrow import compute

        word = self._word
        if word.kind == "number":
            self._place += 1
            return _Operand(_number(word.text, column), True)
        if word.kind == "text":
            return _Operand(compute.scalar(self._quoted(column)), False)
        if word.kind == "name" and self._takes("emb"):
            return _Operand(compute.scalar(_EMB), True)
        if word.kind == "name":
            other = self._column()
            return _Operand(compute.field(other.name), other.type in _NUMBERS)
        self._fail("there should be a value")

    def _quoted(self, column: Column) -> str:
        """Take a text; for a token as display text, so that `" the"` is `·the`."""
        text = self._word.text[1:-1]
        self._place += 1
        return visible(text) if column.type == "token" else text


def _number(text: str, column: Column) -> Any:
    """Return a number as a value that a column can be compared with."""
    import pyarrow as pa
    from pyarrow import compute

    if column.type == "float":  # of the precision of the records, so that 0.9 there is 0.9 here
        return compute.scalar(pa.scalar(float(text), pa.float32()))
    is_whole = text.lstrip("+-").isdecimal() and len(text) < 19
    return compute.scalar(int(text) if is_whole else float(text))
