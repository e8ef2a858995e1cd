"""The app: its keys, the messages of the jobs, its themes, and its end. `Program` does what keys ask for."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from textual import events, on
from textual.app import SystemCommand
from textual.await_complete import AwaitComplete
from textual.binding import Binding
from textual.filter import LineFilter
from textual.notifications import SeverityLevel
from textual.reactive import Reactive
from textual.screen import Screen
from textual.theme import Theme, ThemeProvider

from lenstui.support import paths
from lenstui.support.memory import keep_together
from lenstui.support.printable import printable
from lenstui.support.settings import Settings, trouble
from lenstui.tui import keymap
from lenstui.tui.ending import Ended, Ending
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.keeper import Keeper
from lenstui.tui.model_switch import ModelSwitch
from lenstui.tui.program import Answer, Program, late
from lenstui.tui.session.history import History
from lenstui.tui.session.session import Look, Session, depth_of
from lenstui.tui.shared.lean_screen import LeanScreen
from lenstui.tui.shared.shown import Unprintable
from lenstui.tui.shared.textual_hacks import forget_lines, forget_watchers
from lenstui.tui.shared.themes import THEMES
from lenstui.tui.shared.type_ahead import TypeAheadApp
from lenstui.tui.shared.window_size import sensible_resize

if TYPE_CHECKING:
    from lenstui.jobs.evaluation_messages import LensesEvaluated
    from lenstui.jobs.export_messages import ViewKept
    from lenstui.jobs.fit_messages import FitChanged
    from lenstui.jobs.fit_service import FitService
    from lenstui.jobs.instant_messages import InstantChanged
    from lenstui.jobs.messages import (
        LensNotSaved,
        LensOpened,
        LensRefused,
        LensSaved,
        LoadFailed,
        LoadStage,
        ModelLoaded,
        SidesChanged,
        SidesTold,
    )
    from lenstui.jobs.model_messages import RevisionsListed
    from lenstui.jobs.published_messages import LensArrived, LensNotDownloaded, PublishedChanged
    from lenstui.support.request import Start
    from lenstui.tui.explore.screen import Explore
    from lenstui.tui.help.commands import Command

FIRST_PROMPT = "The trees are green and the sky is"

# A full collection takes as long as a frame, and painting makes many objects but no cycles: let it be rare.
COLLECT = (5000, 20, 50)


class LenstuiApp(TypeAheadApp):
    """The Textual app: the full-screen program of lenstui."""

    TITLE = "lenstui"
    CSS_PATH = Path(__file__).parent / "explore" / "screen.tcss"
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
    /* Where there is no room for a character, Textual fails to fold the words of these. */
    OptionList, TextArea { min-width: 8; }
    """
    ENABLE_COMMAND_PALETTE = True
    theme = Reactive(next(iter(THEMES)))  # one that is set later has all styles made anew
    BINDINGS: ClassVar = [
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True, id="app.quit_always"),
        Binding(
            "ctrl+z", "suspend_process", "To the shell", show=False, id="app.suspend",
            tooltip="Stop, and give the terminal to the shell; fg comes back",
        ),
    ]  # fmt: skip

    def __init__(
        self,
        start: Start,
        settings: Settings | None = None,
        history: History | None = None,
        session: Session | None = None,
        look: Look | None = None,
        *,
        depth: int | None = None,
    ) -> None:
        """Prepare the first paint; nothing is loaded yet.

        Args:
            start: the request that the program was started with.
            settings: the user's settings.
            history: the prompts that were read before; None to keep no prompts.
            session: the store from one session to the next; None to store nothing.
            look: the look of the first model in the last session, if that is to be restored.
            depth: how many lines a row of the grids has; None for as many as fill the room, or for what
                `start` asks for if that is more than one.
        """
        super().__init__()
        settings, history, session = settings or Settings(), history or History(), session or Session()
        self.settings = settings
        self.last_words: str | None = None
        self._unprintable = Unprintable()
        self._is_asking_to_quit = False
        prompt = FIRST_PROMPT if start.typed is None else start.typed
        history.begin(prompt)
        self._keeper = Keeper(start, history, session, look)
        self.program = Program(
            self,
            start,
            history,
            session.fit_texts,
            session.eval_texts,
            recent=self._keeper.recent,
            first_reading=self._keeper.first_reading,
            prompt=prompt,
            depth=depth or (start.top_k if start.top_k > 1 else None),
            lens_repositories=settings.lens_repositories,
            lenses_by_kl=session.lenses_by_kl,
        )
        self.model_switch = ModelSwitch(self.program, self._keeper)
        self._use_keys(keymap.by_todays_ids(settings.keys))
        self.show_theme(self.settings.theme)

    @property
    def explore(self) -> Explore:
        """The main screen, on which the program begins."""
        return self.program.explore

    @property
    def training(self) -> FitService:
        """The service of the fit that may be under way."""
        return self.program.training

    def get_default_screen(self) -> Screen[None]:
        """Return Explore, the main screen."""
        return self.explore

    async def on_ready(self) -> None:
        """Complete the screen, restore the last look, and load the model, now that the first paint is out.

        The first start also shows what is open, and what one can do.
        """
        gc.enable()
        await self.explore.complete()
        self._keeper.look_as_before(self.explore)
        self._check_settings()
        if self._keeper.is_first_start:
            from lenstui.tui.help.first_steps import first_steps  # later starts can do without

            self.explore.greet(partial(first_steps, self.get_key_display, self.program.keys))
        self.program.load_model()

    async def on_event(self, event: events.Event) -> None:
        """Take the lines of the first start away with the first key, which does what it does all the same.

        A terminal that was given back, and taken again, is blank: it says its size then, which is as it was.
        """
        if isinstance(event, events.Key):
            self.explore.end_greeting()
        elif isinstance(event, events.Resize):
            event = sensible_resize(event)
            if event.size == self.size:
                self.refresh()
        await super().on_event(event)

    def _check_settings(self) -> None:
        """Show in Explore which of the user's settings cannot be followed, and follow all others."""
        if self.settings.trouble is not None:
            self.explore.remark(self.settings.trouble)
        if self.program.keys:
            keys, reasons = keymap.usable(self.program.keys, LenstuiApp)
            if reasons:
                self._use_keys(keys)
                self.explore.remark(trouble("; ".join(reasons), "other keys"))

    def _use_keys(self, keys: keymap.Keys) -> None:
        """Have the user's keys in place of the default ones."""
        self.program.keys = keys
        self.set_keymap({name: ",".join(own) for name, own in keys.items()})

    # ── messages of the jobs ─────────────────────────────────────────────────────────────────────────────

    def on_answer(self, answer: Answer) -> None:
        """Pass an answer on to the screen that asked, or to the app itself if that screen is gone."""
        if answer.asker.is_running:
            answer.message.stop()  # else it comes up here from the screen, and is heard twice
            answer.asker.post_message(answer.message)
        else:
            self.post_message(answer.message)

    def on_load_stage(self, message: LoadStage) -> None:
        """Let the screens know which stage the loading of a model has reached."""
        self.program.have_stage(message)

    def on_load_failed(self, message: LoadFailed) -> None:
        """Let the screens know why no model was opened."""
        if message.no_device:
            self.model_switch.take_any_device()
        self.program.have_stage(message)

    def on_model_loaded(self, message: ModelLoaded) -> None:
        """Let the screens know which model is open."""
        self.program.have_model(message.model)

    def on_lens_opened(self, message: LensOpened) -> None:
        """Let the screens know which lens is in use."""
        self.program.have_lens(message.model)

    def on_sides_changed(self, message: SidesChanged) -> None:
        """Let the screens know which sides there are."""
        self.program.have_sides(message.model)

    def on_sides_told(self, message: SidesTold) -> None:
        """Pass a remark on the sides to Explore, to be shown once the sides are."""
        message.stop()  # else it comes up here from Explore again
        self.explore.post_message(message)

    def on_fit_changed(self, message: FitChanged) -> None:
        """Let the screens know the status of the fit."""
        self.program.have_fit(message.status)

    def on_lenses_evaluated(self, message: LensesEvaluated) -> None:
        """Let the screens know that lenses have another last evaluation."""
        self.program.have_evaluations(message)

    def on_instant_changed(self, message: InstantChanged) -> None:
        """Let the screens know the status of the instant lens."""
        self.program.have_instant(message.status)

    def on_published_changed(self, message: PublishedChanged) -> None:
        """Let the screens know what is known of the lenses on the hub."""
        self.program.have_published(message.status)

    def on_lens_arrived(self, message: LensArrived) -> None:
        """Notify the user that a lens was downloaded, if the screen that asked for it is closed already."""
        self.notify(f"{message.lens.name}: o lists it.", title="Downloaded", timeout=8)

    def on_lens_not_downloaded(self, message: LensNotDownloaded) -> None:
        """Notify the user why a lens was not downloaded, if the screen that asked for it is closed."""
        self.notify(message.text, title="Not downloaded", severity="error", timeout=15)

    def on_lens_refused(self, message: LensRefused) -> None:
        """Notify the user why a lens was not opened, if the screen that asked for it is closed already."""
        self.notify(message.text, title="Not opened", severity="error", timeout=15)

    def on_lens_saved(self, message: LensSaved) -> None:
        """Notify the user where the lens was saved, if the screen that asked for it is closed already."""
        self.notify(str(message.path), title="Saved", timeout=8)

    def on_lens_not_saved(self, message: LensNotSaved) -> None:
        """Notify the user why the lens was not saved, if the screen that asked for it is closed already."""
        self.notify(message.text, title="Not saved", severity="error", timeout=15)

    def on_view_kept(self, message: ViewKept) -> None:
        """Tell the user that a view was kept, if the screen that asked for it is closed already."""
        self.program.tell(printable(message.text, kept="\n"), seconds=8)

    def on_revisions_listed(self, message: RevisionsListed) -> None:
        """Open the next or the previous revision of the open model, as a key asked for."""
        self.model_switch.go_on(message)

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────

    def action_open_model(self) -> None:
        """Ask the user for a model, and open that model."""
        self.model_switch.choose()

    def action_step_revision(self, step: int) -> None:
        """Open the next revision of the open model on this machine (1), or the previous one (-1)."""
        self.model_switch.step_revision(step, self.program.post)

    def action_show_lenses(self) -> None:
        """Show the list of lenses."""
        self.program.open_lenses()

    def action_train(self) -> None:
        """Show the training screen, to fit a lens or to watch the fit."""
        self.program.open_training()

    def action_evaluate(self) -> None:
        """Evaluate lenses on a text, or show the last evaluation."""
        self.program.open_evaluation()

    def action_show_keys(self) -> None:
        """Show the list of all keys, and the meanings of the words and signs on screen."""
        from lenstui.tui.help.commands import all_keys  # the first paint can do without

        here = {active.binding.id for active in self.screen.active_bindings.values() if active.binding.id}
        keys = all_keys(LenstuiApp, self.get_key_display, self.program.keys, here)
        self.push_screen(late("Keys")(keys))

    def action_command_palette(self) -> None:
        """Show the command palette, to find an action by its name; Ctrl+P does nothing where it is there."""
        from lenstui.tui.help.palette import provider_of  # the first paint can do without

        palette = late("Palette")
        if any(isinstance(screen, palette) for screen in self.screen_stack):
            return
        provider = provider_of(self._commands(self.screen))
        self.push_screen(palette([provider], placeholder="Search for actions…", id="--command-palette"))

    def search_themes(self) -> None:
        """Show a palette of themes, to find one by its name."""
        self.push_screen(late("Palette")([ThemeProvider], placeholder="Search for themes…"))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield every action of a screen by its name, as Textual describes actions."""
        for command in self._commands(screen):
            about = f"{command.key.does} ({command.key.keys})" if command.key.keys else command.key.does
            yield SystemCommand(command.title, about, command.run)

    def _commands(self, screen: Screen[Any]) -> Iterator[Command]:
        """Yield every action of a screen, for the command palette; of a dialog those of Explore."""
        from lenstui.tui.help.commands import Command, commands
        from lenstui.tui.help.key import Key
        from lenstui.tui.topics import SETTINGS

        owner: Screen[Any] = screen if isinstance(screen, LeanScreen) else self.explore

        async def change_theme() -> None:
            self.action_change_theme()

        yield from commands(owner, self.get_key_display, self.program.keys, self.run_action)
        yield Command("Theme", Key("", "", "Change the colours", SETTINGS, "dark light colors"), change_theme)

    def pop_screen(self) -> AwaitComplete:
        """Leave the screen in front, and let go of what was painted of it and of those before."""
        forget_watchers(self)
        left = super().pop_screen()
        forget_lines()
        return left

    # ── how it looks ─────────────────────────────────────────────────────────────────────────────────────

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return the line filters, the last of which removes control characters from all that is painted."""
        return [*super().get_line_filters(), self._unprintable]

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Notify the user in a corner of the screen, without markup or control characters.

        A message may quote a file or an error, so that `markup` is ignored.
        """
        said, head = printable(message, kept="\n"), printable(title)
        super().notify(said, title=head, severity=severity, timeout=timeout, markup=False)

    def show_theme(self, name: str | None) -> None:
        """Begin with a theme; only one that the user chooses later is kept for the next session."""
        self.theme = self._first_theme = name or next(iter(THEMES))

    @property
    def available_themes(self) -> dict[str, Theme]:
        """The themes that the colours of the grids are made for."""
        return THEMES

    # ── what is kept ─────────────────────────────────────────────────────────────────────────────────────

    @on(PromptBox.Submitted)
    def keep_prompt(self, message: PromptBox.Submitted) -> None:
        """Add a prompt to the history."""
        if reason := self._keeper.add_prompt(message.prompt):
            self.explore.remark(reason)

    def _keep_session(self) -> None:
        self._keeper.keep_look(self.explore, self.program.start)
        self._keeper.keep_order(by_kl=self.program.lenses_by_kl)
        chosen = self.theme if self.theme != self._first_theme else None
        if reason := self._keeper.save(chosen, self.settings):
            self.last_words = self.last_words or f"lenstui: {reason}"

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────

    async def action_quit(self) -> None:
        """End the program; if a fit is under way, first ask the user what to do with that."""

        def closed(_: None) -> None:
            self._is_asking_to_quit = False

        if not self.training.is_under_way:
            self.exit()
        elif not self._is_asking_to_quit:
            self._is_asking_to_quit = True
            self.push_screen(late("QuitTraining")(self.program, self.leave), closed)

    def leave(self, last_words: str) -> None:
        """End the program, and print last words on the terminal."""
        self.last_words = last_words
        self.training.let_go()
        self.exit()

    def on_ended(self, message: Ended) -> None:
        """End the program after a signal; a fit under way is saved by then."""
        self.exit()

    def on_exit_app(self) -> None:
        """Keep the look of the open model for the next session, whatever ends the program."""
        self._keep_session()


def run(
    start: Start, settings: Settings, *, theme: str | None, depth: int | None, restores: bool, typed: str
) -> NoReturn:
    """Run the program until the user quits, and leave the process.

    Args:
        start: the request of the command line.
        settings: the user's settings.
        theme: the requested theme, if any.
        depth: the requested number of tokens of a cell, if any.
        restores: whether to go on where the last session ended.
        typed: what the terminal has sent already.
    """
    session = Session(paths.session(), restores=restores)
    start, look = session.resume(start)
    depth = depth or depth_of(look)
    start = replace(start, top_k=depth or start.top_k)
    app = LenstuiApp(start, settings, History(paths.history()), session, look, depth=depth)
    app.show_theme(theme or session.theme(settings))
    app.type_first(typed)
    gc.set_threshold(*COLLECT)
    keep_together()
    Ending(app).run()
