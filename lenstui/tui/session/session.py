"""The state that is kept between sessions: how each model was looked at, the last model, and the theme."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from lenstui.lens.kinds import LOGIT
from lenstui.model.name import BUNDLED_MODEL, DEFAULT_MODEL
from lenstui.readout.reading import Reading
from lenstui.support.request import Again, Start
from lenstui.support.settings import THEMES, Settings
from lenstui.support.state_file import changing, read_state, write_state
from lenstui.tui.grid.grid import MAX_DEPTH
from lenstui.tui.grid.plotted import PLOTTED
from lenstui.tui.session.fit_texts import FitTexts
from lenstui.tui.session.model_key import model_key

VERSION = 1
MOST = 100  # models whose looks are kept
LONGEST = 100_000  # characters of a prompt; a longer one is not kept


@dataclass(frozen=True, slots=True)
class Look:
    """How a model was looked at. Every default means that nothing is known.

    Attributes:
        prompt: the text in the prompt box.
        turns: the turns in the prompt box in place of a text, as plain values.
        row: the row of the cursor, 0 is `emb`.
        column: the column of the cursor.
        value: the key of the value that coloured the cells.
        depth: how many lines a row had; 0 for as many as filled the room.
        bottom_up: whether the last row was on top.
        crystallization: whether the rows where columns settle were marked.
        trust: whether the rows that are not to be trusted were dim.
        dim_template: whether the columns of chat template tokens were dim.
        fold_reasoning: whether the columns of reasoning were folded.
        lens: the kind of the lens on the active side.
        plotted: which of the pins' numbers were plotted.
        difference: whether the difference of two sides was shown in their place.
        lens_file: the file of the tuned lens that the user chose; empty where it opened by itself.
        other_lenses: the files of the other fitted lenses at hand, where one of them was on screen.
        revision: the revision of the model that these lenses are for; empty where none was named.
        base: the model, where what is kept is the look of an adapter on it; empty for a whole model.
        reading: the options for reading the prompt, as plain values.
        when: when the look was noted, in seconds since 1970.
    """

    prompt: str = ""
    turns: dict[str, Any] = field(default_factory=dict)
    row: int = -1
    column: int = -1
    value: str = ""
    depth: int = 0
    bottom_up: bool = True
    crystallization: bool = False
    trust: bool = False
    dim_template: bool = False
    fold_reasoning: bool = False
    lens: str = LOGIT
    plotted: str = PLOTTED[0]
    difference: bool = False
    lens_file: str = ""
    other_lenses: list[str] = field(default_factory=list)
    revision: str = ""
    base: str = ""
    reading: dict[str, Any] = field(default_factory=dict)
    when: float = 0.0

    @classmethod
    def read(cls, found: object) -> Look:
        """Return a look from JSON; a value of a wrong type is passed over, and keeps its default."""
        if not isinstance(found, dict):
            return cls()
        default = cls()
        kept = {
            field.name: found[field.name]
            for field in fields(cls)
            if type(found.get(field.name)) is type(getattr(default, field.name))
        }
        if len(kept.get("prompt", "")) > LONGEST:  # which no session writes
            del kept["prompt"]
        return cls(**kept)

    def again(self, model: str, revision: str | None) -> Again:
        """Return the choice of lenses for a model of this look, unless that was for another revision.

        Args:
            model: the name of the model, or of the adapter.
            revision: the revision of the model that was named, if any.
        """
        adapter = model if self.base else None
        model = self.base or model
        if self.revision != (revision or ""):
            return Again(model, None, self.when, adapter=adapter)
        lens = Path(self.lens_file) if self.lens_file else None
        others = tuple(Path(file) for file in self.other_lenses if isinstance(file, str) and file)
        return Again(model, lens, self.when, others, adapter)


class Session:
    """The state that is kept, and its file. Without a file nothing is kept.

    Attributes:
        is_first: whether the file is still to be written, since no session has ended before.
        trouble: why the file could not be used; None where it could.
        fit_texts: the text that a lens of each model was last fitted on.
        eval_texts: the text that lenses were last evaluated on, by model.
        lenses_by_kl: whether the list of lenses is ordered by their last evaluation, not by date.
    """

    def __init__(self, path: Path | None = None, *, restores: bool = True) -> None:
        self._path = path
        found, trouble = ({}, None) if path is None else read_state(path, VERSION)
        self.is_first = path is not None and not found and trouble is None
        self._models = _models(found)
        self._kept: dict[str, Any] = {}  # looks that are not in the file yet
        self._model = _text(found, "model")
        self._has_model = False  # whether that is one of this session
        self._theme = _text(found, "theme")
        self._theme_over = _text(found, "theme_over")  # the settings file's theme at that time
        self._has_theme = False  # whether it was chosen in this session
        self._restores = restores
        self.fit_texts = FitTexts(found.get("fit_texts") if restores else None)
        self.eval_texts = FitTexts(found.get("eval_texts") if restores else None)
        self.lenses_by_kl = self._by_kl_before = restores and found.get("lenses_by_kl") is True
        self.trouble = trouble if restores else None

    def theme(self, settings: Settings) -> str | None:
        """Return the theme that was chosen in the palette, unless the settings file says something new."""
        known = self._restores and self._theme in THEMES and self._theme_over == settings.theme
        return self._theme if known else settings.theme

    def resume(self, start: Start) -> tuple[Start, Look | None]:
        """Return the start with the prompt and the lens of its model's last look, and that look.

        The model is that of the start, or else that of the last session. Where the command line names a
        prompt, only the lens is added that was chosen for the model that will open. Where it names a lens, or
        there is no model, the start is returned unchanged. In these cases there is no look.
        """
        if not self._restores or start.lenses:
            return start, None
        name = start.adapter or start.model or self._model
        if start.demo or start.typed is not None:
            name = start.adapter or (BUNDLED_MODEL if start.demo else start.model or DEFAULT_MODEL)
        if name is None:
            return start, None
        if start.typed is not None:
            again = self.again(name, start.revision)
            is_known = again.lens is not None or bool(again.others)
            return (replace(start, again=again) if is_known else start), None
        look = Look.read(self._models.get(model_key(name)))
        start = replace(start, prompt=look.prompt or None, turns=None, again=look.again(name, start.revision))
        if look.turns:
            from lenstui.support.turns import Conversation  # most prompts are texts

            start = replace(start, turns=Conversation.of_plain(look.turns))
        return start, look

    def again(self, model: str, revision: str | None) -> Again:
        """Return what is known of a model from its last look: the lens that was chosen for it."""
        look = Look.read(self._models.get(model_key(model))) if self._restores else Look()
        return look.again(model, revision)

    def recent(self) -> list[str]:
        """Return the names of the models that were open, the last one first."""
        return list(reversed(self._models)) if self._restores else []

    def reading_of(self, model: str) -> Reading:
        """Return the options that a model's prompt was read with; the defaults where that is not known."""
        if not self._restores:
            return Reading()
        return Reading.of_plain(Look.read(self._models.get(model_key(model))).reading)

    def keep(self, model: str, look: Look, *, named: bool, knows_lens: bool = True) -> None:
        """Note how a model is looked at.

        Args:
            model: the name of the model, or of its adapter.
            look: how the model is looked at.
            named: whether the model can be opened again by its name alone.
            knows_lens: whether an earlier choice of a lens was asked for; otherwise it is left as it was.
        """
        key = model_key(model)
        if self._path is not None:  # other programs may have kept other models meanwhile
            self._models |= _models(read_state(self._path, VERSION)[0]) | self._kept
        before = Look.read(self._models.pop(key, None))
        if not knows_lens and not look.lens_file:
            look = replace(look, lens_file=before.lens_file, revision=before.revision)
        self._kept.pop(key, None)
        self._models[key] = self._kept[key] = asdict(look)
        self._model, self._has_model = key if named else None, True

    def keep_theme(self, theme: str, settings: Settings) -> None:
        """Note the theme that was chosen, and the theme of the settings file at that time."""
        self._theme, self._theme_over, self._has_theme = theme, settings.theme, True

    def save(self) -> str | None:
        """Write to the file what was kept, beside what it has by now; return why that failed, or None."""
        if self._path is None:
            return None
        with changing(self._path):
            before = read_state(self._path, VERSION)[0]  # other programs may have written meanwhile
            theirs = {key: look for key, look in _models(before).items() if key not in self._kept}
            by_kl_is_new = self.lenses_by_kl != self._by_kl_before
            content = {
                "model": self._model if self._has_model else _text(before, "model"),
                "theme": self._theme if self._has_theme else _text(before, "theme"),
                "theme_over": self._theme_over if self._has_theme else _text(before, "theme_over"),
                "models": dict(list((theirs | self._kept).items())[-MOST:]),
                "fit_texts": self.fit_texts.plain(before.get("fit_texts")),
                "lenses_by_kl": self.lenses_by_kl if by_kl_is_new else before.get("lenses_by_kl") is True,
                "eval_texts": self.eval_texts.plain(before.get("eval_texts")),
            }
            trouble = write_state(self._path, VERSION, content)
        if trouble is None:
            self._kept = {}
        return trouble


def first_reading(start: Start, kept: Reading) -> Reading:
    """Return how a model is read at first.

    The command line's `chat` and `bos` come first; all other options are as the model was read last.
    """
    if start.chat:
        return replace(kept, chat=True, bos=None)
    return kept if start.bos is None else replace(kept, bos=start.bos, chat=False)


def depth_of(look: Look | None) -> int | None:
    """Return how many tokens a cell showed, or None where that is not known."""
    return look.depth if look is not None and 1 <= look.depth <= MAX_DEPTH else None


def _models(found: dict[str, Any]) -> dict[str, Any]:
    models = found.get("models")
    return models if isinstance(models, dict) else {}


def _text(found: dict[str, Any], name: str) -> str | None:
    value = found.get(name)
    return value if isinstance(value, str) else None
