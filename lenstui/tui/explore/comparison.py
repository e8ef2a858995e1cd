"""What Explore does to put other lenses, models and prompts on its sides, and to take them away."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from lenstui.jobs.messages import LoadStage, OpenModel, SidesChanged, SidesRefused, SidesTold
from lenstui.opening.sides import MOST_SIDES
from lenstui.tui.explore.ask_prompt import AskPrompt
from lenstui.tui.explore.difference import ExploreDifference
from lenstui.tui.explore.export import ExploreExport
from lenstui.tui.explore.growth import ExploreGrowth
from lenstui.tui.explore.pins import ExplorePins
from lenstui.tui.explore.reading import ExploreReading
from lenstui.tui.grid.grid import Cursor
from lenstui.tui.session.history import History
from lenstui.tui.shared.side_names import SideNames

if TYPE_CHECKING:
    from lenstui.tui.models.picker import Chosen

NO_MODEL = "No model is open yet: m opens one."
FIRST_PROMPT = "No prompt is read yet: a second one goes beside the first."
NOT_LONGER = "Several prompts are on screen, and none grows: - takes the second one away first."
ROOM_FOR_MOST = 150  # columns
NO_ROOM = f"{MOST_SIDES} sides need a screen of {ROOM_FOR_MOST} columns."


class ExploreComparison(ExploreDifference, ExploreExport, ExploreGrowth, ExplorePins, ExploreReading):
    """Explore with keys for what is on each side. They are about the active side, but the first stays."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "M", "beside", "Compare", show=False, id="explore.beside",
            tooltip="Another model on the active side",
        ),
        Binding(
            "B", "second_prompt", "Second prompt", show=False, id="explore.second_prompt",
            tooltip="Another prompt on the active side",
        ),
        Binding(
            "L", "next_lens", "Next lens", show=False, id="explore.other_kind",
            tooltip="Another lens on the active side",
        ),
        Binding(
            "plus", "add_side", "Add a side", key_display="+", show=False, id="explore.add_side",
            tooltip="One more side, up to three",
        ),
        Binding(
            "minus", "take_away", "Take away", key_display="-", show=False, id="explore.remove_side",
            tooltip="Take the active side away",
        ),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._in_training: str | None = None  # the kind of the lens that is fitted to the open model
        self.first_cursor: Cursor | None = None  # where to begin, if not at the end
        self._history: History | None = None

    @property
    def is_compared(self) -> bool:
        """Whether something else than the lenses of the open model is on the sides."""
        return self._model is not None and not self._model.is_alone

    @property
    def has_prompts(self) -> bool:
        """Whether the sides read several prompts."""
        return any(side.prompt is not None for side in self.sides)

    def action_beside(self) -> None:
        """Ask for a model to put on the active side."""
        if self._model is None:
            self._tell(NO_MODEL)
            return
        from lenstui.tui.models.picker import ModelPicker  # the first paint can do without

        start, recent = self._app.start, self._app.sides.recent()
        picker = ModelPicker(self._model, recent, start.device, start.dtype, beside=True)
        self.app.push_screen(picker, self._put_beside)

    def _put_beside(self, chosen: Chosen | None) -> None:
        if chosen is None:
            return
        self.post_message(LoadStage("looking for the model"))
        self._app.sides.open(self.panes.active, chosen.start(self._app.start, self._model))

    def action_second_prompt(self) -> None:
        """Ask for a prompt to put on the active side."""
        if reason := self.no_second_prompt:
            self._tell(reason)
            return
        places = [self.panes.active, *range(len(self.sides))]
        before = next((text for place in places if (text := self.sides[place].prompt)), self._prompt)
        self.app.push_screen(AskPrompt(before, self._history), self.put_prompt_beside)

    @property
    def no_second_prompt(self) -> str:
        """Why none can be read, or nothing."""
        return "" if self._columns else FIRST_PROMPT

    def put_prompt_beside(self, text: str | None) -> None:
        """Have a prompt read on the active side."""
        if text is not None:
            self._app.sides.put_prompt(self.panes.active, text)

    def action_next_lens(self) -> None:
        """The next lens on the active side."""
        if self._model is None:
            self._tell(NO_MODEL)
        else:
            self._app.sides.next_lens(self.panes.active, self.sides)

    def action_add_side(self) -> None:
        """One more side, which is the active one then."""
        if self._model is None:
            self._tell(NO_MODEL)
        elif len(self.sides) == MOST_SIDES - 1 and self.size.width < ROOM_FOR_MOST:
            self._tell(NO_ROOM)
        else:
            self._app.sides.add()

    def action_take_away(self) -> None:
        """The active side goes."""
        if self._model is None:
            self._tell(NO_MODEL)
        else:
            self._app.sides.take_away(self.panes.active, self.sides)

    def on_sides_changed(self, message: SidesChanged) -> None:
        """Read the prompt for all panes; the cursor stays where it is."""
        model, before, had_prompts = message.model, self.sides, self.has_prompts
        self._describe(model)
        self._mark_training()
        if had_prompts or self.has_prompts:
            self._stays = True  # as far from the end, where prompts meet
        elif self._columns:
            self.first_cursor = self.panes.cursor
        if len(self.sides) > len(before):
            self.panes.active = len(self.sides) - 1
        for place, side in enumerate(self.sides):
            if not side.has_lens:
                self.panes.difference = False
                self.panes.empty(place, self._rows, model.vocabulary, "")
        limit = model.common_vocabulary
        if any(pin.id >= limit for pin in self.panel.pins):
            self.panel.pins = tuple(pin for pin in self.panel.pins if pin.id < limit)
        if self._columns:
            self._read_anew()

    def on_sides_told(self, message: SidesTold) -> None:
        """Say it."""
        self.notify(message.text, title="Compared", severity="warning", timeout=12, markup=False)

    def on_sides_refused(self, message: SidesRefused) -> None:
        """Say why."""
        self._tell(message.text)

    # ── what another class shows ─────────────────────────────────────────────────────────────────────────

    def _describe(self, model: OpenModel) -> None:
        """Say what is open, and what is on the sides."""

    def _read_anew(self) -> None:
        """Read the prompt for all panes."""

    def _mark_training(self) -> None:
        """A side of the open model shows the lens in training, unless something else is compared."""
        kind = self._in_training if not self.is_compared else None
        training = frozenset(i for i, side in enumerate(self.sides) if side.kind == kind)
        if training or self.panes.training:  # a lens in training has another name than the one in use
            named = [replace(side, lens=None) if i in training else side for i, side in enumerate(self.sides)]
            self.panes.names = self.panel.names = SideNames.of(named)
        self.panes.training = training

    # ── keys that are of one model ───────────────────────────────────────────────────────────────────────

    def _lacks(self, token: int | None) -> bool:
        """Whether only some of the models, their vocabularies padded, have a token, which is said."""
        if self._model is None or token is None or token < self._model.common_vocabulary:
            return False
        self._tell(f'Not all of the models have a logit for "{self._texts[token]}".')
        return True

    def action_pin(self) -> None:
        """Pin a token that all sides have."""
        if not self._lacks(self.panes.token):
            super().action_pin()

    def action_append(self) -> None:
        """Append a token that all sides have."""
        if not self._several_prompts() and not self._lacks(self.panes.token):
            super().action_append()

    def action_generate(self) -> None:
        """Let one prompt go on."""
        if not self._several_prompts():
            super().action_generate()

    def action_step_back(self) -> None:
        """Take a token off one prompt."""
        if not self._several_prompts():
            super().action_step_back()

    def _several_prompts(self) -> bool:
        """Whether several prompts are on screen, which is said."""
        if self.has_prompts:
            self._tell(NOT_LONGER)
        return self.has_prompts
