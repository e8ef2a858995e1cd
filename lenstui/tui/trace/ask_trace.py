"""The dialog that asks for a causal trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, TypeVar

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Label

from lenstui.edits.language import parse_columns
from lenstui.jobs.trace_messages import PromptAsked, TraceAsked
from lenstui.support.errors import LensError
from lenstui.support.printable import printable
from lenstui.support.turns import text_of
from lenstui.support.typed_number import whole_number
from lenstui.tui.explore.prompt_box import PromptBox
from lenstui.tui.session.history import History
from lenstui.tui.shared.box import Box, BoxScreen
from lenstui.tui.shared.choice import Choice
from lenstui.tui.shared.shown import shown
from lenstui.tui.shared.still_input import ONE_LINE, StillInput
from lenstui.tui.trace.words import METRIC_WORDS, WHAT_WORDS

_BY_PROMPT, _BY_NOISE = "a second prompt", "noise"
_HINTS: Mapping[str, str] = {
    "by": "What the corruption is: another prompt, or Gaussian noise on the embeddings of some columns.",
    "prompt": "The prompt that the clean one is patched into. Best of as many tokens, few of them others.",
    "noise": "Columns such as 1-3: {}",
    "samples": "How many draws of noise, the same for every patch.",
    "seed": "The seed of the draws.",
    "what": "What is put in from the clean run: the stream by row and column, what a part adds, heads.",
    "window": "How many neighbouring blocks are patched together.",
    "column": "Patch the heads in this column alone; empty: in all columns.",
    "metric": "What is to be restored, at the end of the prompt; −KL is of all tokens, from the clean run.",
    "token": "Empty: the likeliest token of the clean run.",
    "minus": "The token whose logit is taken off. Empty: the likeliest of the corrupted run.",
}
_SAME = "The corrupted prompt is the clean one: change it, or take noise."
_SHOWN_COLUMNS = 40  # tokens that the hint about columns names

_Word = TypeVar("_Word", bound=str)


class AskTrace(BoxScreen[TraceAsked | None]):
    """A dialog for a causal trace: the corruption, what is patched, and the metric. Returns it, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "start", "Start", id="ask_trace.start"),
        Binding("escape", "dismiss", "Close", id="ask_trace.close"),
        Binding("down", "app.focus_next", "Next", show=False, id="ask_trace.next"),
        Binding("up", "app.focus_previous", "Previous", show=False, id="ask_trace.previous"),
    ]
    DEFAULT_CSS = """
    AskTrace {
        Box { width: 92; padding: 1 2 0 2; max-height: 100%; }
        Horizontal { height: 1; }
        Label.name { width: 14; color: $text-muted; }
        Label.inner { width: auto; margin: 0 1 0 2; color: $text-muted; }
        #ask-clean { width: 1fr; height: auto; max-height: 2; }
        #ask-prompts { height: auto; }
        PromptBox, PromptBox:focus {
            border: none; padding: 0; background: $panel; width: 1fr; height: auto; max-height: 3;
        }
        Input { width: 12; }
        #ask-token, #ask-minus { width: 24; }
        .gap { margin-bottom: 1; }
        #ask-hint { width: 1fr; height: 2; margin-top: 1; color: $text-muted; }
        #ask-hint.-wrong { color: $error; }
    }
    """

    def __init__(
        self,
        asked: TraceAsked,
        columns: Sequence[str],
        clean_is: str,
        *,
        history: History | None = None,
        wrong: str = "",
    ) -> None:
        """Prepare the dialog.

        Args:
            asked: the trace that is proposed.
            columns: display texts of the clean prompt's tokens.
            clean_is: which prompt the clean one is, in a few words.
            history: the prompts that were read before.
            wrong: what was wrong with the proposal, a sentence; empty where it was not tried.
        """
        super().__init__()
        self._asked, self._columns, self._clean_is = asked, columns, clean_is
        self._history = history
        # What is wrong, and with what: it is said until something is changed.
        self._wrong: tuple[str, tuple[str, ...]] = (wrong, ())

    def compose(self) -> ComposeResult:
        """Yield the clean prompt, the lines of the corruption, of what is patched and of the metric."""
        asked = self._asked
        column = "" if asked.column is None else str(asked.column)
        with Box("causal trace", "enter starts · tab up down, left right · esc closes"):
            with Horizontal(id="ask-prompts", classes="gap"):
                yield Label("clean", classes="name")
                yield Label(
                    Text.assemble(printable(asked.clean.on_a_line), (f" · {self._clean_is}", "dim")),
                    id="ask-clean",
                )
            with Horizontal():
                yield Label("corrupted by", classes="name")
                by = _BY_NOISE if asked.by_noise else _BY_PROMPT
                yield Choice((_BY_PROMPT, _BY_NOISE), by, id="ask-by")
            with Horizontal(id="ask-prompts-line", classes="gap"):
                yield Label("", classes="name")
                yield PromptBox(asked.corrupted.text, self._history)
            with Horizontal(id="ask-noise-line", classes="gap"):
                yield Label("on columns", classes="name")
                yield StillInput(asked.noise, placeholder="such as 1-3", restrict=ONE_LINE, id="ask-noise")
                yield Label("draws", classes="inner")
                yield StillInput(str(asked.samples), id="ask-samples")
                yield Label("seed", classes="inner")
                yield StillInput(str(asked.seed), id="ask-seed")
            with Horizontal():
                yield Label("patched", classes="name")
                yield Choice(tuple(WHAT_WORDS.values()), WHAT_WORDS[asked.what], id="ask-what")
            with Horizontal(id="ask-window-line"):
                yield Label("window", classes="name")
                yield StillInput(str(asked.window), id="ask-window")
                yield Label("blocks together", classes="inner")
            with Horizontal(id="ask-column-line"):
                yield Label("in column", classes="name")
                yield StillInput(column, placeholder="all", id="ask-column")
            with Horizontal(id="ask-metric-line"):
                yield Label("metric", classes="name")
                yield Choice(tuple(METRIC_WORDS.values()), METRIC_WORDS[asked.metric], id="ask-metric")
            with Horizontal(id="ask-token-line"):
                yield Label("token", classes="name")
                yield StillInput(
                    asked.token, placeholder="clean's likeliest", restrict=ONE_LINE, id="ask-token"
                )
            with Horizontal(id="ask-minus-line"):
                yield Label("minus", classes="name")
                yield StillInput(
                    asked.minus, placeholder="corrupted's likeliest", restrict=ONE_LINE, id="ask-minus"
                )
            yield Label(id="ask-hint")

    def on_mount(self) -> None:
        """Show the lines that there are now, and go to what has to be typed, if anything has to."""
        self._share_lines()
        lacks_prompt = not self._asked.by_noise and not self._asked.corrupted.text
        (self.query_one(PromptBox) if lacks_prompt else self._choice("what")).focus()
        self._wrong = self._wrong[0], self._content
        self._hint()

    # ── which lines there are ────────────────────────────────────────────────────────────────────────────

    def _choice(self, name: str) -> Choice:
        return self.query_one(f"#ask-{name}", Choice)

    def _typed(self, name: str) -> str:
        return self.query_one(f"#ask-{name}", Input).value

    def _chosen(self, name: str, words: Mapping[_Word, str]) -> _Word:
        value = self._choice(name).value
        return next(key for key, word in words.items() if word == value)

    @property
    def _by_noise(self) -> bool:
        return self._choice("by").value == _BY_NOISE

    def _share_lines(self) -> None:
        """Show the lines that go with what is chosen."""
        what, metric = self._chosen("what", WHAT_WORDS), self._chosen("metric", METRIC_WORDS)
        there = {
            "prompts": not self._by_noise,
            "noise": self._by_noise,
            "window": what in {"attn", "mlp"},
            "column": what == "head",
            "token": metric != "kl",
            "minus": metric == "logit-diff",
        }
        for name, is_there in there.items():
            self.query_one(f"#ask-{name}-line").display = is_there

    @on(Choice.Changed)
    def change_lines(self) -> None:
        """Show the lines that go with what is chosen now."""
        self._share_lines()
        self._hint()

    @on(Input.Changed)
    @on(PromptBox.Changed)
    @on(events.DescendantFocus)
    def hint_anew(self) -> None:
        """Show the hint of the line that has the focus, or that is changed."""
        self._hint()

    @property
    def _content(self) -> tuple[str, ...]:
        """All that is typed and chosen."""
        choices, inputs = self.query(Choice), self.query(StillInput)
        return (*(each.value for each in choices), *(each.value for each in inputs), self._prompt)

    @property
    def _prompt(self) -> str:
        return text_of(self.query_one(PromptBox).prompt)

    def _hint(self) -> None:
        """Show what is wrong, until something is changed; then a hint about the line with the focus."""
        text, content = self._wrong
        if text and content == self._content:
            self._say(text, wrong=True)
            return
        focused = self.focused
        name = "prompt" if isinstance(focused, PromptBox) else (getattr(focused, "id", "") or "")[4:]
        some = " ".join(f"{i} {text}" for i, text in enumerate(self._columns[:_SHOWN_COLUMNS]))
        self._say(_HINTS.get(name, "").format(some))

    def _say(self, text: str, *, wrong: bool = False) -> None:
        for hint in self.query("#ask-hint").results(Label):  # none while the screen comes or goes
            hint.update(shown(text))
            hint.set_class(wrong, "-wrong")

    # ── what is asked ────────────────────────────────────────────────────────────────────────────────────

    @on(PromptBox.Left)
    def close(self) -> None:
        """Close the dialog."""
        self.dismiss(None)

    @on(Input.Submitted)
    @on(PromptBox.Submitted)
    def action_start(self) -> None:
        """Close the dialog with what is asked for, or show what is wrong with it."""
        try:
            asked = self._asked_now()
            self._check(asked)
        except LensError as error:
            self._wrong = str(error), self._content
            self._hint()
        else:
            self.dismiss(asked)

    def _asked_now(self) -> TraceAsked:
        """Return what is typed and chosen.

        Raises:
            LensError: if a number is none.
        """
        typed, before = self._prompt, self._asked.corrupted
        column = self._typed("column").strip()
        return replace(
            self._asked,
            corrupted=before if typed == before.text else PromptAsked(typed),
            by_noise=self._by_noise,
            noise=self._typed("noise").strip(),
            what=self._chosen("what", WHAT_WORDS),
            metric=self._chosen("metric", METRIC_WORDS),
            token=self._typed("token"),
            minus=self._typed("minus"),
            window=self._number("window", "window", 1),
            column=self._number("column", "in column", 0) if column else None,
            samples=self._number("samples", "draws", 1),
            seed=self._number("seed", "seed", 0),
        )

    def _number(self, name: str, label: str, least: int) -> int:
        """Return a typed number; where its line is not there now, the one that was asked for before."""
        line = self.query_one(f"#ask-{name}", Input).parent
        if isinstance(line, Horizontal) and not line.display:
            return int(getattr(self._asked, name) or 0)
        number = whole_number(self._typed(name).strip())
        if number is None or number < least:
            raise LensError(f"{label}: a whole number from {least} on")
        return number

    def _check(self, asked: TraceAsked) -> None:
        """Refuse what cannot be traced, as far as that is known without the model."""
        count = len(self._columns)
        if asked.by_noise and not asked.noise:
            raise LensError("on columns: which columns get noise, such as 1-3")
        if asked.by_noise:
            try:
                parse_columns(asked.noise).of(count)
            except LensError as error:
                raise LensError(f"on columns: {str(error).rstrip('.')}") from None
        elif not asked.corrupted.text:
            raise LensError("Type the corrupted prompt, or take noise.")
        elif asked.corrupted.text == asked.clean.text:
            raise LensError(_SAME)
