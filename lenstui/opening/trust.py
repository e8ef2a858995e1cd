"""Where it is known how far the rows of a side's lens can be trusted: its last evaluation, or its card."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.lens.card import LensCard, Match
from lenstui.lens.kinds import JACOBIAN, LOGIT, TUNED
from lenstui.lens.last_evaluation import LastEvaluation, last_evaluations, logit_evaluations
from lenstui.lens.trust import Trust
from lenstui.opening.sides import Side
from lenstui.readout.cells import row_labels

if TYPE_CHECKING:
    from lenstui.lens.lens import Lens
    from lenstui.model.load import Model


def trust_of(side: Side) -> Trust | None:
    """Return what is known of the rows of a side's lens; None where nothing is.

    For a tuned lens that is the KL of its last evaluation on the side's model, else the held-out KL of its
    fit, if that was for these weights; for a Jacobian lens its convergence; for the logit lens the KL of its
    last evaluation on the model, else that beside a tuned lens at hand. Edits of the side do not count.
    """
    lens, model = side.lens, side.model
    if lens is None:
        return None
    if lens.kind == LOGIT:
        return _of_logit_lens(side)
    card = _card(lens, model)
    if lens.kind == JACOBIAN:
        figures = card.convergence if _is_for(lens, model) else None
        return _by_row(model, card.own_rows, figures, "measured in its fit", is_convergence=True)
    evaluation = None if lens.file is None else last_evaluations().get(lens.file.absolute())
    if evaluation is not None and evaluation.model == model.title and evaluation.kl_by_row:
        return _evaluated(model, evaluation)
    figures = card.held_out_kl if _is_for(lens, model) else None
    return _by_row(model, card.own_rows, figures, "held out in its fit")


def _of_logit_lens(side: Side) -> Trust | None:
    from lenstui.lens.fingerprint import fingerprint_digest

    model = side.model
    evaluation = logit_evaluations().get(fingerprint_digest(model))
    if evaluation is not None and evaluation.kl_by_row:
        return _evaluated(model, evaluation)
    for lens in side.opened.lenses_of(TUNED):
        card = _card(lens, model)
        if card.logit_lens_kl is not None and _is_for(lens, model):
            source = f"held out in the fit of {lens.name}" if lens.name else "held out in a fit"
            return _by_row(model, card.own_rows, card.logit_lens_kl, source)
    return None


def _evaluated(model: Model, evaluation: LastEvaluation) -> Trust | None:
    return _by_row(model, range(model.num_blocks), evaluation.kl_by_row, f"eval on {evaluation.text}")


def _by_row(
    model: Model,
    rows: Iterable[int],
    figures: Iterable[float] | None,
    source: str,
    *,
    is_convergence: bool = False,
) -> Trust | None:
    """Return figures of rows by their labels, those of the last row left out; None without any."""
    labels = row_labels(model.num_blocks)[:-1]
    pairs = zip(rows, figures or (), strict=False)
    by_label = {labels[row]: figure for row, figure in pairs if row < len(labels)}
    return Trust(by_label, source, is_convergence) if by_label else None


def _is_for(lens: Lens, model: Model) -> bool:
    """Return whether a lens was made for a model's weights, as far as they can be compared."""
    from lenstui.lens.compatibility import compare_weights, match_weights

    return match_weights(compare_weights(lens.config, model)) is not Match.OTHER_WEIGHTS


def _card(lens: Lens, model: Model) -> LensCard:
    """Return the card of a lens at hand, which may have no file."""
    from lenstui.lens.jacobian import JacobianLens

    blocks, d_model = lens.shape or (model.num_blocks, model.d_model)
    rows = tuple(lens.matrices) if isinstance(lens, JacobianLens) else None
    file = lens.file or Path(lens.name)
    return LensCard(file, lens.config, lens.fit, blocks, d_model, 0, 0.0, lens.kind, rows)
