"""The outlier scores of a prompt set in files and texts: the reference, each prompt's scores, the AUROC."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenstui.readout.number_texts import score_text
from lenstui.readout.sets.auroc import Auroc, Separation, separations
from lenstui.readout.sets.cases import CaseReadout, FailedCase
from lenstui.readout.sets.outlier_methods import NEIGHBOURS, SEED, OutlierMethod, outlier_methods
from lenstui.readout.sets.outliers import OutlierReference
from lenstui.readout.sets.prompts import PromptSet
from lenstui.support.fixed_text import fixed_text
from lenstui.texts.files import listed

HIGHER = "the higher a score, the more of an outlier"


@dataclass(frozen=True, slots=True)
class OutlierFacts:
    """The facts about the outlier scores that all prompts of a set share.

    Attributes:
        reference: the name of the reference set: its file as the user named it.
        prompts: the number of its prompts that the scores are fitted on.
        left_out: the number of those that have no trajectory.
        trajectory: the key of the kind of trajectory.
        label: what its numbers are.
        features: the lens and the row of each feature; of the last row the lens is None.
        constant: those of the features that are not used, as they are the same for the whole reference.
        methods: the methods of the scores.
        normal: the group of normal prompts; None for the first of the set.
    """

    reference: str
    prompts: int
    left_out: int
    trajectory: str
    label: str
    features: tuple[tuple[str | None, str], ...]
    constant: tuple[tuple[str | None, str], ...]
    methods: tuple[OutlierMethod, ...]
    normal: str | None = None

    def facts(self) -> dict[str, Any]:
        """Return them as plain values by name."""
        return {
            "reference": self.reference,
            "n_reference": self.prompts,
            "left_out": self.left_out,
            "trajectory": self.trajectory,
            "of": self.label,
            "features": [{"lens": lens, "row": row} for lens, row in self.features],
            "constant": [{"lens": lens, "row": row} for lens, row in self.constant],
            "methods": [method.stored for method in self.methods],
            "seed": SEED,
            "neighbours": min(NEIGHBOURS, self.prompts - 1),
        }

    @property
    def text(self) -> str:
        """What the scores are, and on what they are fitted, on one line."""
        return f"outlier scores · {self._fitted(self.reference)} · {HIGHER}"

    @property
    def short(self) -> str:
        """The features, and on what the scores are fitted, without the folder of its file."""
        return self._fitted(Path(self.reference).name)

    def _fitted(self, reference: str) -> str:
        features = f"{len(self.features)} feature{'s' * (len(self.features) != 1)}"
        return f"{features}: {self.label} · fitted on {self.prompts} prompts of {reference}"

    def scores(self, readout: CaseReadout) -> list[str]:
        """Return a prompt's scores as text, by method."""
        return [score_text(readout.scores.get(method.key, float("nan"))) for method in self.methods]

    def separations(self, readouts: Iterable[CaseReadout | FailedCase]) -> list[Separation]:
        """Return how well the scores tell each group from the normal one.

        Raises:
            LensError: if no prompt of the normal group has scores.
        """
        return separations(readouts, self.normal)


def outlier_facts(
    reference: OutlierReference, name: str, rows: Sequence[str], normal: str | None = None
) -> OutlierFacts:
    """Return the facts about scores against a reference.

    Args:
        reference: the reference.
        name: the name of its set.
        rows: the labels of the rows that were read.
        normal: the group of normal prompts; None for the first of the set.
    """
    return OutlierFacts(
        name,
        len(reference.prompts),
        len(reference.left_out),
        reference.trajectory.key,
        reference.trajectory.label,
        tuple(reference.names(rows)),
        tuple(reference.constant_names(rows)),
        tuple(method for method in outlier_methods() if method.key in reference.methods),
        normal,
    )


def separation_head(separation: Separation) -> str:
    """Return what is told apart, in few words: `injected (20)`."""
    return f"{separation.group or 'all others'} ({separation.n})"


def separation_title(separation: Separation, group_text: Callable[[str], str] = str) -> str:
    """Return the title of a table of areas that are all against the same normal group.

    Args:
        separation: one of the areas.
        group_text: returns the normal group as it is to be written.
    """
    return f"AUROC against {group_text(f'{separation.normal} ({separation.n_normal})')}, 95 % interval"


def auroc_texts(auroc: Auroc) -> tuple[str, str]:
    """Return an area and its interval as text: `0.97`, `0.91 to 0.99`."""
    return fixed_text(auroc.value, 2), f"{fixed_text(auroc.low, 2)} to {fixed_text(auroc.high, 2)}"


def separation_text(separation: Separation) -> str:
    """Return the areas of one group on one line."""
    by_method = []
    for method in outlier_methods():
        if method.key in separation.methods:
            value, interval = auroc_texts(separation.methods[method.key])
            by_method.append(f"{method.label} {value} ({interval})")
    against = f"{separation.normal} ({separation.n_normal})"
    return f"AUROC of {separation_head(separation)} against {against}: {', '.join(by_method)}"


def separation_line(separation: Separation) -> str:
    """Return the areas of one group on a short line: `AUROC injected/plain: LOF 0.97 (0.91–0.99)`."""
    by_method = []
    for method in outlier_methods():
        if method.key in separation.methods:
            value, interval = auroc_texts(separation.methods[method.key])
            by_method.append(f"{method.short} {value} ({interval.replace(' to ', '–')})")
    return f"AUROC of {separation.group or 'all but ' + separation.normal} against {separation.normal}: " + (
        " · ".join(by_method)
    )


def separation_facts(separation: Separation) -> dict[str, Any]:
    """Return the areas of one group as plain values by name."""
    return {
        "group": separation.group,
        "n": separation.n,
        "normal": separation.normal,
        "n_normal": separation.n_normal,
        **{
            method.stored: {"auroc": area.value, "low": area.low, "high": area.high}
            for method in outlier_methods()
            if (area := separation.methods.get(method.key)) is not None
        },
    }


def score_facts(readout: CaseReadout, methods: Iterable[OutlierMethod]) -> dict[str, float | None]:
    """Return a prompt's scores by their names in files, None where it has none."""
    return {method.stored: readout.scores.get(method.key) for method in methods}


def reference_remarks(reference: OutlierReference, prompts: PromptSet, rows: Sequence[str]) -> Iterator[str]:
    """Yield remarks on a reference set: what was left out of it, and whether scored prompts are in it.

    Args:
        reference: the reference.
        prompts: the set that is scored.
        rows: the labels of the rows that were read.
    """
    if left_out := reference.left_out:
        count, total = len(left_out), len(left_out) + len(reference.prompts)
        first = f"{left_out[0].case.number}: {left_out[0].reason}"
        are = "is" if count == 1 else "are"
        yield f"{count} of {total} prompts of the reference {are} left out ({first})"
    if constant := reference.constant_names(rows):
        named = listed(f"{lens} {row}" if lens else row for lens, row in constant)
        yield f"What is the same in all prompts of the reference is no feature: {named}."
    known = set(reference.prompts)
    if (shared := sum(case.text in known for case in prompts.cases)) > 0:
        are = "is" if shared == 1 else "are"
        yield (
            f"{shared} of {len(prompts.cases)} prompts {are} in the reference too, on which the scores are "
            "fitted: theirs are lower than those of other prompts like them."
        )
