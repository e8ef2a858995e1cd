"""The interface of the program for its screens: services, signals, and the way to other screens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from textual.dom import DOMNode
from textual.message_pump import MessagePump
from textual.notifications import SeverityLevel
from textual.screen import Screen

if TYPE_CHECKING:
    from lenstui.edits.edit import Patch
    from lenstui.edits.edit_list import EditList
    from lenstui.jobs.chosen_model import Chosen
    from lenstui.jobs.evaluation import EvaluationService
    from lenstui.jobs.export import ExportService
    from lenstui.jobs.export_things import Thing
    from lenstui.jobs.fit_service import FitService
    from lenstui.jobs.instant import InstantService
    from lenstui.jobs.lenses import LensService
    from lenstui.jobs.messages import OpenModel, Post
    from lenstui.jobs.model import ModelService
    from lenstui.jobs.prompts import PromptService
    from lenstui.jobs.published import PublishedService
    from lenstui.jobs.scan import ScanService
    from lenstui.jobs.scan_messages import Position
    from lenstui.jobs.sets import SetService
    from lenstui.jobs.sides import SideService
    from lenstui.jobs.trace import TraceService
    from lenstui.jobs.trace_messages import TraceAsked
    from lenstui.jobs.why import WhyService
    from lenstui.jobs.why_messages import CellAsked
    from lenstui.readout.pins import Pin
    from lenstui.readout.reading import Reading
    from lenstui.readout.scales import Scale
    from lenstui.readout.values import Value
    from lenstui.support.request import Start
    from lenstui.support.turns import Conversation
    from lenstui.tui.export.dialog import ExportDialog, Giver
    from lenstui.tui.session.fit_texts import FitTexts
    from lenstui.tui.session.history import History
    from lenstui.tui.signals import Signals


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a case, or its foil, to be pinned.

    Attributes:
        token: the id of its first token.
        text: the display text of that token.
        word: the target, if it is several tokens; else empty.
    """

    token: int
    text: str
    word: str = ""

    @classmethod
    def of(cls, pin: Pin, text: str) -> Target:
        """Return the target that a pin is of, whose token has a display text."""
        return cls(pin.id, text, "" if pin.whole else pin.word)


