"""The choice of a model: of those on this machine, or by name, with a remark whether it fits in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, OptionList, Static

from lenstui.jobs.chosen_model import Chosen
from lenstui.jobs.messages import OpenModel
from lenstui.jobs.model import ModelService
from lenstui.jobs.model_messages import ListedModel, ModelsListed, PathsListed
from lenstui.jobs.models import BUNDLED, FOLDER, PARTLY
from lenstui.model.name import BUNDLED_MODEL, looks_like_a_path
from lenstui.readout.number_texts import size_text
from lenstui.support.device_names import DTYPES
from lenstui.tui.models.search import HUB, suiting
from lenstui.tui.models.table import ModelLine, ModelTable
from lenstui.tui.shared.box import Box, BoxScreen
from lenstui.tui.shared.shown import shown
from lenstui.tui.shared.status_bar import short_name
from lenstui.tui.shared.still_input import StillInput

TYPED = "Not listed here: it is opened as it is typed, and downloaded if the hub has it."
OTHER = "No such revision is on this machine: it is opened as it is typed, and downloaded if the hub has it."
REST = "Only partly on this machine: Enter goes on with its download."
AGAIN = "Enter again opens it anyway."


def is_path(text: str) -> bool:
    """Return whether a text begins as only a path does. Any other text may still be a relative path."""
    return text.startswith(("/", "~", "."))


class ModelPicker(BoxScreen[Chosen | None]):
    """A line to type into, over the models that it finds. Its result is the model to open, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "Next model", show=False, id="model.down"),
        Binding("up", "move(-1)", "Previous model", show=False, id="model.up"),
        Binding("pagedown", "page(1)", "A page down", show=False, id="model.page_down"),
        Binding("pageup", "page(-1)", "A page up", show=False, id="model.page_up"),
        Binding(
            "tab", "complete", "Complete", id="model.complete", tooltip="Take the name over, to go on from"
        ),
        Binding("shift+tab", "next_dtype", "Dtype", id="model.dtype", tooltip="In which dtype it is opened"),
        Binding("escape", "dismiss", "Close", id="model.close"),
    ]
    DEFAULT_CSS = """
    ModelPicker {
        Box { width: 100; height: 22; max-height: 90%; padding: 0 1; }
        Input { margin: 0 0 1 0; }
        #model-headings { height: 1; color: $text-muted; }
        #model-detail { height: 2; margin-top: 1; color: $text-muted; }
    }
    """

    def __init__(
        self,
        models: ModelService,
        opened: OpenModel | None,
        recent: Sequence[str],
        *,
        device: str = "auto",
        dtype: str = "auto",
        beside: bool = False,
    ) -> None:
        """Ask for a model.

        Args:
            models: the service that lists the models on this machine.
            opened: the open model, if there is one.
            recent: names of models that were open before, the last one first.
            device: the device that the model will be loaded to.
            dtype: the dtype of its weights, as the user named it.
            beside: whether the open model stays open.
        """
        super().__init__()
        self._models = models
        bundled = opened is not None and opened.label == BUNDLED_MODEL
        self._opened = "" if bundled else None if opened is None else opened.label
        # The open model is kept with the recent ones only when it is left.
        names = [*([] if opened is None or bundled else [opened.label, opened.name]), *recent]
        self._recent, self._dtype, self._first_dtype = list(dict.fromkeys(names)), dtype, dtype
        self._model = opened
        self._beside = opened is not None and beside
        self._what = f"a model beside {short_name(opened.label)}" if opened and beside else "open a model"
        self._device = opened.device if device == "auto" and opened is not None else device
        self._listed: ModelsListed | None = None
        self._paths: tuple[ListedModel, ...] = ()  # the paths that the typed text may go on to
        self._trouble = ""  # why there are no such paths
        self._answered: str | None = ""  # the text that the list is for; None while paths are looked for
        self._warned: str | None = None  # the name of the model that the user was warned is too large

    def compose(self) -> ComposeResult:
        """Yield the line, the list, and the remark on the highlighted model."""
        with Box(self._what, self._keys, id="model-box"):
            yield StillInput(placeholder="a part of a name, OWNER/NAME, a folder or a GGUF file")
            yield Static(ModelLine(), id="model-headings")
            yield ModelTable()
            yield Static(id="model-detail")

    def on_mount(self) -> None:
        """Look for models on this machine."""
        self._say("looking what is on this machine …")
        self._look()

    def _look(self) -> None:
        self._models.list_models(self._recent, self._device, self._dtype, self.post_message)

    @property
    def _keys(self) -> str:
        return f"enter opens · tab completes · shift+tab dtype: {self._dtype} · esc closes"

    @property
    def _text(self) -> str:
        return self.query_one(Input).value.strip()

    @property
    def _table(self) -> ModelTable:
        return self.query_one(ModelTable)

    # ── what is found ────────────────────────────────────────────────────────────────────────────────────

    def on_models_listed(self, message: ModelsListed) -> None:
        """Show those of the models on this machine that suit what is typed."""
        if message.dtype != self._dtype:
            return
        chosen = self._table.chosen if self._listed is not None else None
        self._listed = message
        title = f"{self._what} · {size_text(message.peak)} of memory taken at the peak"
        self.query_one("#model-box").border_title = shown(title)
        self._find()
        if chosen is not None:
            self._table.choose(chosen.name)

    def on_paths_listed(self, message: PathsListed) -> None:
        """Show the paths that were found, unless something else was typed since."""
        text = self._text
        if message.typed != text:
            return
        before = self._table.chosen if self._answered == text else None
        self._paths = message.models
        self._trouble = message.trouble if looks_like_a_path(text) else ""
        if is_path(text):
            self._show(self._paths)
        elif self._listed is not None:
            self._show(suiting(self._listed.models, text, self._paths))
        if before is not None:
            self._table.choose(before.name)

    @on(Input.Changed)
    def find(self) -> None:
        """Look for the models that suit the new text."""
        self._warned, self._paths, self._trouble = None, (), ""
        self._find()

    def _find(self) -> None:
        text = self._text
        if is_path(text):
            if self._answered != text:
                self._answered = None
        elif self._listed is not None:
            self._show(suiting(self._listed.models, text, self._paths))
        if text:
            self._models.list_paths(text, self._device, self._dtype, self.post_message)

    def _show(self, models: Sequence[ListedModel]) -> None:
        self._answered = self._text
        self._table.show(models, self._opened)
        if not self._answered:
            places = [i for i, model in enumerate(models) if model.name == self._opened]
            self._table.highlighted = next(iter(places), 0)
        self._describe()

    @on(OptionList.OptionHighlighted)
    def _describe(self) -> None:
        model = self._table.chosen
        if model is None:
            self._say(self._trouble)
            return
        parts = [self._memory(model)]
        if model.where == HUB:
            parts = [OTHER if "@" in model.name else TYPED]
        elif model.where == PARTLY:
            parts = [REST]
        elif model.where == FOLDER:
            parts = ["No model: Enter looks into it."]
        if model.base:
            parts.append(f"An adapter: opens {short_name(model.base)} with it.")
        if len(model.revisions) > 1:
            parts.append(f"{len(model.revisions)} revisions are here: @ behind the name lists them.")
        self._say("\n".join(filter(None, parts)))

    def _shares_weights(self, model: ListedModel) -> bool:
        """Return whether a model is the open one under another adapter, or without one."""
        opened = self._model
        if opened is None or self._dtype != self._first_dtype or model.name == self._opened:
            return False
        base = model.base or (model.name or BUNDLED_MODEL) * (opened.adapter is not None)
        return base == opened.name

    def _memory(self, model: ListedModel) -> str:
        """Return a sentence on whether a model will fit in memory, as far as that is known."""
        listed = self._listed
        if self._shares_weights(model):
            return "Its weights are in memory already: none are loaded again."
        if listed is None or model.needed is None:
            return "" if model.where == BUNDLED else "Its files do not say how much memory it takes."
        dtype = "float32" if listed.dtype == "auto" and listed.device == "cpu" else listed.dtype
        kind = "" if dtype == "auto" else f" as {dtype}"
        text = f"Takes about {size_text(model.needed)}{kind}{' more' * self._beside}"
        if listed.free is None:
            return f"{text}."
        room = f"{size_text(listed.free)} are free on {listed.device}"
        return f"{text}: it will not fit, {room}." if model.needed > listed.free else f"{text}; {room}."

    def _say(self, text: str) -> None:
        self.query_one("#model-detail", Static).update(shown(text))

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────

    def action_move(self, step: int) -> None:
        """Highlight the next model, or the one before."""
        table = self._table
        table.action_cursor_down() if step > 0 else table.action_cursor_up()

    def action_page(self, step: int) -> None:
        """Move the highlight on by a page of models, or back."""
        table = self._table
        page = table.action_page_down if step > 0 else table.action_page_up
        page()

    def action_complete(self) -> None:
        """Take the highlighted name over into the line.

        Where that is the typed text itself, the first name in the list that begins with it is taken. Where
        the line has the name already and there are several revisions, an @ is added.
        """
        model, line = self._table.chosen, self.query_one(Input)
        if model is None or not model.name:
            return
        if model.where == HUB:
            longer = [m for m in self._table.models if m.where != HUB and m.name.startswith(line.value)]
            model = next(iter(longer), model)
        has_revisions = len(model.revisions) > 1 and line.value == model.name
        line.value = f"{model.name}@" if has_revisions else model.name
        line.cursor_position = len(line.value)

    def action_next_dtype(self) -> None:
        """Choose the next dtype to open a model in, and look up how much memory models then take."""
        self._dtype, self._warned = DTYPES[(DTYPES.index(self._dtype) + 1) % len(DTYPES)], None
        self.query_one("#model-box").border_subtitle = self._keys
        self._look()

    @on(OptionList.OptionSelected)
    @on(Input.Submitted)
    def submit(self) -> None:
        """Close with the highlighted model; with what is typed, where that was not looked for yet.

        A folder that is no model is looked into instead, and a model that is too large needs a second Enter.
        """
        model = self._table.chosen
        if self._answered != self._text or model is None:
            if self._text:
                self.dismiss(Chosen.read(self._text, self._dtype))
        elif model.where == FOLDER:
            self.action_complete()
        elif self._is_too_large(model) and self._warned != model.name:
            self._warned = model.name
            self._say(f"{self._memory(model)}\n{AGAIN}")
        else:
            self.dismiss(Chosen.read(model.name, self._dtype))

    def _is_too_large(self, model: ListedModel) -> bool:
        free = None if self._listed is None or self._shares_weights(model) else self._listed.free
        return model.needed is not None and free is not None and model.needed > free
