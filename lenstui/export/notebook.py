"""The lab notebook: the views that the user kept, each in a file of its own, for `lenstui report`.

A file is written whole or not at all and has a name that no other has, so that any number of lenstuis may
keep views at once. The oldest go where there are more than `MOST`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lenstui.support.atomic_file import replaced
from lenstui.support.small_file import read_json

MOST = 500  # views that are kept
NOTHING = "Nothing is kept yet: K keeps what Explore, Why, Trace, Evaluation, a prompt set or a scan shows."
_VERSION = 1
_TEXTS = ("kind", "subject", "markdown", "figure", "caption")


@dataclass(frozen=True, slots=True)
class KeptView:
    """A view that the user kept, as it was then.

    Attributes:
        kept: when it was kept, in local time.
        kind: what is shown: `readout`, `why`, `causal trace`, `evaluation`, `prompt set` or `error analysis`.
        subject: of what: a prompt, a text, a prompt set, or the records of a scan.
        markdown: the view as Markdown, with the source of its numbers and the command that makes it again.
        figure: the view as an SVG figure; empty where there is none.
        caption: what the figure shows, in one line; empty where there is none.
    """

    kept: datetime
    kind: str
    subject: str
    markdown: str
    figure: str = ""
    caption: str = ""

    @property
    def plain(self) -> dict[str, Any]:
        """The view as JSON holds it."""
        return {"kept": self.kept.isoformat(), **{name: getattr(self, name) for name in _TEXTS}}

    @classmethod
    def of_plain(cls, found: object) -> KeptView:
        """Return the view that JSON holds.

        Raises:
            ValueError: if it is none.
        """
        if not isinstance(found, dict) or found.get("version") != _VERSION:
            raise ValueError("no kept view of this version")
        texts = [text for name in _TEXTS if isinstance(text := found.get(name), str)]
        kept = found.get("kept")
        if not isinstance(kept, str) or len(texts) < len(_TEXTS):
            raise ValueError("a part of the view is missing")
        "".join(texts).encode()  # raises for half a character, which no file could hold
        return cls(datetime.fromisoformat(kept).astimezone(), *texts)


@dataclass(frozen=True, slots=True)
class Notebook:
    """What is in the folder of the notebook.

    Attributes:
        views: the views by their files, the oldest first.
        damaged: the files that cannot be read.
    """

    views: Mapping[Path, KeptView]
    damaged: tuple[Path, ...] = ()


def keep(view: KeptView, folder: Path) -> int:
    """Add a view to the notebook in a folder, which is made if need be, and return how many it has now.

    Raises:
        LensError: if it cannot be written.
    """
    name = f"{view.kept.astimezone(UTC):%Y%m%dT%H%M%S.%f}-{secrets.token_hex(4)}.json"
    with replaced(folder / name, private=True, make_folder=True) as out:
        out.write(json.dumps({"version": _VERSION, **view.plain}).encode())
    files = _files(folder)
    forget(file for file in files[:-MOST] if file.name != name)  # it is the oldest where a clock was set back
    return min(len(files), MOST)


def read_notebook(folder: Path) -> Notebook:
    """Read the notebook in a folder; it is empty where there is none."""
    views, damaged = dict[Path, KeptView](), list[Path]()
    for file in _files(folder):
        try:
            views[file] = KeptView.of_plain(read_json(file))
        except FileNotFoundError:  # another lenstui has just removed it
            continue
        except (OSError, ValueError, OverflowError):
            damaged.append(file)
    return Notebook(views, tuple(damaged))


def forget(files: Iterable[Path]) -> None:
    """Remove views from the notebook; a file that cannot be removed stays."""
    for file in files:
        with suppress(OSError):
            file.unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    """Return the files of views, the oldest first: their names begin with the time in UTC."""
    return sorted(folder.glob("[0-9]*.json"))
