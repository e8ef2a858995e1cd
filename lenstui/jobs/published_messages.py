"""The messages about lenses on the hub: immutable snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from lenstui.lens.published.published_lens import PublishedLens
    from lenstui.model.hub_process import DownloadProgress


@dataclass(frozen=True, slots=True)
class Download:
    """A download of a lens that is under way.

    Attributes:
        lens: the lens.
        progress: its progress; None before the first bytes.
    """

    lens: PublishedLens
    progress: DownloadProgress | None = None

    @property
    def text(self) -> str:
        """How far it is, in a few words."""
        return "asking the hub" if self.progress is None else self.progress.text


@dataclass(frozen=True, slots=True)
class PublishedStatus:
    """What is known of the lenses on the hub, and of the download of one of them.

    Attributes:
        model: the name of the model that they were asked for; None where no model is open.
        is_asked: whether the hub was asked yet.
        is_searching: whether more may come.
        lenses: the lenses, in the order in which they are shown.
        here: the names of those that are on this machine.
        troubles: one line on each repository that could not be looked through, or on why none could.
        download: the download under way, if any.
        outcome: why the last download ended early, one line; empty where it did not.
    """

    model: str | None = None
    is_asked: bool = False
    is_searching: bool = False
    lenses: tuple[PublishedLens, ...] = ()
    here: frozenset[str] = frozenset()
    troubles: tuple[str, ...] = ()
    download: Download | None = None
    outcome: str = ""


@dataclass
class PublishedChanged(Message, bubble=False):
    """The new status of the lenses on the hub."""

    status: PublishedStatus


@dataclass
class LensArrived(Message):
    """The message that a lens was downloaded, and where its file is."""

    lens: PublishedLens
    path: Path


@dataclass
class LensNotDownloaded(Message):
    """The message that a lens was not downloaded, and why."""

    text: str
