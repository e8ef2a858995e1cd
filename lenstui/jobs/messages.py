"""The messages of the jobs on the open model: immutable snapshots, plain values and NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from textual.message import Message

from lenstui.lens.card import LensCard, Match, TranslatorSize
from lenstui.lens.kinds import TUNED
from lenstui.lens.trust import Trust
from lenstui.model.capabilities import Allowed
from lenstui.model.turns import TurnColumns
from lenstui.opening.side_facts import SideFacts
from lenstui.opening.side_reading import SideTile, SideWord
from lenstui.readout.alignment import NO_GAP
from lenstui.readout.cells import FloatArray, Ranking
from lenstui.support.paths import bundled_model
from lenstui.support.turns import Conversation

Post = Callable[[Message], object]
"""A function that takes a message, on any thread, to whoever asked for the job that posts the message."""


@dataclass(frozen=True, slots=True)
class OpenModel:
    """A loaded model, as the screen describes it.

    Attributes:
        name: the hub id, the folder or "bundled model".
        remarks: remarks on the choice of the model, on its lens, and on the sides.
        rows: the labels of all rows, `emb` first.
        d_model: the width of the residual stream.
        vocabulary: the number of logits.
        context: the most columns that all models on screen can read, or None for no limit.
        device: the device that the model runs on.
        dtype: the dtype of the weights.
        wiring: the wiring checks that the model passed, each with its worst difference.
        lens: the name of the tuned lens in use, or None.
        lens_kl: the mean held-out KL of that lens, nats; None where its file does not say.
        lens_file: the file of that lens, or None.
        allowed: the capabilities that decide how prompts can be read.
        revision: the revision on the hub, where one was named.
        sides: descriptions of the sides, in the order of the panes.
        instant: how that lens was made, in words, if it is an instant lens; None for any other.
        lens_choice: why that lens opened by itself, in a few words, where others fit the model too.
        lens_files: the files of all fitted lenses at hand.
        chosen_lens: the file of that lens if the user chose it, which is kept for the model.
        adapter: the adapter that the model is under, as it is typed; None for none.
        service: what has the weights, `NDIF (api.ndif.us)`; empty where they are here.
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
    lens_choice: str = ""
    instant: str | None = None
    lens_files: tuple[Path, ...] = ()
    chosen_lens: Path | None = None
    adapter: str | None = None
    service: str = ""

    @property
    def label(self) -> str:
        """The name that the model is opened by: its own, or that of its adapter."""
        return self.adapter or self.name

    @property
    def is_alone(self) -> bool:
        """Whether all sides show the open model, the typed prompt, and a lens in use."""
        return all(side.is_own for side in self.sides)

    @property
    def other_lenses(self) -> tuple[Path, ...]:
        """The files of the fitted lenses at hand besides the tuned one, if a side shows such a lens.

        The bundled model's is left out: it is at hand anyway.
        """
        if not any(side.is_own and side.is_fitted and side.kind != TUNED for side in self.sides):
            return ()
        return tuple(
            file for file in self.lens_files if file != self.lens_file and file.parent != bundled_model()
        )

    @property
    def common_vocabulary(self) -> int:
        """The number of token ids that all models on screen have in common."""
        return min((side.vocabulary for side in self.sides), default=self.vocabulary)


@dataclass
class LoadStage(Message):
    """The stage that the loading of a model has reached; a download can be stopped."""

    text: str
    is_download: bool = False


@dataclass
class ModelLoaded(Message):
    """The message that a model was opened."""

    model: OpenModel


@dataclass
class LoadFailed(Message):
    """The message that no model was opened, and that the former one stays.

    Attributes:
        text: why it was not opened.
        no_device: whether that is because this machine does not have the requested device.
    """

    text: str
    no_device: bool = False


@dataclass
class ReadStarted(Message):
    """The message that a prompt was tokenised, and that its cells are about to come.

    Attributes:
        serial: the number of the reading; later messages about it carry the same number.
        columns: display texts of the input tokens.
        dropped: the number of tokens that were cut from the front.
        rows: the labels of the rows that are read.
        others: display texts of the input tokens, by place, of the sides that read a prompt of their own.
        gaps: by place, the columns that hold no token, where prompts are of different lengths.
        other_rows: the labels of the rows, by place, of the sides whose model is not as deep.
        turns: which columns are of which turn; None for a prompt that is one text.
    """

    serial: int
    columns: tuple[str, ...]
    dropped: int
    rows: tuple[str, ...]
    others: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    gaps: tuple[range, ...] = ()
    other_rows: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    turns: TurnColumns | None = None

    def columns_of(self, place: int) -> tuple[str, ...]:
        """Return the display texts of a side's input tokens."""
        return self.others.get(place, self.columns)

    def rows_of(self, place: int) -> tuple[str, ...]:
        """Return the labels of a side's rows."""
        return self.other_rows.get(place, self.rows)

    def gap_of(self, place: int) -> range:
        """Return the columns in which a side has no token."""
        return self.gaps[place] if place < len(self.gaps) else NO_GAP


@dataclass
class SublayersRefused(Message):
    """The message that a prompt is read without sublayers, and why."""

    serial: int
    text: str


@dataclass
class FinalsCompared(Message):
    """The message how far the last rows of the sides part, in the columns of a reading.

    Attributes:
        serial: the number of the reading.
        divergences: by the place of the side, KL(first ‖ side) of the final distributions, nats, `[cols]`.
        failure: why there are none; empty where there are.
    """

    serial: int
    divergences: Mapping[int, FloatArray]
    failure: str = ""


