"""The curve of a fit in forms of text: what was measured on held-out text, step by step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from math import isfinite
from statistics import fmean

from lenstui.export.csv_text import csv_lines
from lenstui.export.json_contract import without_nan
from lenstui.lens.card import LensCard
from lenstui.lens.fit_history import FitPoint, curve_of
from lenstui.lens.kinds import TUNED
from lenstui.lens.names import adapter_of
from lenstui.opening.source import AdapterSource, LensSource, Source
from lenstui.readout.cells import row_labels
from lenstui.readout.number_texts import nats_text
from lenstui.support.printable import printable

VERSION = 1


def fit_source(card: LensCard) -> Source:
    """Return the source of a fit's numbers, as far as the card says it."""
    revision, adapter = card.config.get("base_model_revision"), adapter_of(card.config)
    versions = card.fit.get("versions") or {}
    return Source(
        model=card.made_for or "a model that it does not name",
        revision=revision,
        adapter=None if adapter is None else AdapterSource(adapter, "adapter", ""),
        dtype="",
        wiring=(),
        versions=tuple((name, version) for name, version in versions.items() if name != "lenstui"),
        lenses=(LensSource(TUNED, card.kind, card.name, card.path.name, {}),),
        kinds=(card.kind,),
    )


def fit_notes(points: Sequence[FitPoint], card: LensCard) -> Iterator[str]:
    """Yield what is to be said of a fit, and of what was measured on the way."""
    fit = card.fit
    last = points[-1]
    how = [fit.get("method"), f"preset {fit['preset']}" if fit.get("preset") else "", f"{last.step} steps"]
    how += [f"{last.tokens:,} tokens", f"seed {fit['seed']}" if "seed" in fit else ""]
    yield "fit: " + ", ".join(filter(None, how))
    yield f"text: {', '.join(fit['data'])}" if fit.get("data") else ""
    columns = dict.fromkeys(point.columns for point in points)
    yield f"measured on {' and '.join(f'{count:,}' for count in columns)} held-out columns" + (
        ", the fewer on the way" if len(columns) > 1 else ""
    )
    if logit := card.logit_lens_kl:
        yield f"the logit lens on the same text: {nats_text(fmean(logit))} nats in the mean of all rows"
    made_by = (fit.get("versions") or {}).get("lenstui")
    yield f"fitted by lenstui {made_by}, {fit.get('time') or 'at an unknown time'}" if made_by else ""


def curve_text(form: str, card: LensCard) -> str:
    """Return the curve of a fit as `table`, `csv` or `json`.

    Raises:
        LensError: if the card has none.
    """
    points = curve_of(card.fit, card.name)
    labels = row_labels(card.blocks)[: len(points[0].held_out_kl)]
    if form == "json":
        said = {"version": VERSION, "lens": card.name, "model": card.made_for, "rows": list(labels)}
        logit = None if card.logit_lens_kl is None else list(card.logit_lens_kl)
        plain = [{**point.plain, "held_out_kl": without_nan(point.held_out_kl)} for point in points]
        return json.dumps({**said, "logit_lens_kl": logit, "history": plain}, allow_nan=False) + "\n"
    if form == "csv":
        head = ["step", "tokens", "held_out_columns", "row", "held_out_kl"]
        lines = (
            [str(point.step), str(point.tokens), str(point.columns), label, repr(kl) if isfinite(kl) else ""]
            for point in points
            for label, kl in zip(labels, point.held_out_kl, strict=True)
        )
        return "".join(csv_lines([head, *lines]))
    return "".join(_table(points, labels, card))


def _table(points: Sequence[FitPoint], labels: Sequence[str], card: LensCard) -> Iterator[str]:
    widths = [max(6, len(label)) for label in labels]
    heads = " ".join(label.rjust(width) for label, width in zip(labels, widths, strict=True))
    yield f"{'step':>6} {'mean':>6} {heads}\n"
    for point in points:
        cells = zip(point.held_out_kl, widths, strict=True)
        numbers = " ".join(nats_text(kl).rjust(width) for kl, width in cells)
        yield f"{point.step:>6} {nats_text(fmean(point.held_out_kl)):>6} {numbers}\n"
    yield "held-out KL to final, nats, by row\n"
    yield from (f"{printable(note)}\n" for note in fit_notes(points, card) if note)
