"""The messages of the jobs on the open model: immutable snapshots, plain values and NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from textual.message import Message

from lenstui.lens.card import LensCard, Match, TranslatorSize
from lenstui.model.capabilities import Allowed
from lenstui.opening.side_facts import SideFacts
from lenstui.opening.side_reading import SideTile
from lenstui.readout.alignment import NO_GAP
from lenstui.readout.cells import Ranking

Post = Callable[[Message], object]
"""Takes the message of a job, on any thread, to whoever asked for the job."""


@dataclass(frozen=True, slots=True)
class OpenModel:
    """A loaded model, as the screen describes it.

    Attributes:
        name: its hub id, folder or "bundled model".
        remarks: why this one, where it is not what was asked for; what is odd about its lens.
        rows: labels of all its rows, `emb` first.
        d_model: width of the residual stream.
        vocabulary: how many logits it gives.
        context: the most columns it reads, and what is beside it too, or None.
        device: where it runs.
        dtype: of its weights.
        wiring: the checks it passed, each with its worst difference.
        lens: name of its tuned lens, or None.
        lens_kl: held-out mean KL of that lens, nats, where its file says.
        lens_file: where that lens came from, or None.
        allowed: how its prompts can be read.
        revision: of the hub, where one was named.
        sides: what the panes show, in their order.
    """

    name: str
    remarks: tuple[str, ...]
    rows: tuple[str, ...]
    d_model: int
    vocabulary: int
    context: int | None
    device: str
    dtype: str
    wiring: tuple[str, ...]
    lens: str | None
    lens_kl: float | None
    lens_file: Path | None = None
    allowed: Allowed = field(default=Allowed())
    revision: str | None = None
    sides: tuple[SideFacts, ...] = ()

    @property
    def is_alone(self) -> bool:
        """Whether its own lenses are on all sides, on the prompt that is typed."""
        return all(side.is_own for side in self.sides)

    @property
    def common_vocabulary(self) -> int:
        """Ids below it are tokens of all models on screen."""
        return min((side.vocabulary for side in self.sides), default=self.vocabulary)


@dataclass
class LoadStage(Message):
    """Loading has come this far; while it downloads, it can be stopped."""

    text: str
    is_download: bool = False


@dataclass
class ModelLoaded(Message):
    """A model is open."""

    model: OpenModel


@dataclass
class LoadFailed(Message):
    """No model was opened; the one before stays. The device that was asked for may be why: there is none."""

    text: str
    no_device: bool = False


@dataclass
class ReadStarted(Message):
    """A prompt was tokenised and its columns are about to come.

    Attributes:
        serial: which reading this is; later messages of it carry the same.
        columns: display text of the input tokens.
        dropped: how many tokens were cut from the front.
        rows: labels of the rows that are read.
        others: the same as `columns`, by place, of the sides that read a prompt of their own.
        gaps: by place, the columns that hold no token, where prompts are of different lengths.
    """

    serial: int
    columns: tuple[str, ...]
    dropped: int
    rows: tuple[str, ...]
    others: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    gaps: tuple[range, ...] = ()

    def columns_of(self, place: int) -> tuple[str, ...]:
        """Display text of a side's input tokens."""
        return self.others.get(place, self.columns)

    def gap_of(self, place: int) -> range:
        """The columns in which a side has no token."""
        return self.gaps[place] if place < len(self.gaps) else NO_GAP


@dataclass
class SublayersRefused(Message):
    """A prompt is read without sublayers, and why."""

    serial: int
    text: str


@dataclass
class TileRead(Message):
    """Some columns of a reading, and the display text of every token in them."""

    serial: int
    tile: SideTile
    texts: Mapping[int, str]


@dataclass
class Grown(Message):
    """The prompt has more columns at its end, or fewer; their cells are about to come, as in a reading.

    Attributes:
        serial: of the reading.
        columns: display text of all input tokens.
        stem: the text that was typed.
        tail: token ids that were put behind those of the stem.
        text: the stem and the text of the tail.
    """

    serial: int
    columns: tuple[str, ...]
    stem: str
    tail: tuple[int, ...]
    text: str


@dataclass
class GenerationEnded(Message):
    """No more tokens come, and why; None where all that were asked for have come."""

    serial: int
    reason: str | None


@dataclass
class ReadDone(Message):
    """All columns of a reading have come."""

    serial: int
    seconds: float


@dataclass
class ReadFailed(Message):
    """A reading ended early, and why."""

    serial: int
    text: str


@dataclass
class PinsFound(Message):
    """The tokens of a word that is to be pinned.

    Attributes:
        word: what was typed.
        tokens: each with its display text.
        whole: they are that word; else the only one is the first of those that it is cut into.
    """

    word: str
    tokens: tuple[tuple[int, str], ...]
    whole: bool


@dataclass
class PinsNotFound(Message):
    """A word has no token, and why."""

    text: str


@dataclass
class WordFound(Message):
    """The tokens of a word that is looked for in the cells; its attributes are those of `PinsFound`."""

    word: str
    tokens: tuple[tuple[int, str], ...]
    whole: bool


@dataclass
class WordNotFound(Message):
    """A word that is looked for has no token, and why."""

    text: str


@dataclass
class CellRead(Message):
    """The likeliest tokens of one cell by the place of the side, and their display texts."""

    serial: int
    row: int
    column: int
    rankings: Mapping[int, Ranking]
    texts: Mapping[int, str]


@dataclass
class CellNotRead(Message):
    """The likeliest tokens of a cell cannot be had, and why."""

    serial: int
    text: str


@dataclass
class LensOpened(Message):
    """The open model has another lens."""

    model: OpenModel


@dataclass
class SidesChanged(Message):
    """Other sides are on screen, or one is read through another lens."""

    model: OpenModel


@dataclass
class SidesTold(Message):
    """Something about the sides, after a change that the user did not ask for."""

    text: str


@dataclass
class SidesRefused(Message):
    """The sides stay as they are, and why."""

    text: str


@dataclass
class LensRefused(Message):
    """A lens was not opened, and why; the one before stays."""

    text: str


@dataclass
class LensSaved(Message):
    """The lens in use was written, and what is to be said of that."""

    path: Path
    remark: str | None


@dataclass
class LensNotSaved(Message):
    """The lens in use was not written, and why."""

    text: str


@dataclass(frozen=True, slots=True)
class ListedLens:
    """A lens of the list.

    Attributes:
        card: what its file says.
        match: how far it belongs to the open model; None while there is none.
        in_use: the open model is read through it.
    """

    card: LensCard
    match: Match | None
    in_use: bool


@dataclass
class LensesListed(Message):
    """The lenses there are, those for the open model first.

    Attributes:
        lenses: in the order in which they are shown.
        left_out: names of files that should be lenses and are none.
    """

    lenses: tuple[ListedLens, ...]
    left_out: tuple[str, ...]


@dataclass
class TranslatorMeasured(Message):
    """How large a translator of a lens is."""

    path: Path
    size: TranslatorSize


@dataclass
class LensNotMeasured(Message):
    """The translators of a lens cannot be read, and why."""

    path: Path
    text: str
