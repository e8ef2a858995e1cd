"""Where the numbers of a readout come from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """What has to be said with a readout, so that it can be trusted and made again.

    Attributes:
        model: what the user called it: a hub id, a folder, or the bundled model.
        revision: the hub revision that was asked for, if any.
        dtype: of the weights, as PyTorch calls it.
        lens: file name of the tuned lens that was read, or None.
        wiring: the worst difference that each wiring check found, all of them passed.
        device: where it ran.
        versions: of torch and transformers, by name.
    """

    model: str
    revision: str | None
    dtype: str
    lens: str | None
    wiring: tuple[float, ...]
    device: str = "cpu"
    versions: tuple[tuple[str, str], ...] = ()
