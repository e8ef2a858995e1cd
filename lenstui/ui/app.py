"""The app: owns the model thread, hands its messages to the screen, and knows every key."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from textual import on
from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.dom import DOMNode
from textual.message import Message
from textual.screen import Screen
from textual.theme import Theme

from lenstui import paths
from lenstui.lens.reading import Reading
from lenstui.settings import Settings, trouble
from lenstui.start import Start
from lenstui.ui import keymap
from lenstui.ui.beside_work import BesideWork
from lenstui.ui.ending import Ended, Ending
from lenstui.ui.fit_messages import FitChanged
from lenstui.ui.history import History
from lenstui.ui.lean_screen import LeanScreen
from lenstui.ui.lens_files import LensFiles
from lenstui.ui.messages import LensRefused, LoadFailed, LoadStage
from lenstui.ui.model_messages import RevisionsListed
from lenstui.ui.model_thread import ModelThread, Work
from lenstui.ui.model_work import Generation, ModelWork, ReadRequest
from lenstui.ui.screens.cell import CELL_TOKENS
from lenstui.ui.screens.explore import TOP_K, Explore
from lenstui.ui.screens.keys import Key, Keys, bindings_of
from lenstui.ui.screens.quit_training import QuitTraining
from lenstui.ui.session import Look, Session, depth_of, first_reading
from lenstui.ui.set_work import SetWork
from lenstui.ui.takeaway import Takeaway
from lenstui.ui.themes import THEMES
from lenstui.ui.training import Training
from lenstui.ui.widgets.prompt_box import PromptBox

if TYPE_CHECKING:
    from lenstui.ui.screens.lenses import Lenses
    from lenstui.ui.screens.model_picker import Chosen
    from lenstui.ui.screens.train import Train

TAKEN = "A lens is in training for this model: end that first (t, then s or x)."
FIRST_PROMPT = "The trees are green and the sky is"

# What the screen's words and signs mean, for the list of keys.
WORDS = (
    ("row k", "what block k hands on; emb: the embedding"),
    ("last row", "the model's own output, for every lens"),
    ("k.attn k.mlp", "the logits that each of block k adds (s)"),
    ("k.mid", "the stream between block k's two (s)"),
    ("probability", "of the cell's likeliest token"),
    ("entropy", "of the cell's distribution, nats"),
    ("KL from final", "KL(final ‖ lens), nats"),
    ("rank", "tokens likelier than the final top-1; 0: none"),
    ("left, right", "KL, ranks: of each against its own final"),
    ("≠", "of the difference: the lenses' tokens differ"),
    ("wiring ok", "head(final norm(h)) is the model's output"),
    ("settles at", "the crystallization row: its top-1 stays final"),
    ("·  ⏎  ⇥", "a space, a newline, a tab in a token"),
    ("\\x1b  \\u200b", "a byte or character that cannot be shown"),
)


class LenstuiApp(App[None]):
    """The full-screen program."""

    TITLE = "lenstui"
    CSS_PATH = Path(__file__).parent / "screens" / "explore.tcss"
    CSS = """
    * {
        scrollbar-color: $border-blurred;
        scrollbar-color-hover: $border;
        scrollbar-color-active: $border;
        scrollbar-background: $surface;
        scrollbar-background-hover: $surface;
        scrollbar-background-active: $surface;
        scrollbar-corner-color: $surface;
    }
    """
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar = [Binding("ctrl+q", "quit", "Quit", show=False, priority=True, id="app.quit_always")]

    def __init__(
        self,
        start: Start,
        settings: Settings | None = None,
        history: History | None = None,
        session: Session | None = None,
        look: Look | None = None,
    ) -> None:
        super().__init__()
        self._history = history or History()
        self._session = session or Session()
        self._look = look
        self._restores = look is not None  # else the first model is looked at afresh
        self._readings: dict[str, Reading] = {}  # of the models that were open before
        self.settings = settings or Settings()
        self.set_keymap({name: ",".join(keys) for name, keys in self.settings.keys.items()})
        self.show_theme(self.settings.theme)
        self._start = start
        self._work = ModelWork(self._hand_on)
        self._thread = ModelThread(self._report)
        self._files = LensFiles(self._hand_on, lambda: self._work.opened)
        self._file_thread = ModelThread(self._report)  # files are looked at while the model works
        self.training = Training(self._hand_on, self._thread, self._work)
        self.takeaway = Takeaway(self._hand_on, self._work, self._thread, self._file_thread)
        self.sets = SetWork(lambda: self._work.opened, self._thread, self._file_thread)
        self.beside = BesideWork(self._hand_on, self._thread, self._work, self._session.recent)
        self.last_words: str | None = None
        self._lenses: Lenses | None = None  # while it is open
        self._train: Train | None = None  # once it was open
        self._quit_training: QuitTraining | None = None  # while it is asked
        prompt = FIRST_PROMPT if start.prompt is None else start.prompt
        self.explore = Explore(prompt, depth=start.top_k, history=self._history)

    @property
    def start(self) -> Start:
        """What was asked for last."""
        return self._start

    def show_theme(self, name: str | None) -> None:
        """Begin with a theme, which is no choice to be kept."""
        self.theme = self._first_theme = name or next(iter(THEMES))

    @property
    def available_themes(self) -> dict[str, Theme]:
        """Ours alone: the colours of the grids are made for these."""
        return THEMES if hasattr(self, "settings") else super().available_themes

    def get_default_screen(self) -> Screen[None]:
        """Explore."""
        return self.explore

    def on_ready(self) -> None:
        """The first paint is out: now torch may be imported."""
        self._check_settings()
        self.load(self._start)

    def _check_settings(self) -> None:
        """Say what of the user's settings cannot be followed."""
        self.explore.remark(*filter(None, (self._session.trouble, self._history.trouble)))
        if self._look is not None:
            self._look.put_back(self.explore)
        reason = self.settings.trouble
        try:
            if self.settings.keys:
                keymap.check(self.settings.keys, LenstuiApp)
        except ValueError as error:
            reason = trouble(str(error), "default keys")
            self.settings = replace(self.settings, keys={})
            self.set_keymap({})
        if reason is not None:
            self.explore.remark(reason)

    @on(PromptBox.Submitted)
    def keep_prompt(self, message: PromptBox.Submitted) -> None:
        """For Up in the prompt, now and at the next start."""
        before = self._history.trouble
        self._history.add(message.text)
        if self._history.trouble != before:
            self.explore.remark(str(self._history.trouble))

    # ── model work ───────────────────────────────────────────────────────────────────────────────────────

    def load(self, start: Start) -> None:
        """Open a model on the model thread."""
        self._thread.submit("load", lambda stop: self._work.load(start, stop))

    def request_read(self, serial: int, text: str, page_columns: int) -> None:
        """Read a prompt on the model thread; one that is being read stops."""
        request = self._read_request(serial, text, page_columns)
        self._thread.submit("read", lambda stop: self._work.read(request, stop))

    def request_growth(self, serial: int, text: str, known: int, how: Generation | None = None) -> None:
        """Read a prompt whose first columns are known, or say more; whatever is being read stops."""
        request = self._read_request(serial, text, 1)
        if how is None:
            self._thread.submit("read", lambda stop: self._work.grow(request, known))
        else:
            self._thread.submit("read", lambda stop: self._work.generate(request, known, how, stop))

    def stop_reading(self) -> None:
        """Whatever is being read or said stops."""
        self._thread.submit("read", lambda stop: None)

    def _read_request(self, serial: int, text: str, page_columns: int) -> ReadRequest:
        pins = tuple(pin.id for pin in self.explore.panel.pins)
        top_k = max(self._start.top_k, TOP_K)
        explore = self.explore
        return ReadRequest(serial, text, page_columns, top_k, explore.reading, pins, explore.tail)

    def first_reading(self, model: str) -> Reading:
        """How a model that was just opened is read: as it was while the program runs, or as it starts."""
        if model in self._readings:
            return self._readings[model]
        return first_reading(self._start, self._session.reading_of(model) if self._restores else Reading())

    def request_pins(self, word: str, text: str) -> None:
        """Look up the tokens of a word on the model thread."""
        self._thread.submit("pins", lambda stop: self._work.find_pins(word, text, stop))

    def request_word(self, word: str, text: str) -> None:
        """Look up the tokens of a word that is looked for, on the model thread."""
        self._thread.submit("word", lambda stop: self._work.find_word(word, text, stop))

    def request_cell(self, serial: int, row: int, column: int) -> None:
        """Rank the tokens of one cell on the model thread; those of the one before are given up."""
        self._thread.submit("cell", lambda stop: self._work.read_cell(serial, row, column, CELL_TOKENS))

    def request_lens(self, path: Path) -> None:
        """Open a lens for the open model on the model thread."""
        if self.training.is_busy:
            self._hand_on(LensRefused(TAKEN))
            return
        self._thread.submit("lens", lambda stop: self._work.open_lens(path, stop))

    def request_save(self, path: Path, as_folder: bool) -> None:
        """Write the lens in use on the model thread."""
        self._thread.submit(f"save {path}", lambda stop: self._work.save_lens(path, as_folder))

    def request_tuned(self, serial: int, seen: range) -> None:
        """Read the columns on screen anew, through the lens in training."""
        if self._train is not None and self._train.is_current:
            seen = range(max(0, seen.stop - max(len(seen), self._train.page_columns)), seen.stop)
        self._thread.submit("tuned", lambda stop: self._work.read_tuned(serial, seen, stop))

    def request_lens_list(self) -> None:
        """Look at the lens files there are."""
        self._file_thread.submit("list", self._files.list_lenses)

    def request_translators(self, path: Path | None) -> None:
        """Measure the translators of a lens, or of none; those of the one before are given up."""
        self._file_thread.submit(
            "measure", lambda stop: None if path is None else self._files.measure(path, stop), priority=1
        )

    def _hand_on(self, message: Message) -> None:
        """Called on the model thread: give a message to Explore, which may be below other screens."""
        if self.is_running:
            if isinstance(message, FitChanged):
                self.post_message(message)  # before a screen asks what may be done
            prompts = self.explore.prompts
            for screen in (self.explore, self._lenses, self._train, prompts, self._quit_training):
                if screen is not None:
                    screen.post_message(message)

    def _report(self, error: BaseException) -> None:
        """Called on the model thread when a job failed in a way that nobody foresaw."""
        self._hand_on(LoadFailed(f"Unexpected: {type(error).__name__}: {error}"))

    def on_fit_changed(self, message: FitChanged) -> None:
        """What may be done depends on it."""
        self.training.status = message.status

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────

    async def action_quit(self) -> None:
        """End the program; what becomes of a fit under way is asked first."""

        def closed(_: None) -> None:
            self._quit_training = None

        if not self.training.is_under_way:
            self.exit()
        elif self._quit_training is None:
            self._quit_training = QuitTraining()
            self.push_screen(self._quit_training, closed)

    def leave(self, last_words: str) -> None:
        """End the program, and say something on the terminal that is left."""
        self.last_words = last_words
        self.exit()

    def on_ended(self, message: Ended) -> None:
        """A signal came, and what had to be saved is."""
        self.exit()

    def exit(self, *args: Any, **options: Any) -> None:
        """Leave, and keep for the next time how things were looked at."""
        self._keep_session()
        super().exit(*args, **options)

    def _keep_session(self) -> None:
        if self.explore.is_mounted:
            start = self._start
            named = start.revision is None and not start.trust_remote_code
            self._session.keep(self.explore, named=named)
        if self.theme != self._first_theme:
            self._session.keep_theme(self.theme, self.settings)
        if trouble := self._session.save():
            self.last_words = self.last_words or f"lenstui: {trouble}"

    # ── actions ──────────────────────────────────────────────────────────────────────────────────────────

    def action_show_keys(self) -> None:
        """List all keys."""
        self.push_screen(Keys(self._keys()))

    def action_open_model(self) -> None:
        """Ask for a model and open it."""
        if self.training.is_busy:
            self._tell(TAKEN)
            return
        from lenstui.ui.screens.model_picker import ModelPicker  # the first paint can do without

        recent, start = self._session.recent(), self._start
        self.push_screen(
            ModelPicker(self.explore.model, recent, start.device, start.dtype), self._open_chosen
        )

    def _open_chosen(self, chosen: Chosen | None) -> None:
        if chosen is not None:
            self._keep_session()
            self._open(chosen.name, chosen.revision)

    def _open(self, name: str, revision: str | None) -> None:
        """Open another model, the bundled one where there is no name; all else stays as it was asked for.

        But for the trust in a model's own code: that was in the one on the command line.
        """
        if self.explore.model is not None:
            self._readings[self.explore.model.name] = self.explore.reading
        self._restores = True
        self._start = replace(
            self._start,
            model=name or None,
            demo=not name,
            revision=revision,
            lens=None,
            again=None,
            trust_remote_code=False,
        )
        self.explore.post_message(LoadStage("looking for the model"))
        self.load(self._start)

    def action_step_revision(self, step: int) -> None:
        """Open the next revision of the model that is on this machine, or the one before."""
        from lenstui.lens.hub import BUNDLED_MODEL  # the first paint can do without
        from lenstui.ui import model_list

        model = self.explore.model
        if self.training.is_busy:
            self._tell(TAKEN)
        elif model is None or model.name == BUNDLED_MODEL or Path(model.name).exists():
            self._tell("Revisions are of models on the hub: m opens one.")
        else:
            name = model.name
            self.look_at_files(
                "revisions", lambda stop: model_list.list_revisions(self.post_message, name, step)
            )

    def on_revisions_listed(self, message: RevisionsListed) -> None:
        """Go to the neighbour of the one that is open."""
        model, revisions = self.explore.model, message.revisions
        if model is None or model.name != message.name:
            return
        here = model.revision or "main"
        place = revisions.index(here) + message.step if here in revisions else -1
        if 0 <= place < len(revisions):
            self.explore.first_cursor = self.explore.panes.cursor
            self._open(model.name, revisions[place])
        elif len(revisions) < 2:
            self._tell(f"No other revision of {model.name} is on this machine.")
        else:
            self._tell(
                f"{here} is the {'last' if message.step > 0 else 'first'} of {len(revisions)} revisions."
            )

    def stop_loading(self) -> None:
        """Give up a download."""
        self._thread.submit("load", lambda stop: None)
        self._hand_on(LoadFailed("The download was stopped: what came whole is kept."))

    def look_at_files(self, kind: str, work: Work) -> None:
        """Do a job on files, while the model works; an older one of its kind stops."""
        self._file_thread.submit(kind, work)

    def action_show_lenses(self) -> None:
        """List the lenses."""

        def closed(_: None) -> None:
            self._lenses = None

        from lenstui.ui.screens.lenses import Lenses

        self._lenses = Lenses(self.explore.model)
        self.push_screen(self._lenses, closed)

    def action_train(self) -> None:
        """Fit a lens, or see how the fit is doing."""
        from lenstui.ui.screens.train import Train  # it brings the plot, which the first paint can do without

        if self._train is None:
            self._train = Train(self.explore.model)
            self.install_screen(self._train, "train")
        self.push_screen("train")

    def _tell(self, text: str) -> None:
        """Why a key did nothing; only the last such message stays."""
        self.clear_notifications()
        self.notify(text, timeout=6, markup=False)

    def _keys(self) -> list[Key]:
        """Every binding of the screens and what is in them, one line each."""
        keys: dict[str, Key] = {}
        for place in keymap.places():
            for binding in bindings_of(place.owner):
                if not place.name or not binding.action.startswith("app."):
                    keys[binding.id or binding.key] = Key(
                        place.name, self._shown(binding), binding.tooltip or binding.description
                    )
        return [*keys.values(), *(Key("word", word, meaning) for word, meaning in WORDS)]

    def _shown(self, binding: Binding) -> str:
        """The keys of a binding, as the user knows them."""
        shown = map(self.get_key_display, keymap.shown_keys(binding, self.settings.keys))
        return " ".join(dict.fromkeys(shown))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Every action of the screen by name."""
        owner: Screen[Any] = screen if isinstance(screen, LeanScreen) else self.explore
        parts: list[DOMNode] = [owner]
        if self._train is not None and owner is self._train:
            parts.insert(0, self._train.part)
        for binding in (binding for part in parts for binding in bindings_of(type(part))):
            yield SystemCommand(
                binding.description,
                f"{binding.tooltip or binding.description} ({self._shown(binding)})",
                lambda action=binding.action: self._run_on(owner, action),
            )
        yield SystemCommand("Theme", "Change the colours", self.action_change_theme)

    async def _run_on(self, screen: Screen[Any], action: str) -> None:
        await self.run_action(action, default_namespace=screen)


def run(
    start: Start, settings: Settings, *, theme: str | None, depth: int | None, restores: bool
) -> NoReturn:
    """Run the program until the user quits, and leave the process.

    Args:
        start: what was asked for.
        settings: the user's.
        theme: the one that was asked for.
        depth: how many tokens of a cell were asked for.
        restores: go on where the last session ended.
    """
    session = Session(paths.session(), restores=restores)
    start, look = session.resume(start)
    start = replace(start, top_k=depth or depth_of(look) or start.top_k)
    app = LenstuiApp(start, settings, History(paths.history()), session, look)
    app.show_theme(theme or session.theme(settings))
    Ending(app).run()
