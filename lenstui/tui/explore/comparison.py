"""What Explore does to show two models side by side, or two lenses of one, or two prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType

from lenstui.jobs.export_things import THINGS, Thing
from lenstui.jobs.messages import BesideChanged, BesideTold, LoadStage, OpenModel
from lenstui.jobs.slots import Comparison, beside_name
from lenstui.tui.explore.ask_prompt import AskPrompt
from lenstui.tui.explore.difference import ExploreDifference
from lenstui.tui.explore.export import ExploreExport
from lenstui.tui.explore.growth import ExploreGrowth
from lenstui.tui.explore.pins import ExplorePins
from lenstui.tui.explore.reading import ExploreReading
from lenstui.tui.grid.grid import Cursor
from lenstui.tui.session.history import History

if TYPE_CHECKING:
    from lenstui.tui.models.picker import Chosen

NOTHING_BESIDE = (
    "Nothing is beside the open model: M puts another one there; B a second prompt; o, then c another lens."
)
ALONE = "A command is of one model and prompt, and two sides are on screen: M takes {} away first."
FIRST_PROMPT = "No prompt is read yet: a second one goes beside the first."
NOT_LONGER = "Two prompts are on screen, and neither grows: M takes the second one away first."


class ExploreComparison(ExploreDifference, ExploreExport, ExploreGrowth, ExplorePins, ExploreReading):
    """Explore with something beside the open model."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "M", "beside", "Compare", show=False, id="explore.beside",
            tooltip="Another model beside the open one, or take it away",
        ),
        Binding(
            "B", "second_prompt", "Second prompt", show=False, id="explore.second_prompt",
            tooltip="A second prompt beside the first, or another in its place",
        ),
        Binding(
            "L", "other_kind", "Kind of lens", show=False, id="explore.other_kind",
            tooltip="Compare through the other kind of lens",
        ),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._in_training = False  # a lens for the open model
        self.first_cursor: Cursor | None = None  # where to begin, if not at the end
        self._history: History | None = None

    @property
    def comparison(self) -> Comparison | None:
        """What is on the two sides, where not the two lenses of the open model are."""
        return None if self._model is None else self._model.comparison

    def action_beside(self) -> None:
        """Ask for a model to put beside the open one; or take away what is there."""
        if self._model is None:
            self._tell("No model is open yet: m opens one.")
        elif self.comparison is not None:
            self._app.beside.take_away()
        else:
            from lenstui.tui.models.picker import ModelPicker  # the first paint can do without

            start, recent = self._app.start, self._app.beside.recent()
            picker = ModelPicker(self._model, recent, start.device, start.dtype, beside=True)
            self.app.push_screen(picker, self._put_beside)

    def _put_beside(self, chosen: Chosen | None) -> None:
        if chosen is None:
            return
        self.post_message(LoadStage("looking for the model"))
        self._app.beside.open(chosen.start(self._app.start, self._model))

    def action_second_prompt(self) -> None:
        """Ask for a prompt to put beside the one that is read."""
        comparison = self.comparison
        if reason := self.no_second_prompt:
            self._tell(reason)
        else:
            before = None if comparison is None else comparison.prompt
            self.app.push_screen(AskPrompt(before or self._prompt, self._history), self.put_prompt_beside)

    @property
    def no_second_prompt(self) -> str:
        """Why none can be read, or nothing."""
        comparison = self.comparison
        if not self._columns:
            return FIRST_PROMPT
        if comparison is not None and comparison.prompt is None:
            return f"Two sides are on screen: M takes {beside_name(comparison)} away first."
        return ""

    def put_prompt_beside(self, text: str | None) -> None:
        """Have a second prompt read beside the first."""
        if text is not None:
            self._app.beside.put_prompt(text)

    def action_other_kind(self) -> None:
        """Both sides through the other kind of lens."""
        if self.comparison is None:
            self._tell(NOTHING_BESIDE)
        elif self.comparison.one_kind is not None:
            self._tell(self.comparison.one_kind)
        else:
            self._app.beside.change_kind()

    def on_beside_changed(self, message: BesideChanged) -> None:
        """Read the prompt for both panes; the cursor stays where it is."""
        model = message.model
        self._describe(model)
        self._mark_training()
        if self._right is None and (model.comparison is None or model.comparison.prompt is None):
            self.first_cursor = self.panes.cursor
        else:
            self._stays = True  # as far from the end, where two prompts meet
        if not model.has_two_sides:
            self.panes.difference = False
            self.panes.empty("tuned", self._rows, model.vocabulary, "")
        if model.comparison is not None:
            limit = model.comparison.vocabulary
            self.panel.pins = tuple(pin for pin in self.panel.pins if pin.id < limit)
        if self._columns:
            self._read_anew()

    def on_beside_told(self, message: BesideTold) -> None:
        """Say it."""
        self.notify(message.text, title="Compared", severity="warning", timeout=12, markup=False)

    # ── what another class shows ─────────────────────────────────────────────────────────────────────────

    def _describe(self, model: OpenModel) -> None:
        """Say what is open, and what is beside it."""

    def _read_anew(self) -> None:
        """Read the prompt for both panes."""

    def _mark_training(self) -> None:
        """The tuned pane shows the lens in training, unless something else is there."""
        self.panes.in_training = self._in_training and self.comparison is None

    # ── keys that are of one model ───────────────────────────────────────────────────────────────────────

    def _lacks(self, token: int | None) -> bool:
        """Whether only one of two padded vocabularies has a token, which is said."""
        comparison = self.comparison
        if comparison is None or token is None or token < comparison.vocabulary:
            return False
        self._tell(f'Only one of the models has a logit for "{self._texts[token]}".')
        return True

    def action_pin(self) -> None:
        """Pin a token that both sides have."""
        if not self._lacks(self.panes.token):
            super().action_pin()

    def action_append(self) -> None:
        """Append a token that both sides have."""
        if not self._two_prompts() and not self._lacks(self.panes.token):
            super().action_append()

    def action_generate(self) -> None:
        """Let one prompt go on."""
        if not self._two_prompts():
            super().action_generate()

    def action_step_back(self) -> None:
        """Take a token off one prompt."""
        if not self._two_prompts():
            super().action_step_back()

    def _two_prompts(self) -> bool:
        """Whether two prompts are on screen, which is said."""
        are_two = self.comparison is not None and self.comparison.prompt is not None
        if are_two:
            self._tell(NOT_LONGER)
        return are_two

    @property
    def things(self) -> tuple[Sequence[Thing], Sequence[Thing]]:
        """Two sides are taken as a picture: every other file is of one model and one prompt."""
        return super().things if self.comparison is None else ([THINGS["screen"]], [])

    def action_copy_command(self) -> None:
        """No command reads two sides."""
        if self.comparison is not None:
            self._tell(ALONE.format(beside_name(self.comparison)))
        else:
            super().action_copy_command()
