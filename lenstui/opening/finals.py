"""How far the sides of one prompt part in the end: KL between their final distributions, column by column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lenstui.opening.side_reading import SideReading, side_model
from lenstui.opening.sides import Sides
from lenstui.readout.cells import FloatArray

if TYPE_CHECKING:
    from lenstui.model.tokens import Prompt


def final_divergences(
    sides: Sides, asked: SideReading, prompts: Sequence[Prompt]
) -> Iterator[tuple[int, FloatArray]]:
    """Yield KL(first ‖ side) of the final distributions, nats, `[cols]`, with the place of the side.

    Left out are sides with a prompt of their own, those with the model and the edits of the first side, whose
    final distributions are the same, and those of which either model's logits stay elsewhere. Where the
    vocabularies are not of the same size, as one is padded, both distributions are those over the tokens that
    both have.

    Args:
        sides: the sides.
        asked: the prompt and options.
        prompts: from `side_prompts`.
    """
    from lenstui.lens.logit import LogitLens
    from lenstui.readout.against import Against
    from lenstui.readout.tiles import read_tiles

    first = side_model(sides.first, prompts[0], asked)
    of_runs: dict[tuple[object, ...], FloatArray] = {}
    for place, side in enumerate(sides.sides):
        if side.text is not None or side.run == sides.first.run:
            continue
        if sides.first.model.remote is not None or side.model.remote is not None:
            continue
        if side.run not in of_runs:
            against = Against(side_model(side, prompts[place], asked), {})
            against.begin(first, prompts[0].ids)
            last = [first.num_blocks]
            for _ in read_tiles(first, prompts[0], [LogitLens()], top_k=1, rows=last, watch=against):
                pass
            final = against.cells().final
            assert final is not None  # as the runs are not the same
            of_runs[side.run] = final.kl[0]
        yield place, of_runs[side.run]
