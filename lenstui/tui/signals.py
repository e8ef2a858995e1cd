"""The signals of the program, by which every screen hears of what everybody wants to know."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from textual import signal
from textual.app import App
from textual.dom import DOMNode

if TYPE_CHECKING:
    from lenstui.jobs.evaluation_messages import LensesEvaluated
    from lenstui.jobs.fit_messages import FitStatus
    from lenstui.jobs.instant_messages import InstantStatus
    from lenstui.jobs.messages import LoadFailed, LoadStage, OpenModel
    from lenstui.jobs.published_messages import PublishedStatus
    from lenstui.tui.fitted_cells import FittedCells


_What = TypeVar("_What")


class Signal(signal.Signal[_What]):
    """A signal that lets go of subscribers that are gone when another one comes.

    Textual keeps a closed screen, with all that it shows, until the signal is published: some seldom are.
    """

    def __init__(self, owner: DOMNode, name: str) -> None:
        super().__init__(owner, name)
        self._subscribers: WeakSet[DOMNode] = WeakSet()

    def subscribe(self, node: DOMNode, callback: Callable[[_What], Any], immediate: bool = False) -> None:
        """Have a callback called with what is published, as long as a node is there."""
        for former in [each for each in self._subscribers if not each.is_running]:
            self.unsubscribe(former)
            self._subscribers.discard(former)
        self._subscribers.add(node)
        super().subscribe(node, callback, immediate)


class Signals:
    """The signals that every screen may subscribe to.

    Signals are published on the app's own thread, after the state is stored. A screen subscribes when it is
    mounted, and first reads the state: `Services.model`, `Services.loading`, `FitService.status`.

    Attributes:
        loading: published when the loading of a model reaches another stage, or fails.
        model_opened: published when another model is open.
        lens_opened: published when the open model has another lens in use.
        sides_changed: published when other sides are on screen, or a side is read through another lens.
        fit_changed: published when a fit has come further.
        lenses_evaluated: published when lenses have another last evaluation.
        instant_changed: published when the instant lens of the open model has come further.
        published_changed: published when more is known of the lenses on the hub, or of a download of one.
        fitted_cells_read: published when columns of Explore's prompt were read through a fitted lens.
    """

    def __init__(self, app: App[Any]) -> None:
        self.loading: Signal[LoadStage | LoadFailed] = Signal(app, "loading")
        self.model_opened: Signal[OpenModel] = Signal(app, "model opened")
        self.lens_opened: Signal[OpenModel] = Signal(app, "lens opened")
        self.sides_changed: Signal[OpenModel] = Signal(app, "sides changed")
        self.fit_changed: Signal[FitStatus] = Signal(app, "fit changed")
        self.lenses_evaluated: Signal[LensesEvaluated] = Signal(app, "lenses evaluated")
        self.instant_changed: Signal[InstantStatus] = Signal(app, "instant changed")
        self.published_changed: Signal[PublishedStatus] = Signal(app, "published changed")
        self.fitted_cells_read: Signal[FittedCells] = Signal(app, "fitted cells read")
