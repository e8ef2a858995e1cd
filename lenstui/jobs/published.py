"""The service for screens that looks for lenses on the hub and downloads them, each on a thread of its own.

Both are child processes, which the threads wait for: nothing else waits for them, quitting neither.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from lenstui.jobs.failures import reporting
from lenstui.jobs.messages import Post
from lenstui.jobs.model import ModelJobs
from lenstui.jobs.published_messages import (
    Download,
    LensArrived,
    LensNotDownloaded,
    PublishedChanged,
    PublishedStatus,
)
from lenstui.jobs.thread import POST_EVERY, JobThread, Stop
from lenstui.lens.published.published_lens import PublishedLens
from lenstui.model.hub_process import DownloadProgress, DownloadStopped
from lenstui.support.lens_repository import LensRepository

STOPPED = "The download was stopped: what came is kept, and Enter goes on with it."


class PublishedService:
    """A service that looks for lenses on the hub, and downloads one at a time. Its methods return at once."""

    def __init__(
        self,
        post: Post,
        on_error: Callable[[BaseException], None],
        model_jobs: ModelJobs,
        own: Sequence[LensRepository] = (),
    ) -> None:
        """Prepare the service; nothing is asked yet.

        Args:
            post: takes the messages about the status, which are for every screen.
            on_error: takes an exception that was not expected, on any thread.
            model_jobs: the jobs with the open model.
            own: the user's own repositories.
        """
        self._post = post
        self._model_jobs = model_jobs
        self._own = tuple(own)
        self._search_thread = JobThread(on_error)
        self._download_thread = JobThread(on_error)
        self._lock = threading.Lock()  # of the status
        self.status = PublishedStatus()

    def search(self) -> None:
        """Look for lenses for the open model; an earlier search is given up."""
        self._say(is_asked=True, is_searching=True, lenses=(), here=frozenset(), troubles=(), outcome="")
        self._search_thread.submit("search", self._search)

    def download(self, lens: PublishedLens, post: Post) -> None:
        """Download a lens, from where an earlier download of it ended; one under way is stopped.

        Args:
            lens: the lens.
            post: takes the answer, `LensArrived` or `LensNotDownloaded`; none comes after `stop`.
        """
        self._say(download=Download(lens), outcome="")
        self._download_thread.submit("download", lambda stop: self._download(lens, post, stop))

    def stop(self) -> None:
        """Stop the download under way; what came is kept."""
        self._download_thread.submit("download", lambda stop: self._end_any())

    # ── on the two threads ───────────────────────────────────────────────────────────────────────────────

    def _search(self, stop: Stop) -> None:
        from lenstui.lens.published.hub import in_order, search
        from lenstui.lens.published.matching import WantedModel
        from lenstui.lens.published.repositories import lens_repositories

        opened = self._model_jobs.opened
        model = None if opened is None else opened.model
        wanted = None if model is None else WantedModel(model.name, model.num_blocks, model.d_model)
        lenses: list[PublishedLens] = []
        troubles: list[str] = []
        said = 0.0

        def show(*, is_searching: bool) -> None:
            nonlocal said
            if stop() or (is_searching and time.monotonic() - said < POST_EVERY):
                return
            said = time.monotonic()
            self._say(
                model=None if wanted is None else wanted.name,
                is_searching=is_searching,
                lenses=tuple(in_order(lenses, wanted)),
                here=frozenset(lens.name for lens in lenses if lens.is_here),
                troubles=tuple(troubles),
            )

        def have(lens: PublishedLens) -> None:
            lenses.append(lens)
            show(is_searching=True)

        def have_trouble(text: str) -> None:
            troubles.append(text)
            show(is_searching=True)

        try:
            with reporting(troubles.append, "The search for lenses failed"):
                search(lens_repositories(self._own), wanted, have, have_trouble, stop)
        finally:
            show(is_searching=False)

    def _download(self, lens: PublishedLens, post: Post, stop: Stop) -> None:
        from lenstui.lens.published.hub import download

        said = 0.0

        def show(progress: DownloadProgress) -> None:
            nonlocal said
            is_done = progress.done >= progress.total
            if not stop() and (is_done or time.monotonic() - said >= POST_EVERY):
                said = time.monotonic()
                self._say(download=Download(lens, progress))

        def refuse(text: str) -> None:
            self._end(lens, text)
            post(LensNotDownloaded(text))

        with reporting(refuse, f"{lens.name} was not downloaded"):
            try:
                path = download(lens, show, stop)
            except DownloadStopped:
                self._end(lens, STOPPED)
                return
            self._end(lens)
            post(LensArrived(lens, path))

    def _end(self, lens: PublishedLens, outcome: str = "") -> None:
        """Post that a download has ended, unless another has begun."""
        with self._lock:
            status = self.status
            here = status.here if outcome else status.here | {lens.name}
            is_ours = status.download is not None and status.download.lens == lens
            status = replace(status, here=here)
            self.status = replace(status, download=None, outcome=outcome) if is_ours else status
            self._post(PublishedChanged(self.status))

    def _end_any(self) -> None:
        """Post that a download was stopped before it began, if there is one."""
        if self.status.download is not None:
            self._say(download=None, outcome=STOPPED)

    def _say(self, **changes: Any) -> None:
        """Post the status with some changes."""
        with self._lock:
            self.status = replace(self.status, **changes)
            self._post(PublishedChanged(self.status))