@dataclass
class TileRead(Message):
    """The cells of some columns of a reading, and the display text of every token in the cells."""

    serial: int
    tile: SideTile
    texts: Mapping[int, str]


@dataclass
class Grown(Message):
    """The message that tokens were appended to the prompt, or taken from its end; new cells come next.

    Attributes:
        serial: the number of the reading.
        columns: display texts of all input tokens.
        stem: the typed text or turns.
        tail: the token ids that are appended to those of the stem.
        prompt: the stem and the text of the tail, which of turns is said by the assistant.
        turns: which columns are of which turn; None for a prompt that is one text.
    """

    serial: int
    columns: tuple[str, ...]
    stem: str | Conversation
    tail: tuple[int, ...]
    prompt: str | Conversation
    turns: TurnColumns | None = None


@dataclass
class GenerationEnded(Message):
    """The message that no more tokens come, and why; `reason` is None if all requested tokens have come."""

    serial: int
    reason: str | None


@dataclass
class ReadDone(Message):
    """The message that all columns of a reading have come."""

    serial: int
    seconds: float


@dataclass
class ReadFailed(Message):
    """The message that a reading ended early, and why."""

    serial: int
    text: str


@dataclass
class PinsFound(Message):
    """The tokens of a word that is to be pinned.

    Attributes:
        word: the typed word.
        tokens: the tokens, each with its display text.
        whole: whether each token is the whole word; else there is one, the first token of the word.
        several: the word as typed, if it is several tokens; else empty.
    """

    word: str
    tokens: tuple[tuple[int, str], ...]
    whole: bool
    several: str = ""


@dataclass
class PinsNotFound(Message):
    """The message that a word to pin has no token, and why."""

    text: str


@dataclass
class WordFound(Message):
    """The tokens of a word that is looked for in the cells.

    Attributes:
        word: the typed word.
        tokens: the tokens, each with its display text.
        whole: whether each token is the whole word; else there is one, the first token of the word.
    """

    word: str
    tokens: tuple[tuple[int, str], ...]
    whole: bool


@dataclass
class WordNotFound(Message):
    """The message that a word to look for in the cells has no token, and why."""

    text: str


@dataclass
class CellRead(Message):
    """The likeliest tokens of one cell, by the place of the side, and their display texts."""

    serial: int
    row: int
    column: int
    rankings: Mapping[int, Ranking]
    texts: Mapping[int, str]


@dataclass
class WordsRead(Message):
    """The message that pinned words of several tokens were read in a column, or why they cannot be read.

    Attributes:
        serial: the number of the reading on screen.
        column: the column on screen.
        words: by the place of the side, each of the words as typed; sides without a lens, or without a token
            in that column, are left out.
        texts: display texts of the words' tokens.
        failure: why they cannot be read; empty where they were.
    """

    serial: int
    column: int
    words: Mapping[int, Mapping[str, SideWord]] = field(default_factory=dict)
    texts: Mapping[int, str] = field(default_factory=dict)
    failure: str = ""


@dataclass
class CellNotRead(Message):
    """The message that the likeliest tokens of a cell cannot be read, and why."""

    serial: int
    text: str


@dataclass
class LensOpened(Message):
    """The message that the open model has another lens in use."""

    model: OpenModel


@dataclass
class SidesChanged(Message):
    """The message that other sides are on screen, or that a side is read through another lens."""

    model: OpenModel


@dataclass
class SidesTold(Message):
    """A remark on the sides for the user, after a change."""

    text: str


@dataclass
class SidesRefused(Message):
    """The message that the sides stay as they are, and why."""

    text: str


@dataclass
class LensRefused(Message):
    """The message that a lens was not opened, and why; the lens in use stays."""

    text: str


@dataclass
class LensSaved(Message):
    """The message that the lens in use was saved, with a remark for the user, if any."""

    path: Path
    remark: str | None


@dataclass
class LensNotSaved(Message):
    """The message that the lens in use was not saved, and why."""

    text: str


@dataclass(frozen=True, slots=True)
class ListedLens:
    """A lens in the list of lenses.

    Attributes:
        card: the metadata of the lens file.
        match: how closely the lens matches the open model; None while no model is open.
        in_use: whether the open model is read through the lens.
    """

    card: LensCard
    match: Match | None
    in_use: bool


@dataclass
class LensesListed(Message):
    """The list of lenses, those for the open model first.

    Attributes:
        lenses: the lenses, in the order in which they are shown.
        left_out: the names of files in the lenses folder from which no lens can be read.
    """

    lenses: tuple[ListedLens, ...]
    left_out: tuple[str, ...]


@dataclass
class TrustFound(Message):
    """How far the rows of each side's lens can be trusted.

    Attributes:
        sides: descriptions of the sides that were looked at.
        trusts: what is known of the lens of each, in their order; None where nothing is.
    """

    sides: tuple[SideFacts, ...]
    trusts: tuple[Trust | None, ...]


@dataclass
class TranslatorMeasured(Message):
    """The size of one translator of a lens."""

    path: Path
    size: TranslatorSize


@dataclass
class LensNotMeasured(Message):
    """The message that the translators of a lens cannot be read, and why."""

    path: Path
    text: str
