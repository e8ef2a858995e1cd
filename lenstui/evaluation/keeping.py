"""Keeping of an evaluation as the last one of each of its lenses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite

from lenstui.evaluation.evaluate import Quality
from lenstui.lens.fingerprint import fingerprint_digest
from lenstui.lens.kinds import JACOBIAN, LOGIT
from lenstui.lens.last_evaluation import LastEvaluation, keep_evaluations
from lenstui.lens.lens import Lens
from lenstui.model.load import Model


def keep_as_last(
    model: Model, lenses: Sequence[Lens], qualities: Mapping[str, Quality], data: Sequence[str]
) -> str | None:
    """Keep an evaluation for the card of each lens that has a file, and that of the logit lens.

    Args:
        model: the model that was read.
        lenses: the lenses, in the order of the qualities.
        qualities: the qualities by lens, under their keys.
        data: the files of the text.

    Returns:
        Why it could not be kept, in one line; None where it was.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    found, logit = {}, {}
    for lens, quality in zip(lenses, qualities.values(), strict=True):
        by_row = quality.kl[:-1]
        kl = quality.mean_kl if lens.kind != JACOBIAN and isfinite(quality.mean_kl) else None
        evaluation = LastEvaluation(
            model=model.title,
            data=tuple(data),
            tokens=quality.tokens,
            time=now,
            kl=kl,
            kl_by_row=by_row if kl is not None and all(map(isfinite, by_row)) else (),
        )
        if lens.file is not None:
            found[lens.file.absolute()] = evaluation
        elif lens.kind == LOGIT:
            logit[fingerprint_digest(model)] = evaluation
    return keep_evaluations(found, logit) if found or logit else None
