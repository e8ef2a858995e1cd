"""A prompt set that was asked for on the command line, and its file."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.support.typed_path import expanded

if TYPE_CHECKING:
    from lenstui.opening.second_side import AskedAgainst
    from lenstui.readout.sets.prompts import PromptSet

_STDIN = "standard input"


@dataclass(frozen=True, slots=True)
class AskedOutliers:
    """The requested outlier scores of a prompt set.

    Attributes:
        reference: the file of the reference set, or `examples`.
        trajectory: the key of the kind of trajectory, if named.
        methods: the keys of the methods; None for all that can be used.
        normal: the group of normal prompts, if named.
    """

    reference: str
    trajectory: str | None = None
    methods: tuple[str, ...] | None = None
    normal: str | None = None

    @property
    def options(self) -> list[str]:
        """The options that request the same scores."""
        named = {
            "--outliers": self.reference,
            "--trajectory": self.trajectory,
            "--outlier-methods": None if self.methods is None else ",".join(self.methods),
            "--normal": self.normal,
        }
        return [f"{option}={name}" for option, name in named.items() if name is not None]


@dataclass(frozen=True, slots=True)
class AskedSet:
    """The requested prompt set.

    Attributes:
        prompts: its file; `-` for standard input, `examples` for the set that comes with lenstui.
        prompt_column: the column or field of the prompt, if named.
        target_column: the column or field of the target, if named.
        group_column: the column or field of the group, if named.
        corrupted_column: that of the corrupted prompt of a causal trace, if named.
        minus_column: that of the word that a trace takes off, if named.
        of_pairs: whether it is for causal traces.
        exact_targets: whether to take targets as written.
        value: the key of the means to show, if named.
        outliers: the outlier scores, if any.
        thinking: the thinking switch of prompts that are of turns; None leaves it to the chat template.
        foil_column: the column or field of the foil of a readout, if named.
        against: the second side that the set is read by, too; None for none.
        above: the limit of the first row where the target's probability is above it; None for the default.
        at: the column that prompts are read at which name none; None for the last.
    """

    prompts: str
    prompt_column: str | None = None
    target_column: str | None = None
    group_column: str | None = None
    corrupted_column: str | None = None
    minus_column: str | None = None
    of_pairs: bool = False
    exact_targets: bool = False
    value: str | None = None
    outliers: AskedOutliers | None = None
    thinking: bool | None = None
    foil_column: str | None = None
    against: AskedAgainst | None = None
    above: float | None = None
    at: str | None = None

    @property
    def options(self) -> list[str]:
        """The options that request the same set."""
        named = {
            "--prompts": self.prompts,
            "--prompt-column": self.prompt_column,
            "--corrupted-column": self.corrupted_column,
            "--target-column": self.target_column,
            "--minus-column": self.minus_column,
            "--foil-column": self.foil_column,
            "--group-column": self.group_column,
        }
        words = [f"{option}={name}" for option, name in named.items() if name is not None]
        words += [] if self.outliers is None else self.outliers.options
        words += ["--exact-targets"] if self.exact_targets else []
        words += [] if self.against is None else self.against.options
        words += [] if self.above is None else [f"--above={self.above:g}"]
        words += [] if self.at is None else [f"--at={self.at}"]
        return words if self.thinking is None else [*words, f"--{'' if self.thinking else 'no-'}thinking"]

    def of_reference(self, outliers: AskedOutliers) -> AskedSet:
        """Return the reference set of outlier scores, with the same fields but groups."""
        return replace(self, prompts=outliers.reference, group_column=None, outliers=None)


def opened_prompts(asked: AskedSet) -> PromptSet:
    """Read the cases of a requested set.

    Raises:
        LensError: as `open_prompts` does.
    """
    prompts = _opened(asked)
    cases = prompts.cases
    if asked.thinking is not None:
        cases = tuple(case.with_thinking(asked.thinking) for case in cases)
    if asked.at is not None:
        cases = tuple(case if case.at is not None else replace(case, at=asked.at) for case in cases)
    return replace(prompts, cases=cases)


def _opened(asked: AskedSet) -> PromptSet:
    from lenstui.readout.sets.prompt_fields import PromptFile
    from lenstui.readout.sets.prompts import (
        EXAMPLES,
        PromptSet,
        example_prompts,
        in_memory,
        open_prompts,
        read_lines,
        skipped_rows,
    )

    if asked.prompts == EXAMPLES:
        return example_prompts()
    path = Path(_STDIN) if asked.prompts == "-" else expanded(asked.prompts)
    file = PromptFile(
        path,
        prompt=asked.prompt_column,
        target=asked.target_column,
        group=asked.group_column,
        corrupted=asked.corrupted_column,
        minus=asked.minus_column,
        of_pairs=asked.of_pairs,
        foil=asked.foil_column,
    )
    if asked.prompts == "-":
        skipped = skipped_rows(path)
        unread: dict[str, None] = {}
        cases = in_memory(read_lines(sys.stdin.buffer, file, skipped, unread), path)
        return PromptSet(_STDIN, cases, skipped, tuple(unread))
    return open_prompts(file)
