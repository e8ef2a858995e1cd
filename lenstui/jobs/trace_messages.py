"""The messages of the jobs that make causal traces."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from lenstui.edits.language import parse_columns
from lenstui.edits.trace_options import DRAWS, MetricName, TraceOptions, What
from lenstui.readout.reading import Reading
from lenstui.support.request import Start
from lenstui.support.turns import Conversation, text_of

if TYPE_CHECKING:
    from lenstui.export.trace import Traced


@dataclass(frozen=True, slots=True)
class PromptAsked:
    """A prompt as it is asked for.

    Attributes:
        prompt: the text or turns, as on screen.
        stem: the typed part of it, where tokens were appended to it.
        tail: the ids of these tokens.
        ids: the token ids of the text in front of them, where it is not to be cut into tokens; else empty.
    """

    prompt: str | Conversation
    stem: str | Conversation = ""
    tail: tuple[int, ...] = ()
    ids: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        """The prompt as text for people."""
        return text_of(self.prompt)

    @property
    def on_a_line(self) -> str:
        """The prompt as text for a line of the screen: turns in brief."""
        return self.prompt if isinstance(self.prompt, str) else self.prompt.brief


@dataclass(frozen=True, slots=True)
class TraceAsked:
    """A causal trace as it is asked for on screen.

    What does not go with what is patched, or with the metric, is kept for when it does: `options` leaves it
    out.

    Attributes:
        model: the name of the model.
        number: the model's number among those on screen.
        reading: how the prompts are tokenized.
        clean: the prompt whose parts are patched in.
        corrupted: the prompt that they are patched into.
        by_noise: whether noise on the clean prompt is the corruption, and not that prompt.
        noise: the columns that get noise, as they are typed.
        what: what is patched.
        metric: how it is measured.
        token: the word of the metric; empty for the clean run's likeliest token.
        minus: the word that is taken off; empty for the corrupted run's likeliest token.
        window: how many neighbouring blocks are patched together.
        column: the column in which attention heads are patched; None for all columns.
        samples: the number of draws of noise.
        seed: the seed of the draws.
        approximate: whether the patches are estimated to first order, and not made.
    """

    model: str
    number: int
    reading: Reading
    clean: PromptAsked
    corrupted: PromptAsked = field(default=PromptAsked(""))
    by_noise: bool = False
    noise: str = ""
    what: What = "resid"
    metric: MetricName = "logit-diff"
    token: str = ""
    minus: str = ""
    window: int = 1
    column: int | None = None
    samples: int = DRAWS
    seed: int = 0
    approximate: bool = False

    @property
    def options(self) -> TraceOptions:
        """The options of the trace, with no token chosen yet.

        Raises:
            LensError: if the columns of the noise are not understood.
        """
        return TraceOptions(
            what=self.what,
            metric=self.metric,
            window=self.window if self.what in {"attn", "mlp"} else 1,
            column=self.column if self.what == "head" else None,
            noise=parse_columns(self.noise) if self.by_noise else None,
            samples=self.samples,
            seed=self.seed,
            approximate=self.approximate,
        )

    @property
    def words(self) -> tuple[str, str]:
        """The words of the metric, the second one taken off; empty where the metric has none, or any."""
        token = "" if self.metric == "kl" else self.token
        return token, self.minus if self.metric == "logit-diff" else ""


@dataclass(frozen=True, slots=True, eq=False)
class FoundTrace:
    """A causal trace that was made on screen, finished or not.

    Attributes:
        traced: the trace, with its prompts and the source of its numbers.
        start: the request that the program was started with.
        no_command: why no command makes the same, a sentence; empty where one does.
    """

    traced: Traced
    start: Start
    no_command: str = ""

    def command(self, form: str = "table", output: Path | None = None) -> str:
        """Return the command that makes the same trace, or a comment that says why there is none."""
        from lenstui.export.command import trace_command
        from lenstui.export.shape import Shape

        if self.no_command:
            return f"# {self.no_command}"
        return trace_command(self.traced, self.start, Shape(format=form, output=output))


class TraceEnd(Enum):
    """How the making of a trace ended."""

    DONE = auto()
    STOPPED = auto()
    FAILED = auto()


@dataclass
class TraceGrown(Message):
    """How far a trace is.

    Attributes:
        number: the number of the request.
        found: the trace as far as it is.
        done: the number of passes of the model that are done.
        passes: that of all passes.
        left: the seconds that it still takes, about; None where nothing says so yet.
    """

    number: int
    found: FoundTrace
    done: int
    passes: int
    left: float | None


@dataclass
class TraceEnded(Message):
    """The message that nothing more comes of a trace.

    Attributes:
        number: the number of the request.
        end: how it ended.
        text: why, a sentence, where it failed; empty where it did not.
        seconds: how long it took.
    """

    number: int
    end: TraceEnd
    text: str = ""
    seconds: float = 0.0
