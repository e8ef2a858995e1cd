"""The messages about models that may be opened: immutable snapshots."""

from __future__ import annotations

from dataclasses import dataclass

from textual.message import Message


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model that may be opened.

    Attributes:
        name: `OWNER/NAME`, a folder or a GGUF file; empty for the bundled model.
        where: `cache`, `folder`, `GGUF` or `bundled`; `partly` for a model that is half downloaded;
            `folder …` for a folder that is no model but may hold some; `adapter`.
        family: transformers' name for the architecture, or empty.
        size: bytes of the weight files; 0 where that is not known.
        needed: bytes of memory that the model will take, about; None where its files do not say.
        used: the last use, in seconds since 1970; 0 where that is not known.
        revisions: the branches and tags that are on this machine.
        base: of an adapter, the model that it was trained on; empty for a whole model.
    """

    name: str
    where: str
    family: str = ""
    size: int = 0
    needed: int | None = None
    used: float = 0.0
    revisions: tuple[str, ...] = ()
    base: str = ""


@dataclass
class ModelsListed(Message):
    """The models on this machine.

    Attributes:
        models: the models, in the order in which they are shown.
        free: bytes of memory that a model may take; None where that is not known.
        peak: the most bytes of memory that this program has taken so far.
        device: the device whose memory that is.
        dtype: the dtype of the weights once loaded, as the user named it.
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
        models: the models and folders found.
        trouble: why nothing was found, one sentence; empty where something was.
    """

    typed: str
    models: tuple[ListedModel, ...]
    trouble: str = ""


@dataclass
class RevisionsListed(Message):
    """The revisions of a model that are on this machine.

    Attributes:
        name: the name of the model.
        revisions: the revisions in order: `step9`, `step10`, …, and last `main`.
        step: the direction to go from the open revision, 1 for the next and -1 for the one before.
    """

    name: str
    revisions: tuple[str, ...]
    step: int