@dataclass(frozen=True, slots=True, eq=False)
class ShownPrompt:
    """The prompt on Explore's screen, for other screens that show it too.

    Attributes:
        rows: the labels of the rows, the first one first.
        columns: display texts of the input tokens.
        vocabulary: the number of logits of the open model.
        reading: the options by which the prompt is read.
        value: the value that colours the cells.
        scale: the scale of that value.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    vocabulary: int
    reading: Reading
    value: Value
    scale: Scale


class TraceHome(Protocol):
    """The part of Explore that a causal trace is asked for from, and goes back to."""

    def go_to(self, asked: TraceAsked, label: str, column: int) -> str:
        """Put the cursor on a row and a column of the clean prompt, and return why that cannot be.

        Args:
            asked: the trace.
            label: the label of the row, also that of a sublayer.
            column: the column of the clean prompt.
        """

    def put_patches(self, asked: TraceAsked, patches: Sequence[Patch]) -> str:
        """Have patches done on the side of the corrupted prompt, or take them back where they are.

        Args:
            asked: the trace.
            patches: the patches.

        Returns:
            What came of it, a sentence.
        """

    def remember(self, asked: TraceAsked) -> None:
        """Remember what was asked for last, so that it is proposed again."""


class Services(Protocol):
    """The interface of the program for its screens, which know each other through this alone."""

    signals: Signals
    history: History
    fit_texts: FitTexts
    lenses_by_kl: bool  # whether the list of lenses is ordered by their last evaluation, not by date

    # ── jobs ─────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def prompts(self) -> PromptService:
        """The service that reads the prompt, generates tokens, and looks up words and cells."""

    @property
    def models(self) -> ModelService:
        """The service that opens models."""

    @property
    def lenses(self) -> LensService:
        """The service that lists, opens and saves lenses."""

    @property
    def sides(self) -> SideService:
        """The service that changes what is on the sides."""

    @property
    def exports(self) -> ExportService:
        """The service that writes what is on screen."""

    @property
    def training(self) -> FitService:
        """The service of the fit that may be under way."""

    @property
    def instant(self) -> InstantService:
        """The service that makes an instant lens of the open model."""

    @property
    def sets(self) -> SetService:
        """The service that reads prompt sets."""

    @property
    def published(self) -> PublishedService:
        """The service that looks for lenses on the hub, and downloads them."""

    @property
    def why(self) -> WhyService:
        """The service that explains cells."""

    @property
    def traces(self) -> TraceService:
        """The service that makes causal traces."""

    @property
    def evaluations(self) -> EvaluationService:
        """The service that evaluates lenses on a text."""

    @property
    def scans(self) -> ScanService:
        """The service that scans texts, and searches their records."""

    def post_to(self, asker: MessagePump) -> Post:
        """Return a function that takes messages, on any thread, to a screen; to the app if that is gone."""

    # ── state ────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def start(self) -> Start:
        """The last request: which model, lens and prompt to open, and how."""

    @property
    def model(self) -> OpenModel | None:
        """The open model and its sides, as last announced to the app; None while no model is open."""

    @property
    def loading(self) -> str | None:
        """The stage that the loading of a model has reached; None while no model is being loaded."""

    @property
    def shown_prompt(self) -> ShownPrompt | None:
        """The prompt on Explore's screen; None while none is read."""

    @property
    def shown_reading(self) -> Reading:
        """The options by which the prompt on Explore's screen is read."""

    @property
    def training_columns(self) -> int:
        """The number of columns of the prompt that the training screen shows; 0 while it is not in front."""

    def first_reading(self, model: str) -> Reading:
        """Return the options by which a model that was just opened is read at first."""

    # ── words to the user ────────────────────────────────────────────────────────────────────────────────

    def tell(self, text: str, *, seconds: float = 4) -> None:
        """Notify the user why a key did nothing, or what it found, in place of earlier notifications."""

    def notify(
        self, text: str, *, title: str = "", severity: SeverityLevel = "information", seconds: float = 8
    ) -> None:
        """Notify the user in a corner of the screen, below earlier notifications."""

    def clear_notifications(self) -> None:
        """Remove all notifications from the screen."""

    def copy(self, text: str) -> None:
        """Put a text into the clipboard."""

    # ── other screens ────────────────────────────────────────────────────────────────────────────────────

    def ask(self, screen: Screen[Any], answered: Callable[[Any], None] | None = None) -> None:
        """Show a screen on top, and pass its result to `answered` when the user leaves the screen."""

    def show_menu(self, title: str, nodes: Sequence[DOMNode], why_not: Mapping[str, str]) -> None:
        """Show a menu of what can be done here, and do what the user chooses.

        Args:
            title: the name of the cell or the line of a list that it is about.
            nodes: the screens and widgets whose actions are in the menu.
            why_not: in the order of the menu, by binding id, why it cannot be done now; empty where it can.
        """

    def choose_model(self, chosen: Callable[[Chosen | None], None], *, beside: bool = False) -> None:
        """Ask the user for a model.

        Args:
            chosen: takes the chosen model, or None.
            beside: whether the model is to be put on a side, so that the open model stays open.
        """

    def choose_export(
        self,
        giver: Giver,
        files: Sequence[Thing],
        copies: Sequence[Thing],
        closed: Callable[[Any], None],
    ) -> ExportDialog:
        """Ask the user for a form to export and a file for it, and return the dialog that asks."""

    def open_why(
        self, asked: CellAsked, place: str, edits: EditList, put_edits: Callable[[EditList], None]
    ) -> None:
        """Show the screen that explains a cell.

        Args:
            asked: the cell, and the logit in it.
            place: the cell in words.
            edits: the edits of the side.
            put_edits: has other edits done on the side.
        """

    def open_trace(
        self, asked: TraceAsked, home: TraceHome, *, columns: Sequence[str], clean_is: str
    ) -> None:
        """Ask what to trace, and then show the screen of the trace.

        Args:
            asked: the trace that is proposed.
            home: the part of Explore that asks.
            columns: display texts of the clean prompt's tokens.
            clean_is: which prompt the clean one is, in a few words.
        """

    def ask_evaluation(self, wrong: str = "") -> None:
        """Ask for an evaluation, and then show it.

        Args:
            wrong: what was wrong with the last request, a sentence; empty for nothing.
        """

    def open_prompt_sets(self) -> None:
        """Show the screen of prompt sets."""

    def open_scan(self) -> None:
        """Show the screen of error analysis."""

    def read_scanned(self, position: Position) -> None:
        """Read a position of a scanned text in Explore, as the scan read it."""

    def read_case(self, prompt: str | Conversation, targets: Sequence[Target]) -> None:
        """Read the prompt of a case in Explore, with its target and its foil pinned, if it has them."""

    def put_prompt_beside(self, text: str) -> None:
        """Read a prompt on Explore's active side."""

    @property
    def active_side(self) -> int:
        """The place of Explore's active side."""
