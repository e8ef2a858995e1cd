"""The list of models: one line for each model, as much of the line as there is room for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text
from textual.widgets.option_list import Option

from lenstui.jobs.model_messages import ListedModel
from lenstui.readout.number_texts import size_text
from lenstui.support.printable import printable
from lenstui.tui.lenses.table import fit_text
from lenstui.tui.shared.line_list import LineList

# For each column but the first: its heading, its width, and whether it holds numbers.
_COLUMNS = (("family", 12, False), ("where", 8, False), ("size", 7, True), ("used", 10, True))
_HEADINGS = ("model", *(heading for heading, _, _ in _COLUMNS))
_NARROW = 70  # terminal cells; in fewer, the names need the room of the dates


class ModelTable(LineList, can_focus=False):
    """A list of models without focus: the line that is typed into has it, and moves the highlight."""

    DEFAULT_CSS = """
    ModelTable {
        border: none;
        padding: 0;
        height: 1fr;
        background: $surface;
        scrollbar-size: 1 1;
        & > .option-list--option { padding: 0; }
        & > .option-list--option-highlighted { background: $foreground 15%; color: $foreground; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._models: tuple[ListedModel, ...] = ()

    def show(self, models: Sequence[ListedModel], opened: str | None) -> None:
        """Show some models, the first one highlighted.

        Args:
            models: the models that may be opened.
            opened: the name of the open model, if there is one.
        """
        self._models = tuple(models)
        self.clear_options()
        self.add_options([Option(ModelLine(model, is_open=model.name == opened)) for model in models])
        self.highlighted = 0 if models else None

    def choose(self, name: str) -> None:
        """Highlight the model of a name, if it is in the list."""
        places = [place for place, model in enumerate(self._models) if model.name == name]
        if places:
            self.highlighted = places[0]

    @property
    def models(self) -> tuple[ListedModel, ...]:
        """All models of the list, in its order."""
        return self._models

    @property
    def chosen(self) -> ListedModel | None:
        """The highlighted model."""
        return None if self.highlighted is None else self._models[self.highlighted]


class ModelLine:
    """A model on one line, or the headings where there is no model."""

    def __init__(self, model: ListedModel | None = None, *, is_open: bool = False) -> None:
        self._model = model
        self._is_open = is_open

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield a line as wide as there is room; the name gets what the other columns leave."""
        columns = _COLUMNS if options.max_width >= _NARROW else _COLUMNS[:-1]
        room = max(options.max_width - 2 - sum(width + 1 for _, width, _ in columns), 8)
        widths = [room, *(width for _, width, _ in columns)]
        numbers = [False, *(number for _, _, number in columns)]
        texts = _HEADINGS if self._model is None else shown_texts(self._model)
        cells = " ".join(map(fit_text, texts[: len(widths)], widths, numbers))
        line = Text(f"{'●' if self._is_open else ' '} {cells}", no_wrap=True)
        if self._model is None:
            line.stylize("dim")
        yield line


def shown_texts(model: ListedModel) -> tuple[str, ...]:
    """Return the texts of a model's line, one for each column."""
    return (
        f"{'+ ' if model.base else ''}{printable(model.name)}" or "the bundled model",
        printable(model.family),
        model.where,
        size_text(model.size) if model.size else "",
        f"{datetime.fromtimestamp(model.used):%Y-%m-%d}" if model.used else "",
    )
