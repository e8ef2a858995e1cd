"""What the screen is told of the models that may be opened: immutable snapshots."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model that may be opened.

    Attributes:
        name: `OWNER/NAME`, a folder or a GGUF file; empty for the bundled model.
        where: `cache`, `folder`, `GGUF` or `bundled`; `partly` for one that is half downloaded; `folder …`
            for one that is no model but may hold some.
        family: transformers' name for its architecture, or empty.
        size: bytes of its weight files; 0 where that is not known.
        needed: bytes of memory that it will take, about; None where its files do not say.
        used: seconds since 1970; 0 where that is not known.
        revisions: branches and tags that are on this machine.
    """

    name: str
    where: str
    family: str = ""
    size: int = 0
    needed: int | None = None
    used: float = 0.0
    revisions: tuple[str, ...] = ()


@dataclass
class ModelsListed(Message):
    """The models on this machine.

    Attributes:
        models: in the order in which they are shown.
        free: bytes of memory that a model may take; None where that is not known.
        peak: the most bytes of it that this program has taken so far.
        device: of which device.
        dtype: of the weights once loaded, as the user named it.
    """

    models: tuple[ListedModel, ...]
    free: int | None
    peak: int
    device: str
    dtype: str


@dataclass
class PathsListed(Message):
    """The folders and GGUF files that a path may go on to.

    Attributes:
        typed: the beginning of the path.
        models: what there is.
        trouble: why there is nothing, one sentence.
    """

    typed: str
    models: tuple[ListedModel, ...]
    trouble: str = ""


@dataclass
class RevisionsListed(Message):
    """The revisions of a model that are on this machine.

    Attributes:
        name: of the model.
        revisions: `step9`, `step10`, …, and last `main`.
        step: which way to go from the one that is open.
    """

    name: str
    revisions: tuple[str, ...]
    step: int
