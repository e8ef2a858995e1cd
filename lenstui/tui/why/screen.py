"""The screen Why: what wrote the logit of a token in a cell, and what attention heads read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from lenstui.causal.contributions import Contributions
from lenstui.edits.edit_list import EditList
from lenstui.edits.language import parse_edit
from lenstui.export.names import proposed_path
from lenstui.jobs.export_messages import FileTaken, NotTaken, TextTaken
from lenstui.jobs.export_things import WHY_COPIES, WHY_FILES, Thing
from lenstui.jobs.why_messages import CellAsked, WhyNotRead, WhyOrder, WhyRead, WhySource
from lenstui.lens.names import kind_word
from lenstui.support.fixed_text import fixed_text
from lenstui.tui.screen_export import ScreenExport
from lenstui.tui.services import Services
from lenstui.tui.shared.ask_word import AskWord
from lenstui.tui.shared.key_footer import KeyFooter
from lenstui.tui.shared.lean_screen import LeanScreen
from lenstui.tui.shared.line_list import LineList
from lenstui.tui.shared.screen import AppScreen
from lenstui.tui.shared.shown import shown
from lenstui.tui.why.part_map import PartMap, contribution_text
from lenstui.tui.why.parts import Part, strongest_parts
from lenstui.tui.why.read_columns import NEGATIVE, POSITIVE, growth_lines, source_lines

DIRECT = "direct effects: what each wrote, read through this lens with the final norm's scale held"
HINT = "With or without a space before it, whichever is likelier in the cell. Empty: as it was at first."
TAKEN_AWAY = "✗"  # before a part that an edit takes away
_WIDE = 110  # the width from which on everything is shown, in cells
_BAR = 12  # cells of the longest bar in the list


class Why(LeanScreen[None], AppScreen[None]):
    """The parts of a logit as a map and as a ranked list, and what the chosen attention head read."""

    CSS_PATH = Path(__file__).with_suffix(".tcss")
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (_WIDE, "-wide")]  # noqa: RUF012  as Textual declares them
    AUTO_FOCUS = "OptionList"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "app.show_keys", "Help", key_display="?", id="why.help"),
        Binding(
            "tab", "app.focus_next", "List or map", show=False, id="why.other",
            tooltip="From the list to the map, and back",
        ),
        Binding(
            "a", "ablate", "Ablate", id="why.ablate",
            tooltip="Take the chosen part away on this side, or restore it",
        ),
        Binding("t", "ask_token", "Token", id="why.token", tooltip="Explain another token of the cell"),
        Binding(
            "minus", "ask_minus", "Minus", key_display="-", id="why.minus",
            tooltip="Take off another token's logit",
        ),
        Binding(
            "x", "export", "Export", id="why.export", tooltip="Write what is shown to a file, or copy it"
        ),
        Binding(
            "Y", "copy_command", "Copy command", id="why.copy_command",
            tooltip="Copy the command that says the same",
        ),
        Binding(
            "K", "keep", "Keep", show=False, id="why.keep",
            tooltip="Keep the view in the notebook of lenstui report",
        ),
        Binding("j", "list('cursor_down')", show=False),
        Binding("k", "list('cursor_up')", show=False),
        Binding(
            "colon", "app.command_palette", "Commands", key_display=":", show=False,
            tooltip="Command palette: every action by name", id="why.commands",
        ),
        Binding("escape,q,w", "dismiss", "Back", key_display="esc q", id="why.back"),
    ]  # fmt: skip

    def __init__(
        self,
        asked: CellAsked,
        services: Services,
        *,
        place: str,
        edits: EditList,
        put_edits: Callable[[EditList], None],
    ) -> None:
        """Prepare the screen; nothing is explained yet.

        Args:
            asked: the cell, and the logit in it.
            services: the services of the program.
            place: the cell in words.
            edits: the edits of the side.
            put_edits: has other edits done on the side.
        """
        super().__init__()
        self._asked, self._services, self._place = asked, services, place
        self._edits, self._put_edits = edits, put_edits
        self._run = " · edited run" if edits.in_force else ""
        self._export = ScreenExport(services, WHY_FILES, WHY_COPIES)
        self._found: WhyRead | None = None
        self._parts: tuple[Part, ...] = ()
        self._chosen: Part | None = None

    def compose(self) -> ComposeResult:
        """Yield the title, map and list, and below them what the chosen head read and the growth."""
        yield Static(shown(f"why{self._run} · {self._place}"), id="why-title")
        yield Static("taking the cell apart …", id="why-message")
        with Horizontal(id="why-parts"):
            with Vertical():
                with Vertical(id="why-map", classes="frame"):
                    yield PartMap()
                with Horizontal(id="why-read"):
                    yield Static(id="why-sources", classes="frame")
                    yield Static(id="why-growth", classes="frame")
            with Vertical(id="why-list", classes="frame"):
                yield LineList()
        yield KeyFooter()

    def on_mount(self) -> None:
        """Ask for the contributions."""
        self.query_one("#why-list").border_title = "the strongest"
        self.query_one("#why-growth").border_title = "how the logit grew"
        self._explain()

    def _explain(self) -> None:
        self.add_class("-failed")
        post = self._services.post_to(self)
        self._services.why.explain(self._asked, self._services.start, post)

    # ── what comes ───────────────────────────────────────────────────────────────────────────────────────

    def on_why_read(self, message: WhyRead) -> None:
        """Show the contributions."""
        if message.asked != self._asked:
            return
        self._found, of = message, message.contributions
        self.remove_class("-failed")
        self._parts = strongest_parts(of)
        self.query_one(PartMap).show(of)
        lines = self.query_one(OptionList)
        lines.set_options([Option(self._line(part)) for part in self._parts])
        lines.highlighted = 0
        self.query_one("#why-growth", Static).update(growth_lines(of))
        self._caption()
        self.query_one("#why-list").border_subtitle = "tab: the map"
        self.query_one("#why-map").styles.height = min(3 + len(of.attention), max(self.size.height // 2, 6))

    def on_resize(self) -> None:
        """Say what fits."""
        self._caption()

    @property
    def _is_narrow(self) -> bool:
        return self.size.width < _WIDE

    def _caption(self) -> None:
        """Say what the screen and its map show; on a narrow screen in fewer words."""
        frame = self.query_one("#why-map")
        frame.border_title = "blocks × attention heads, MLP" + ("" if self._is_narrow else " · contribution")
        if self._found is None:
            return
        of = self._found.contributions
        self.query_one("#why-title", Static).update(self._title(of))
        said = [] if self._is_narrow and of.rounding else ["direct effects"]
        said += [f"off by {of.error:.0e}", *([f"rounding {of.rounding:.0e}"] if of.rounding else [])]
        frame.border_subtitle = " · ".join(said)

    def on_why_not_read(self, message: WhyNotRead) -> None:
        """Show why the cell cannot be explained."""
        if message.asked == self._asked:
            self.query_one("#why-message", Static).update(shown(message.text))

    def _title(self, of: Contributions) -> Text:
        assert self._found is not None
        texts = self._found.texts
        mean = "the mean" if self._is_narrow else "the mean over the vocabulary"
        minus = mean if of.minus is None else f'"{texts[of.minus]}"'
        token = f'logit of "{texts[of.token]}" minus {minus}: {fixed_text(of.logit, 3)}'
        where = f"{kind_word(of.lens)} lens{self._run} · {self._place}"
        return Text.assemble(("why ", "bold"), shown(f"{token} · {where}"))

    def _line(self, part: Part) -> Text:
        """Return the line of a part in the list, marked where it is taken away."""
        largest = abs(self._parts[0].contribution)
        cells = abs(part.contribution) / largest * _BAR if largest else 0.0
        bar = "█" * int(cells) + "▌" * (cells % 1 >= 0.5)
        style = POSITIVE if part.contribution > 0 else NEGATIVE
        is_away = any(entry.edit.text == part.edit for entry in self._edits.entries)
        mark = TAKEN_AWAY if is_away else " "
        number = contribution_text(part.contribution)
        return Text.assemble(f"{mark}{part.name:<9}", f"{number:>6} ", (bar, style), no_wrap=True)

    # ── which part is chosen ─────────────────────────────────────────────────────────────────────────────

    @on(OptionList.OptionHighlighted)
    def choose_in_list(self, message: OptionList.OptionHighlighted) -> None:
        """Show the highlighted part, on the map too."""
        part = self._parts[message.option_index]
        if part.block is not None and not part.name.endswith(".attn"):
            self.query_one(PartMap).go_to(part.block, part.head)
        self._choose(part)

    @on(PartMap.Moved)
    def choose_on_map(self, message: PartMap.Moved) -> None:
        """Show the part under the cursor of the map, in the list too."""
        name = (
            f"{message.block}.{'mlp' if message.is_mlp else 'attn' if message.head is None else message.head}"
        )
        place = next((i for i, part in enumerate(self._parts) if part.name == name), None)
        if place is not None:
            self.query_one(OptionList).highlighted = place
        elif self._found is not None:
            whole = float(self._found.contributions.attention[message.block])
            self._choose(Part(name, whole, message.block))

    def _choose(self, part: Part) -> None:
        self._chosen = part
        if self._found is None:
            return
        panel = self.query_one("#why-sources", Static)
        panel.border_title = shown(f"{part.name} · {contribution_text(part.contribution)}")
        room = max(panel.content_size.width, 20), max(panel.content_size.height, 4)
        panel.update(source_lines(self._found.contributions, part, self._found.texts, *room))

    # ── keys ─────────────────────────────────────────────────────────────────────────────────────────────

    def action_list(self, action: str) -> None:
        """Move in the list."""
        getattr(self.query_one(OptionList), f"action_{action}")()

    def action_ablate(self) -> None:
        """Take the chosen part away on this side, or restore it."""
        if self._chosen is None or (text := self._chosen.edit) is None:
            self._tell("The biases cannot be taken away: choose another part.")
            return
        edit = parse_edit(text)
        known = [entry.edit for entry in self._edits.entries]
        if edit in known:
            self._edits = self._edits.without(known.index(edit))
        else:
            self._edits = self._edits.with_edit(edit)
        self._put_edits(self._edits)
        lines = self.query_one(OptionList)
        for place, part in enumerate(self._parts):
            lines.replace_option_prompt_at_index(place, self._line(part))
        self.query_one("#why-list").border_subtitle = "esc: the edited run" if self._edits else "tab: the map"

    def action_ask_token(self) -> None:
        """Ask for another token to explain."""
        self._services.ask(AskWord("explain another token", "explains", HINT, empty=""), self._take_token)

    def _take_token(self, word: str | None) -> None:
        if word is not None:
            self._asked = replace(self._asked, token=word or None)
            self._explain()

    def action_ask_minus(self) -> None:
        """Ask for a token whose logit is taken off."""
        self._services.ask(
            AskWord("minus another token's logit", "takes it off", HINT, empty=""), self._take_minus
        )

    def _take_minus(self, word: str | None) -> None:
        if word is not None:
            self._asked = replace(self._asked, minus=word or None)
            self._explain()

    def action_copy_command(self) -> None:
        """Copy the command that says the same."""
        if self._found is None:
            return
        if self._found.command.startswith("#"):
            self._tell(self._found.command.removeprefix("# "))
            return
        self._services.copy(self._found.command)
        self._tell(f"Copied: {self._found.command}", seconds=6)

    def action_export(self) -> None:
        """Open the dialog that exports the cell, with what the chosen attention head read."""
        if (source := self._asked_source()) is not None:
            self._export.ask(partial(_file_of, source), partial(self._write, source))

    def action_keep(self) -> None:
        """Keep the cell in the lab notebook, with what the chosen attention head read."""
        if (source := self._asked_source()) is not None:
            self._export.keep(partial(self._write, source))

    def _asked_source(self) -> WhySource | None:
        """Return what is exported; None, and tell the user, where there is nothing yet."""
        if self._found is None or self.has_class("-failed"):
            self._tell("There is nothing to export yet.")
            return None
        of, part = self._found.contributions, self._chosen
        head = None
        if part is not None and part.head is not None and part.block is not None:
            head = part.name if of.no_sources[part.block] is None else None
        return replace(self._found.source, why=replace(self._found.source.why, head=head))

    def _write(self, source: WhySource, number: int, thing: Thing, path: Path | None) -> None:
        self._services.why.write(WhyOrder(number, source, thing, path), self._services.post_to(self))

    def on_file_taken(self, message: FileTaken) -> None:
        """Tell which file was written."""
        self._export.say_written(message)

    def on_text_taken(self, message: TextTaken) -> None:
        """Put a text into the clipboard."""
        self._export.copy(message)

    def on_not_taken(self, message: NotTaken) -> None:
        """Show why an export failed."""
        self._export.say_failed(message)


def _file_of(source: WhySource, thing: Thing) -> Path:
    why = source.why
    return proposed_path(why.source.model, why.prompt.text, thing.ending, "why")
