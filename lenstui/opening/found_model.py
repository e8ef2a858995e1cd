"""From what the user asked for to the files of a model and its adapter."""

from __future__ import annotations

from dataclasses import dataclass

from lenstui.model.adapter_files import Adapter, is_adapter
from lenstui.model.hub import (
    Choice,
    choose_default,
    find_adapter,
    find_base,
    find_local,
    resolve,
)
from lenstui.model.hub_process import OnProgress, ShouldStop
from lenstui.model.name import BUNDLED_MODEL, DEFAULT_MODEL, split_revision
from lenstui.support.errors import LensError
from lenstui.support.paths import bundled_model
from lenstui.support.request import Again, Start


@dataclass(frozen=True, slots=True)
class FoundModel:
    """The files of a model.

    Attributes:
        choice: the model, without its adapter.
        revision: its revision on the hub, where one was named.
        adapter: the adapter, if any.
    """

    choice: Choice
    revision: str | None = None
    adapter: Adapter | None = None


def find_model(start: Start, on_progress: OnProgress, should_stop: ShouldStop) -> FoundModel:
    """Find the files of a model and its adapter, and download what is missing.

    Args:
        start: the request.
        on_progress: called with the progress of a download.
        should_stop: called during a download; True ends it.

    Raises:
        LensError: if a model or an adapter cannot be found or used; one line that says what to do.
    """
    adapter = None
    if start.adapter is not None:
        adapter = find_adapter(start.adapter, on_progress, should_stop)
    if start.demo:
        return FoundModel(Choice(BUNDLED_MODEL, bundled_model(), None), adapter=adapter)
    if start.model is not None:
        place = resolve(
            start.model,
            start.revision,
            with_code=start.trust_remote_code,
            on_progress=on_progress,
            should_stop=should_stop,
        )
        if not is_adapter(place):
            return FoundModel(Choice(start.model, place, None), start.revision, adapter)
        if adapter is not None:
            raise LensError(
                f"{start.model} is an adapter too: --model is for a whole model beside --adapter."
            )
        adapter = Adapter.read(place, start.model, start.revision)
    if adapter is not None:
        if start.trust_remote_code:
            raise LensError(
                "--trust-remote-code is for a model that you name and know: "
                f"give --model {adapter.base or 'MODEL'} --adapter {adapter.typed}."
            )
        return FoundModel(find_base(adapter, on_progress, should_stop), adapter.base_revision, adapter)
    if start.again is not None and (last := _last_model(start.again)) is not None:
        return last
    return FoundModel(choose_default(on_progress, should_stop))


def _last_model(again: Again) -> FoundModel | None:
    """Return the model of the last session, if it is on this machine and is not opened anyway."""
    if again.adapter is None and again.model in {BUNDLED_MODEL, DEFAULT_MODEL}:
        return None
    adapter, title = None, again.model
    if again.adapter is not None:
        name, revision = split_revision(again.adapter)
        if (place := find_local(name, revision)) is None:
            return None
        adapter, title = Adapter.read(place, name, revision), f"{again.model} + {again.adapter}"
    folder = bundled_model() if again.model == BUNDLED_MODEL else find_local(again.model)
    reason = f"{title} is the model of the last session: --no-restore opens the default one"
    return None if folder is None else FoundModel(Choice(again.model, folder, reason), adapter=adapter)
