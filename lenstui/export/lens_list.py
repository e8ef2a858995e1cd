"""The lists of `lenstui lenses`, as text and as JSON: lenses on this machine, and lenses on the hub."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.cells import cell_len, set_cell_size

from lenstui.lens.card import LensCard, Match
from lenstui.lens.kinds import TUNED
from lenstui.lens.names import kind_word
from lenstui.lens.origin import Origin
from lenstui.lens.published.published_lens import PublishedLens
from lenstui.readout.number_texts import mean_nats_text, size_text
from lenstui.support.printable import printable
from lenstui.support.version import __version__

VERSION = 1
Matched = tuple[LensCard, Match | None]
"""A lens, and how closely it matches the model that was named; None where none was."""

_SHORT = 12  # characters of a commit
_EVALUATED = "last evaluation"
_LOCAL = ("lens", "kind", "made for", "fits", "KL", "logit", "date", "size", _EVALUATED)
_HUB = ("fits", "kind", "size", "commit", "here", "lens")


def by_match(lenses: Iterable[Matched], *, by_kl: bool = False) -> list[Matched]:
    """Return lenses with those first that match the model most closely; others keep their order.

    Args:
        lenses: the lenses.
        by_kl: whether those that match alike are ordered by the mean KL of their last evaluation, the least
            first and those without one last.
    """

    return sorted(lenses, key=lambda lens: place_of(*lens, by_kl=by_kl))


def place_of(card: LensCard, match: Match | None, *, by_kl: bool) -> tuple[int, float]:
    """Return what lenses are ordered by, as `by_match` does."""
    kl = card.evaluation.kl if card.evaluation is not None and by_kl else None
    return 0 if match is None else list(Match).index(match), math.inf if kl is None else kl


def local_text(lenses: Sequence[Matched], model: str | None) -> str:
    """Return the table of the lenses on this machine, with the columns that the screen has.

    Args:
        lenses: the lenses.
        model: the name of the model that was named, if any; without it nothing is said of what fits.
    """
    if not lenses:
        return "No lenses yet: lenstui train fits one, lenstui lenses --hub lists those on the hub.\n"
    lines = [
        (
            card.name,
            kind_word(card.kind),
            " + ".join(filter(None, (card.made_for, card.adapter))),
            "" if match is None else match.value,
            mean_nats_text(card.held_out_kl),
            mean_nats_text(card.logit_lens_kl) if card.kind == TUNED else mean_nats_text(None),
            f"{datetime.fromtimestamp(card.modified):%Y-%m-%d}",
            size_text(card.size),
            "" if card.evaluation is None else card.evaluation.in_words,
        )
        for card, match in lenses
    ]
    is_evaluated = any(card.evaluation is not None for card, _ in lenses)
    without = [*([] if model is not None else ["fits"]), *([] if is_evaluated else [_EVALUATED])]
    return _table(_LOCAL, lines, without)


def hub_text(lenses: Sequence[PublishedLens], model: str | None) -> str:
    """Return the table of the lenses on the hub; the name of each, for `--get`, stands last.

    Args:
        lenses: the lenses.
        model: the name of the model that they are for; None where none was named.
    """
    if not lenses:
        of_model = "" if model is None else f" for {model}"
        return f"No lenses{of_model} are in the repositories that lenstui knows.\n"
    lines = [
        (
            "" if lens.suits is None else lens.suits.value,
            kind_word(lens.kind),
            size_text(lens.size),
            lens.commit[:_SHORT],
            "yes" if lens.is_here else "",
            lens.name,
        )
        for lens in lenses
    ]
    return _table(_HUB, lines, without=() if model is not None else ("fits",))


def local_json(lenses: Sequence[Matched], model: str | None) -> str:
    """Return the lenses on this machine as JSON."""
    return _json(model, lenses=[_local(card, match) for card, match in lenses])


def hub_json(lenses: Sequence[PublishedLens], model: str | None) -> str:
    """Return the lenses on the hub as JSON."""
    return _json(model, lenses=[_published(lens) for lens in lenses])


def got_json(lens: PublishedLens, file: Path) -> str:
    """Return a lens that was downloaded, and its file, as JSON."""
    return _json(None, **_published(lens) | {"file": str(file)})


def _local(card: LensCard, match: Match | None) -> dict[str, Any]:
    origin = Origin.in_fit(card.fit)
    return {
        "name": card.name,
        "file": str(card.path),
        "kind": card.kind,
        "made_for": card.made_for,
        "adapter": card.adapter,
        "fits": None if match is None else match.value,
        "held_out_kl": card.held_out_kl,
        "logit_lens_kl": card.logit_lens_kl,
        "convergence": card.convergence,
        "modified": datetime.fromtimestamp(card.modified).astimezone().isoformat(timespec="seconds"),
        "size": card.size,
        "evaluation": None if card.evaluation is None else asdict(card.evaluation),
        "origin": None if origin is None else asdict(origin),
    }


def _published(lens: PublishedLens) -> dict[str, Any]:
    return {
        "name": lens.name,
        "repository": lens.repository,
        "type": lens.type,
        "revision": lens.revision,
        "commit": lens.commit,
        "path": lens.path,
        "kind": lens.kind,
        "made_for": lens.made_for,
        "fits": None if lens.suits is None else lens.suits.value,
        "size": lens.size,
        "file": str(lens.place) if lens.is_here else None,
    }


def _json(model: str | None, **facts: Any) -> str:
    return json.dumps({"version": VERSION, "lenstui": __version__, "model": model, **facts}, indent=1) + "\n"


def _table(headings: Sequence[str], lines: Sequence[Sequence[str]], without: Sequence[str]) -> str:
    """Return columns beside each other, without some of them; numbers, in `KL` and the like, on the right."""
    shown = [i for i, heading in enumerate(headings) if heading not in without]
    rows = [[printable(row[i]) for i in shown] for row in (headings, *lines)]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    right = [headings[i] in {"KL", "logit", "size"} for i in shown]
    return "".join(
        "  ".join(
            " " * (width - cell_len(text)) + text if is_right else set_cell_size(text, width)
            for text, width, is_right in zip(row, widths, right, strict=True)
        ).rstrip()
        + "\n"
        for row in rows
    )
