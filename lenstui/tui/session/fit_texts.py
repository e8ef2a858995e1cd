"""The text that a lens of each model was last fitted on, or evaluated on, to be proposed again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from lenstui.support.typed_path import expanded
from lenstui.tui.session.model_key import model_key

MOST = 100  # models whose texts are kept
LONGEST = 50_000  # characters of the names of a text's files, as they may stand in a line to type into


@dataclass(frozen=True, slots=True)
class LastText:
    """The text of a fit or an evaluation, as it stands in the form.

    Attributes:
        data: files and globs, separated by spaces; empty for the text that comes with lenstui.
        column: the Parquet column or JSON field of the text; empty for the usual one.
    """

    data: str = ""
    column: str = ""

    @classmethod
    def of(cls, paths: Iterable[str], column: str | None) -> LastText:
        """Return the text of some files, named so that they are found from any folder."""
        whole = (str(expanded(path).absolute()) for path in paths)
        return cls(" ".join(map(shlex.quote, whole)), column or "")

    @classmethod
    def read(cls, found: object) -> LastText:
        """Return a text from JSON; an empty one where it is none."""
        if not isinstance(found, dict):
            return cls()
        data, column = found.get("data"), found.get("column")
        if not isinstance(data, str) or not isinstance(column, str) or len(data) + len(column) > LONGEST:
            return cls()
        return cls(data, column)


class FitTexts:
    """The last text of each model: of this session, or else of those before."""

    def __init__(self, found: object = None) -> None:
        """Begin with the JSON object of a session file; anything else is passed over."""
        self._before = found if isinstance(found, dict) else {}
        self._now: dict[str, LastText] = {}

    def of(self, model: str) -> LastText:
        """Return the last text of a model; an empty one where there is none."""
        key = model_key(model)
        return self._now[key] if key in self._now else LastText.read(self._before.get(key))

    def keep(self, model: str, text: LastText) -> None:
        """Note the text of a fit or an evaluation that begins."""
        self._now.pop(model_key(model), None)
        self._now[model_key(model)] = text

    def plain(self, before: object) -> dict[str, Any]:
        """Return the JSON object for a session file: those of this session over those that the file holds."""
        older = before if isinstance(before, dict) else {}
        now = {key: asdict(text) for key, text in self._now.items()}
        kept = {key: text for key, text in older.items() if key not in now} | now
        return dict(list(kept.items())[-MOST:])
