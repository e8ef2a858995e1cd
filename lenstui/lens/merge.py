"""Jacobian lenses of disjoint prompts merged into one: the mean of their matrices, weighted by prompts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lenstui.lens.fingerprint import are_of_same_weights
from lenstui.lens.jacobian import JacobianLens
from lenstui.lens.lens import Lens
from lenstui.lens.names import kind_word
from lenstui.model.rows import Row
from lenstui.support.errors import LensError

IN_MEMORY = "texts"  # what a card says of texts that were in no file
_MADE_ALIKE = ("target", "rule", "skip_first")
_KEPT = ("method", "seq_len", "skip_first", "target", "rule", "estimator")  # where all cards say the same
_SUMMED = ("steps", "tokens", "seconds")


def merged(lenses: Sequence[Lens], folder: Path) -> JacobianLens:
    """Return the mean of Jacobian lenses, weighted by the number of prompts that each was fitted on.

    With prompts that count alike, that is the lens of a fit on all of them. It is computed row by row, in
    float64, from matrices that may be memory-mapped; each row of the result lies in a file of its own.

    Args:
        lenses: two lenses or more, from `open_lens`.
        folder: a folder for the rows of the result, which has to stay as long as the result is used.

    Raises:
        LensError: if one is no Jacobian lens, or they differ in shape, rows, model, target or rule; if a
            card does not say on how many prompts, or two say that they were fitted on the same ones; or if
            there is no room in `folder`.
    """
    jacobians = [_jacobian(lens) for lens in lenses]
    for one, other in combinations(jacobians, 2):
        _check_alike(one, other)
        _check_disjoint(one, other)
    weights = [_prompts(lens) for lens in jacobians]
    matrices = {
        row: _on_disk(_mean([lens.matrices[row] for lens in jacobians], weights), folder / f"{row}.row")
        for row in jacobians[0].matrices
    }
    config = next((lens.config for lens in jacobians if lens.config.get("fingerprint")), jacobians[0].config)
    return JacobianLens(matrices, config, _card(jacobians, weights), remarks=tuple(_doubts(jacobians)))


def _mean(matrices: Iterable[Tensor], weights: Sequence[int]) -> Tensor:
    """Return the weighted mean of matrices, in float32."""
    total = None
    for matrix, weight in zip(matrices, weights, strict=True):
        part = matrix.double().mul_(weight)
        total = part if total is None else total.add_(part)
    assert total is not None
    return (total / sum(weights)).float()


def _on_disk(matrix: Tensor, file: Path) -> Tensor:
    """Write a matrix to a file, and return it mapped from there."""
    try:
        matrix.numpy().tofile(file)
    except OSError as error:
        raise LensError(
            f"{file.parent} has no room for the merged lens: {error.strerror or error}."
        ) from error
    return torch.from_file(str(file), size=matrix.numel(), dtype=matrix.dtype).view_as(matrix)


def _named(lens: Lens) -> str:
    return str(lens.file or lens.name)


def _jacobian(lens: Lens) -> JacobianLens:
    if not isinstance(lens, JacobianLens):
        raise LensError(f"{_named(lens)} is a {kind_word(lens.kind)} lens: only Jacobian lenses merge.")
    return lens


def _prompts(lens: JacobianLens) -> int:
    count: int = lens.fit.get("n_prompts") or 0
    if not count:
        raise LensError(
            f"{_named(lens)} does not say on how many prompts it was fitted, so that it cannot be weighed."
        )
    return count


def _check_alike(one: JacobianLens, other: JacobianLens) -> None:
    both = f"{_named(one)} and {_named(other)}"
    if one.d_model != other.d_model:
        raise LensError(f"{both} are for models of other shapes: width {one.d_model} and {other.d_model}.")
    blocks = (one.num_blocks, other.num_blocks)
    if None not in blocks and len(set(blocks)) > 1:
        raise LensError(f"{both} are for models of other shapes: {blocks[0]} and {blocks[1]} blocks.")
    if one.matrices.keys() != other.matrices.keys():
        raise LensError(f"{both} have other rows: {_rows(one)}, and {_rows(other)}.")
    names = [lens.config.get("base_model_name_or_path") for lens in (one, other)]
    same = are_of_same_weights(one.config.get("fingerprint"), other.config.get("fingerprint"))
    if same is False or (same is None and None not in names and names[0] != names[1]):
        raise LensError(f"{both} are for other models: {names[0]} and {names[1]}.")
    for key in _MADE_ALIKE:
        ours, theirs = (lens.fit.get(key) for lens in (one, other))
        if None not in {ours, theirs} and ours != theirs:
            raise LensError(f"{both} are means of other things: {key} is {ours} and {theirs}.")


def _check_disjoint(one: JacobianLens, other: JacobianLens) -> None:
    """Refuse two lenses that were fitted on the same prompts, as far as their cards and matrices tell."""
    both = f"{_named(one)} and {_named(other)}"
    row = next(iter(one.matrices))
    if torch.equal(one.matrices[row], other.matrices[row]):
        raise LensError(f"{both} have the same matrices: leave one out.")
    if (shared := _shared_texts(one, other)) and one.fit.get("seed") == other.fit.get("seed"):
        raise LensError(
            f"{both} were fitted on the same text ({shared[0]}, seed {one.fit.get('seed')}), so that they "
            "share prompts, which would count twice: merge lenses of other texts."
        )


def _shared_texts(one: JacobianLens, other: JacobianLens) -> list[str]:
    """Return the names of the texts that both cards name; texts in memory have none."""
    theirs = other.fit.get("data") or ()
    return [name for name in one.fit.get("data") or () if name in theirs and name != IN_MEMORY]


def _doubts(lenses: Sequence[JacobianLens]) -> Iterable[str]:
    """Yield what the cards leave open, each a sentence without its full stop."""
    for one, other in combinations(lenses, 2):
        if shared := _shared_texts(one, other):
            yield (
                f"{one.name} and {other.name} were both fitted on {shared[0]}: where that is one file, they "
                "share prompts"
            )
    for key in ("target", "rule"):
        silent = [lens.name for lens in lenses if lens.fit.get(key) is None]
        if silent and len(silent) < len(lenses):
            yield f"{' and '.join(silent)} does not say its {key}"


def _rows(lens: JacobianLens) -> str:
    return ",".join(Row(row).label for row in sorted(lens.matrices))


def _card(lenses: Sequence[JacobianLens], weights: Sequence[int]) -> Mapping[str, Any]:
    """Return how the merged lens was made. It has no convergence, which nobody has measured."""
    cards = [lens.fit for lens in lenses]
    fit: dict[str, Any] = {"n_prompts": sum(weights)}
    fit |= {
        key: cards[0][key] for key in _KEPT if key in cards[0] and _all_same(card.get(key) for card in cards)
    }
    for key in _SUMMED:
        if all(isinstance(card.get(key), int | float) for card in cards):
            fit[key] = sum(card[key] for card in cards)
    data = dict.fromkeys(name for card in cards for name in card.get("data") or ())
    if data:
        fit["data"] = list(data)
    fit["merged"] = [f"{lens.name} ({n} prompts)" for lens, n in zip(lenses, weights, strict=True)]
    return fit


def _all_same(values: Iterable[Any]) -> bool:
    first, *others = values
    return all(value == first for value in others)
