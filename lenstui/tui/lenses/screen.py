"""The screen of the lenses: a list, the card of the highlighted one, and keys that use, open and save."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import DescendantFocus
from textual.timer import Timer
from textual.widgets import OptionList, Static

from lenstui.export.names import proposed_path
from lenstui.jobs.evaluation_messages import LensesEvaluated
from lenstui.jobs.export_messages import FileTaken, NotTaken, TextTaken
from lenstui.jobs.export_things import CURVE_COPIES, CURVE_FILES, Thing
from lenstui.jobs.messages import (
    LensesListed,
    LensNotMeasured,
    LensNotSaved,
    LensRefused,
    LensSaved,
    ListedLens,
    LoadFailed,
    LoadStage,
    OpenModel,
    TranslatorMeasured,
)
from lenstui.jobs.published_messages import LensArrived
from lenstui.lens.card import Match, TranslatorSize
from lenstui.lens.fit_history import curve_of
from lenstui.opening.side_count import MOST_SIDES
from lenstui.support.errors import LensError
from lenstui.support.paths import data
from lenstui.tui.grid.room import ROOM_FOR_MOST
from lenstui.tui.lenses.hub_list import HubList
from lenstui.tui.lenses.hub_table import HubTable
from lenstui.tui.lenses.saving import LensSaving, LensToSave, lens_to_save, made_or_home
from lenstui.tui.lenses.sheet import LensSheet, Sheet
from lenstui.tui.lenses.table import LensLine, LensLines, LensTable
from lenstui.tui.screen_export import ScreenExport
from lenstui.tui.services import Services
from lenstui.tui.shared.file_dialogs import OpenLens
from lenstui.tui.shared.fit_words import TAKEN
from lenstui.tui.shared.key_footer import KeyFooter
from lenstui.tui.shared.lean_screen import LeanScreen
from lenstui.tui.shared.nothing_yet import NO_LENSES
from lenstui.tui.shared.screen import AppScreen
from lenstui.tui.shared.shown import shown
from lenstui.tui.shared.status_bar import StatusBar

REST = 0.3  # seconds that a lens must be highlighted before its translators are read
NONE_FITS = "None of these fits the open model: t in Explore trains one, b opens one from any folder."


class Lenses(LeanScreen[None], AppScreen[None]):
    """The lenses of the data folder, the bundled one and the one in use, with the card of one of them."""

    CSS_PATH = Path(__file__).with_suffix(".tcss")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (160, "-wide")]  # noqa: RUF012  as Textual declares them
    AUTO_FOCUS = "LensTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "app.show_keys", "Help", key_display="?", id="lenses.help"),
        Binding("space", "menu", "Menu", tooltip="What can be done with this lens", id="lenses.menu"),
        Binding("enter", "use", "Use", tooltip="Read the open model through this lens", id="lenses.use"),
        Binding(
            "c", "compare", "Compare", id="lenses.compare",
            tooltip="Put this lens beside the one in use",
        ),
        Binding(
            "h", "hub", "On the hub", id="lenses.hub",
            tooltip="Ask the hub for lenses for this model, to download one",
        ),
        Binding(
            "K", "sort", "Sort", show=False, id="lenses.sort",
            tooltip="The least KL of the last evaluation first, or the newest",
        ),
        Binding(
            "E", "app.evaluate", "Evaluate", show=False, id="lenses.evaluate",
            tooltip="Evaluate the open lenses on a text",
        ),
        Binding(
            "x", "export", "Export", show=False, id="lenses.export",
            tooltip="The curve of this lens's fit as a figure or numbers",
        ),
        Binding("b", "browse", "Browse…", tooltip="Open a lens file from any folder", id="lenses.browse"),
        Binding("s", "save", "Save as…", tooltip="Save the lens in use as a file", id="lenses.save"),
        Binding(
            "S", "save_folder", "Save folder…", show=False, id="lenses.save_folder",
            tooltip="Save the lens in use for the tuned-lens library",
        ),
        Binding(
            "tab", "other_part", "Next part", show=False, id="lenses.other",
            tooltip="From the list to that of the hub, to the card, which scrolls, and back",
        ),
        Binding(
            "colon", "app.command_palette", "Commands", key_display=":", show=False,
            tooltip="Command palette: every action by name", id="lenses.commands",
        ),
        Binding(
            "escape", "stop_or_dismiss", "Stop", show=False, id="lenses.stop",
            tooltip="Stop the download of a lens, which can go on later; go back where there is none",
        ),
        Binding("q", "dismiss", "Back", key_display="esc q", id="lenses.back"),
    ]  # fmt: skip

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        self._saving = LensSaving(services, self, self._say_saving)
        self._export = ScreenExport(services, CURVE_FILES, CURVE_COPIES)
        self._sizes: dict[Path, dict[int, TranslatorSize]] = {}
        self._trouble: dict[Path, str] = {}
        self._listed: tuple[ListedLens, ...] = ()  # the newest first
        self._rest: Timer | None = None
        self._is_on_hub = False  # the list of the hub is in front, whether or not the card has the focus

    # ── layout ───────────────────────────────────────────────────────────────────────────────────────────

    def compose(self) -> ComposeResult:
        """Yield the list and the card, beside each other where there is room."""
        yield StatusBar()
        with Horizontal(id="parts"):
            with Vertical(id="lists"):
                with Vertical(id="list") as part:
                    part.border_title = "lenses · KL held out, nats"
                    yield Static(LensLine(by_kl=self._services.lenses_by_kl), id="headings")
                    yield LensTable()
                    yield Static(id="hint")
                yield HubList(self._services, self, self._open)
            with Vertical(id="card") as part:
                part.border_title, part.border_subtitle = "card", "tab scrolls"
                yield LensSheet()
        yield KeyFooter()

    def on_mount(self) -> None:
        """List the lens files, and subscribe to the signals of what changes."""
        signals = self._services.signals
        signals.loading.subscribe(self, self.show_loading)
        signals.model_opened.subscribe(self, self.show_model)
        signals.lens_opened.subscribe(self, self.return_to_explore)
        signals.sides_changed.subscribe(self, self.return_to_explore)
        signals.lenses_evaluated.subscribe(self, self.list_anew)
        status = self.query_one(StatusBar)
        status.model, status.stage = self._model, self._services.loading
        self._list()

    @property
    def _model(self) -> OpenModel | None:
        return self._services.model

    def on_unmount(self) -> None:
        """Stop measuring translators when the screen is closed."""
        self._services.lenses.stop_measuring()

    def _list(self) -> None:
        self._services.lenses.stop_measuring()
        self._hint("reading …")
        self._services.lenses.list(self._services.post_to(self))

    def list_anew(self, message: LensesEvaluated) -> None:
        """List the lenses anew, since some have another last evaluation."""
        self._list()

    def _hint(self, text: str) -> None:
        self.query_one("#hint", Static).update(shown(text))
        self.query_one("#hint").display = bool(text)

    # ── the list and the card ────────────────────────────────────────────────────────────────────────────

    def on_lenses_listed(self, message: LensesListed) -> None:
        """Show the lenses, and a hint that concerns all of them."""
        self._sizes.clear()
        self._trouble.clear()
        self._listed = message.lenses
        self.query_one(LensTable).show(message.lenses, by_kl=self._services.lenses_by_kl)
        hints = []
        if not message.lenses:
            hints.append(NO_LENSES)
        elif self._model is not None and all(lens.match is Match.NO for lens in message.lenses):
            hints.append(NONE_FITS)
        if message.left_out:
            hints.append(f"Not listed, for lenstui cannot read them: {', '.join(message.left_out)}.")
        self._hint("\n".join(hints))
        if not message.lenses and not self._is_on_hub:
            self.query_one(LensSheet).sheet = None

    @on(DescendantFocus)
    def go_to_list(self, event: DescendantFocus) -> None:
        """Show the card of the lens that is highlighted in the list that has the focus now."""
        if isinstance(event.widget, LensLines):
            self._is_on_hub = isinstance(event.widget, HubTable)
            self.follow()

    @on(OptionList.OptionHighlighted)
    def follow(self) -> None:
        """Show the card of the highlighted lens; its translators are measured when the highlight rests."""
        if self._rest is not None:
            self._rest.stop()
        self._services.lenses.stop_measuring()
        self._rest = self.set_timer(REST, self._measure)
        self._show_card()

    def _measure(self) -> None:
        lens = None if self._is_on_hub else self._chosen
        if lens is None or len(self._sizes.get(lens.card.path, ())) == len(lens.card.own_rows):
            return
        self._services.lenses.measure(lens.card.path, self._services.post_to(self))

    def on_translator_measured(self, message: TranslatorMeasured) -> None:
        """Show the size of another translator on its card."""
        self._sizes.setdefault(message.path, {})[message.size.row] = message.size
        self._show_card()

    def on_lens_not_measured(self, message: LensNotMeasured) -> None:
        """Show on the card why the translators of a lens could not be measured."""
        self._trouble[message.path] = message.text
        self._show_card()

    @property
    def _chosen(self) -> ListedLens | None:
        return self.query_one(LensTable).chosen

    def _show_card(self) -> None:
        if self._is_on_hub and (of_hub := self._hub.sheet) is not None:
            self.query_one(LensSheet).sheet = of_hub
            self.query_one("#card").border_title = shown(f"card: {of_hub.lens.path.rpartition('/')[2]}")
            return
        lens = self._chosen
        if lens is None:
            return
        path = lens.card.path
        sheet = Sheet(lens, dict(self._sizes.get(path, {})), self._trouble.get(path))
        self.query_one(LensSheet).sheet = sheet
        self.query_one("#card").border_title = shown(f"card: {lens.card.name}")

    @property
    def _hub(self) -> HubList:
        return self.query_one(HubList)

    def action_other_part(self) -> None:
        """Move the focus from the list to that of the hub, where that is shown, to the card, and back."""
        parts = [self.query_one(LensTable), *([self._hub.table] if self._hub.display else [])]
        everything = [*parts, self.query_one(LensSheet)]
        here = everything.index(self.focused) if self.focused in everything else -1
        everything[(here + 1) % len(everything)].focus()

    def action_sort(self) -> None:
        """Order the lenses by the KL of their last evaluation, or by date; that is remembered."""
        by_kl = self._services.lenses_by_kl = not self._services.lenses_by_kl
        table = self.query_one(LensTable)
        table.show(self._listed, by_kl=by_kl)
        self.query_one("#headings", Static).update(LensLine(by_kl=by_kl))
        how = "the least KL of the last evaluation first" if by_kl else "the newest first"
        self._tell(f"Of the lenses that fit alike, {how}.")

    # ── opening ──────────────────────────────────────────────────────────────────────────────────────────

    def action_menu(self) -> None:
        """Show what can be done with the highlighted lens."""
        on_hub = self._hub.why_not_use() if self._is_on_hub else None
        why_not = {
            "lenses.use": (self._why_no_lens() if on_hub is None else on_hub) or self._why_not_open(),
            "lenses.compare": self._why_not_compare(),
            "lenses.hub": self._why_no_model(),
            "lenses.stop": "" if self._hub.is_downloading else "No lens is being downloaded.",
            "lenses.evaluate": self._why_no_model(),
            "lenses.sort": self._why_no_lens(),
            "lenses.export": self._why_no_curve(),
            "lenses.browse": self._why_not_open(),
            "lenses.save": self._why_not_save(),
            "lenses.save_folder": self._why_not_save_folder(),
            "lenses.other": self._why_no_lens(),
        }
        title = "lenses" if self._chosen is None else f"lens {self._chosen.card.name}"
        if self._is_on_hub and (lens := self._hub.chosen) is not None:
            title = f"lens {lens.name}"
        self._services.show_menu(title, [self], why_not)

    def _why_no_lens(self) -> str:
        """Return that no lens is highlighted; nothing where one is."""
        return NO_LENSES if self._chosen is None else ""

    def _why_no_model(self) -> str:
        """Return that no model is open; nothing where one is."""
        return "No model is open yet: a lens needs one." if self._model is None else ""

    def _why_not_open(self) -> str:
        """Return why no lens can be put to use; nothing where one can."""
        return self._why_no_model() or (TAKEN if self._services.training.is_busy else "")

    def _why_not_compare(self) -> str:
        """Return why the highlighted lens cannot be put beside the one in use; nothing where it can."""
        if self._is_on_hub:
            return "A lens on the hub has to be downloaded first: Enter does that."
        return self._why_no_lens() or self._why_no_model()

    def action_hub(self) -> None:
        """Ask the hub for lenses for the open model."""
        if reason := self._why_no_model():
            self._tell(reason)
        else:
            self._hub.ask()

    def action_stop_or_dismiss(self) -> None:
        """Stop the download of a lens; go back where there is none."""
        if self._hub.is_downloading:
            self._hub.stop()
        else:
            self.dismiss()

    def on_lens_arrived(self, message: LensArrived) -> None:
        """Open the lens that was downloaded, if this screen is in front; list it in any case."""
        self._list()
        if self.is_current:
            self._open(message.path)
        else:
            self._services.notify(message.lens.name, title="Downloaded")

    @on(OptionList.OptionSelected)
    def action_use(self) -> None:
        """Read the open model through the highlighted lens, downloaded first where it is not here."""
        if self._is_on_hub:
            if reason := self._hub.why_not_use():
                self._tell(reason)
            else:
                self._hub.use()
        elif self._chosen is None:
            self._tell(NO_LENSES)
        else:
            self._open(self._chosen.card.path)

    def action_compare(self) -> None:
        """Read the open model through the lens in use, and beside it through the highlighted one."""
        if (reason := self._why_not_compare()) or self._chosen is None:
            self._tell(reason or NO_LENSES)
            return
        self.query_one(StatusBar).stage = f"opening {self._chosen.card.path.name}"
        post = self._services.post_to(self)
        self._services.sides.compare(self._services.active_side, self._chosen.card.path, post)

    def action_browse(self) -> None:
        """Ask for a lens file from any folder, and open it."""
        if reason := self._why_not_open():
            self._tell(reason)
            return
        self._services.ask(OpenLens(made_or_home(data())), self._open)

    def _open(self, path: Path | None) -> None:
        if path is None:
            return
        if reason := self._why_not_open():
            self._refuse(reason)
            return
        self.query_one(StatusBar).stage = f"opening {path.name}"
        has_room = self._model is not None and len(self._model.sides) < MOST_SIDES
        has_room = has_room and self.size.width >= ROOM_FOR_MOST
        place = None if has_room else self._services.active_side
        self._services.lenses.open(path, self._services.post_to(self), place)

    def return_to_explore(self, model: OpenModel) -> None:
        """Return to Explore, which shows another lens."""
        if self.is_current:
            self.dismiss()

    def on_lens_refused(self, message: LensRefused) -> None:
        """Notify the user why a lens was not opened; another can be chosen."""
        self._refuse(message.text)

    def _refuse(self, text: str) -> None:
        self.query_one(StatusBar).stage = None
        self.notify(text, title="Not opened", severity="error", timeout=15, markup=False)

    # ── saving ───────────────────────────────────────────────────────────────────────────────────────────

    def action_save(self) -> None:
        """Save the lens of the active side, or one in use, as a file of lenstui's own."""
        if (found := self._to_save) is None:
            self._tell(self._why_not_save())
        else:
            self._saving.ask_for_file(found.name, found.kind, found.place)

    def action_save_folder(self) -> None:
        """Save the tuned lens of the active side, or that in use, as a folder of the tuned-lens library."""
        found, reason = self._to_save, self._why_not_save_folder()
        if found is None or reason:
            self._tell(reason)
        else:
            self._saving.ask_for_folder(found.name, found.place)

    @property
    def _to_save(self) -> LensToSave | None:
        """The lens to save; None where there is none."""
        return None if self._model is None else lens_to_save(self._model, self._services.active_side)

    def _why_not_save(self) -> str:
        """Return why there is no lens to save; nothing where there is one."""
        if self._model is None:
            return "No model is open yet, and so no lens is in use."
        return "No lens is in use: choose one with Enter first." if self._to_save is None else ""

    def _why_not_save_folder(self) -> str:
        """Return why there is no lens to save to a folder; nothing where there is one."""
        found = self._to_save
        return self._why_not_save() if found is None else found.why_no_folder

    def _say_saving(self, path: Path) -> None:
        self.query_one(StatusBar).stage = f"saving {path.name}"

    def on_lens_saved(self, message: LensSaved) -> None:
        """Notify the user that the lens was saved, and list the lenses anew: it may be one of these."""
        self.query_one(StatusBar).stage = None
        remark = "" if message.remark is None else f"\n{message.remark}."
        self.notify(f"{message.path}{remark}", title="Saved", timeout=8, markup=False)
        self._list()

    def on_lens_not_saved(self, message: LensNotSaved) -> None:
        """Notify the user why the lens was not saved; another place can be chosen."""
        self.query_one(StatusBar).stage = None
        self.notify(message.text, title="Not saved", severity="error", timeout=15, markup=False)

    # ── the curve of a fit ───────────────────────────────────────────────────────────────────────────────

    def action_export(self) -> None:
        """Open the dialog that asks in which form to export the curve of the highlighted lens's fit."""
        if (reason := self._why_no_curve()) or self._chosen is None:
            self._tell(reason)
            return
        card, lenses, post = self._chosen.card, self._services.lenses, self._services.post_to(self)

        def write(number: int, thing: Thing, path: Path | None) -> None:
            lenses.take_curve(number, card, thing, path, post)

        self._export.ask(lambda thing: proposed_path(f"curve {card.name}", "", thing.ending), write)

    def _why_no_curve(self) -> str:
        """Return why the highlighted lens has no curve of its fit; nothing where it has one."""
        if self._is_on_hub:
            return "A lens on the hub has to be downloaded first: Enter does that."
        if self._chosen is None:
            return NO_LENSES
        try:
            curve_of(self._chosen.card.fit, self._chosen.card.name)
        except LensError as error:
            return str(error)
        return ""

    def on_file_taken(self, message: FileTaken) -> None:
        """Notify the user which file was written."""
        self._export.say_written(message)

    def on_text_taken(self, message: TextTaken) -> None:
        """Put the text of an export into the clipboard."""
        self._export.copy(message)

    def on_not_taken(self, message: NotTaken) -> None:
        """Show why nothing was exported."""
        self._export.say_failed(message)

    # ── the model ────────────────────────────────────────────────────────────────────────────────────────

    def show_loading(self, message: LoadStage | LoadFailed) -> None:
        """Show in the status bar how far the loading of a model is.

        Where loading failed, the open model stays, and Explore says why.
        """
        self.query_one(StatusBar).stage = message.text if isinstance(message, LoadStage) else None

    def show_model(self, model: OpenModel) -> None:
        """Show another open model, and list the lenses anew, since others fit it."""
        status = self.query_one(StatusBar)
        status.model, status.stage = model, None
        self._list()
        self._hub.show(self._services.published.status)
