"""What is kept from one session to the next: how each model was looked at, which one, and the theme."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from lenstui.lens.kinds import LOGIT
from lenstui.readout.reading import Reading
from lenstui.support.request import Again, Start
from lenstui.support.settings import THEMES, Settings
from lenstui.support.state_file import read_state, write_state
from lenstui.tui.grid.grid import MAX_DEPTH
from lenstui.tui.grid.pins import PLOTTED

VERSION = 1
MOST = 100  # models whose looks are kept
LONGEST = 100_000  # characters of a prompt; a longer one is not kept


@dataclass(frozen=True, slots=True)
class Look:
    """How a model was looked at. Every default means that nothing is known.

    Attributes:
        prompt: what was in the prompt box.
        row: of the cursor, 0 is `emb`.
        column: of the cursor.
        value: key of what coloured the cells.
        depth: tokens of a cell.
        bottom_up: the last row was on top.
        crystallization: the rows where columns settle were marked.
        lens: kind of the lens on the active side.
        plotted: which of the pins' numbers were plotted.
        difference: the one minus the other was shown in place of both.
        lens_file: of its tuned lens.
        reading: how it was read.
        when: seconds since 1970.
    """

    prompt: str = ""
    row: int = -1
    column: int = -1
    value: str = ""
    depth: int = 0
    bottom_up: bool = True
    crystallization: bool = False
    lens: str = LOGIT
    plotted: str = PLOTTED[0]
    difference: bool = False
    lens_file: str = ""
    reading: dict[str, Any] = field(default_factory=dict)
    when: float = 0.0

    @classmethod
    def read(cls, found: object) -> Look:
        """From JSON; what is of a wrong type is passed over."""
        if not isinstance(found, dict):
            return cls()
        default = cls()
        kept = {
            field.name: found[field.name]
            for field in fields(cls)
            if type(found.get(field.name)) is type(getattr(default, field.name))
        }
        return cls(**kept)


class Session:
    """What is kept, and the file that it is kept in. Without a file nothing is."""

    def __init__(self, path: Path | None = None, *, restores: bool = True) -> None:
        self._path = path
        found, trouble = ({}, None) if path is None else read_state(path, VERSION)
        self._models = _models(found)
        self._model = _text(found, "model")
        self._theme = _text(found, "theme")
        self._theme_over = _text(found, "theme_over")  # what the settings file said when it was chosen
        self._restores = restores
        self.trouble = trouble if restores else None

    def theme(self, settings: Settings) -> str | None:
        """The theme that was chosen in the palette, unless the settings file says something new."""
        known = self._restores and self._theme in THEMES and self._theme_over == settings.theme
        return self._theme if known else settings.theme

    def resume(self, start: Start) -> tuple[Start, Look | None]:
        """What was asked for, and how it was looked at, where the command line leaves that open."""
        if not self._restores or start.prompt is not None or start.lens is not None:
            return start, None
        name = start.model or self._model
        if start.demo:
            from lenstui.model.hub import BUNDLED_MODEL  # the first paint can mostly do without

            name = BUNDLED_MODEL
        if name is None:
            return start, None
        look = Look.read(self._models.get(_key(name)))
        lens = Path(look.lens_file) if look.lens_file else None
        again = Again(name, lens, look.when)
        prompt = look.prompt or None
        return replace(start, prompt=prompt, again=again), look

    def recent(self) -> list[str]:
        """Names of the models that were open, the last one first."""
        return list(reversed(self._models)) if self._restores else []

    def reading_of(self, model: str) -> Reading:
        """How a model was read."""
        if not self._restores:
            return Reading()
        return Reading.of_plain(Look.read(self._models.get(_key(model))).reading)

    def keep(self, model: str, look: Look, *, named: bool) -> None:
        """Note how a model is looked at.

        Args:
            model: its name.
            look: how it is looked at.
            named: it can be opened again by its name alone.
        """
        key = _key(model)
        if self._path is not None:  # other programs may have kept theirs
            self._models |= _models(read_state(self._path, VERSION)[0])
        self._models.pop(key, None)
        self._models[key] = asdict(look)
        self._models = dict(list(self._models.items())[-MOST:])
        self._model = key if named else None

    def keep_theme(self, theme: str, settings: Settings) -> None:
        """Note a theme that was chosen."""
        self._theme, self._theme_over = theme, settings.theme

    def save(self) -> str | None:
        """Write it all down; why not, where that fails."""
        if self._path is None:
            return None
        content = {
            "model": self._model,
            "theme": self._theme,
            "theme_over": self._theme_over,
            "models": self._models,
        }
        return write_state(self._path, VERSION, content)


def first_reading(start: Start, kept: Reading) -> Reading:
    """How a model is read at first: as the command line says, else as it was read last."""
    if start.chat:
        return replace(kept, chat=True, bos=None)
    return kept if start.bos is None else replace(kept, bos=start.bos, chat=False)


def depth_of(look: Look | None) -> int | None:
    """How many tokens a cell had, if that is known."""
    return look.depth if look is not None and 1 <= look.depth <= MAX_DEPTH else None


def _key(name: str) -> str:
    """A folder has the same name from wherever the program is started."""
    path = Path(name)
    return str(path.resolve()) if path.is_dir() else name


def _models(found: dict[str, Any]) -> dict[str, Any]:
    models = found.get("models")
    return models if isinstance(models, dict) else {}


def _text(found: dict[str, Any], name: str) -> str | None:
    value = found.get(name)
    return value if isinstance(value, str) else None
