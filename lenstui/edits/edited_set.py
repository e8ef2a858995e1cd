"""A prompt set under edits: each prompt is read twice, clean and edited."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from lenstui.edits.edit import Edit, PromptError
from lenstui.edits.edited import edited
from lenstui.edits.language import parse_edit
from lenstui.lens.lens import Lens
from lenstui.model.load import Model
from lenstui.readout.reading import Reading
from lenstui.readout.sets.cases import CaseReadout, FailedCase, lenses_of_set, read_case
from lenstui.readout.sets.prompt_fields import Case
from lenstui.support.errors import SHORTER_PROMPT, failure


def read_edited_set(
    model: Model,
    cases: Iterable[Case],
    edits: Sequence[Edit | str],
    lens: Lens | Sequence[Lens] | None = None,
    *,
    reading: Reading | None = None,
    exact_targets: bool = False,
) -> Iterator[CaseReadout | FailedCase]:
    """Read the last column of every case clean and under edits. Closing the generator stops the work.

    The edits are made for each prompt anew: their columns are its own, their means over its own columns, and
    a patch puts the same prompt into all of them. Words in edits have directions through the first lens.

    Args:
        model: from `load`.
        cases: from `open_prompts` or `read_cases`.
        edits: the edits, also as they are typed; at least one.
        lens: as `read_set` takes it.
        reading: rows, final norm, BOS, chat template and readout filter; None for the defaults.
        exact_targets: whether to take targets as written, without putting a space before them.

    Yields:
        The readout of each case under the edits, in order, with the clean one as its `clean`; or the reason
        why there is none, such as a column that this prompt does not have.

    Raises:
        EditError: if a typed edit is not understood.
        LensError: if a lens or the reading does not fit the model, or the model lacks what an edit names.
    """
    reading = Reading() if reading is None else reading
    known = [parse_edit(edit) if isinstance(edit, str) else edit for edit in edits]
    lenses = lenses_of_set(model, lens, reading)
    for case in cases:
        clean = read_case(model.clean, case, lenses, reading, exact_targets=exact_targets)
        if isinstance(clean, FailedCase):
            yield clean
            continue
        try:
            changed = edited(model, known, case.typed, reading, lens=lenses[0])
        except PromptError as error:
            yield FailedCase(case, str(error))
            continue
        except (MemoryError, RuntimeError) as error:  # torch's out-of-memory errors are RuntimeErrors
            yield FailedCase(case, failure("Editing failed", error, SHORTER_PROMPT))
            continue
        readout = read_case(changed, case, lenses, reading, exact_targets=exact_targets)
        yield replace(readout, clean=clean) if isinstance(readout, CaseReadout) else readout
