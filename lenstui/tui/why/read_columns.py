"""What an attention head read, column by column, and how a logit grew from row to row, as lines of text."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from rich.text import Text

from lenstui.causal.contributions import Contributions
from lenstui.support.cell_width import fit
from lenstui.tui.why.part_map import contribution_text
from lenstui.tui.why.parts import Part

_TOKEN, _NUMBERS = 14, 26  # most cells of a token, and those of the place and the numbers of a line
_LEAST_BAR = 4
POSITIVE, NEGATIVE = "#e0a060", "#60a0e0"


def source_lines(of: Contributions, part: Part, texts: Mapping[int, str], width: int, height: int) -> Text:
    """Return what a part read: the columns that an attention head read, or why these are not known.

    Args:
        of: the contributions.
        part: the part.
        texts: display texts of the prompt's tokens.
        width: the room, in cells.
        height: the room, in lines.
    """
    if part.head is None or part.block is None:
        return Text(_of_no_head(of, part), style="dim")
    if (reason := of.no_sources[part.block]) is not None:
        return Text(f"What it read is not known: {reason}.", style="dim")
    weights, shares = of.weights[part.block, part.head], of.sources[part.block, part.head]
    order = np.argsort(-np.abs(shares), kind="stable")
    shown = order[: max(height - 1, 1)].tolist()
    largest = float(np.abs(shares[shown]).max()) if shown else 0.0
    token_width = max(6, min(_TOKEN, width - _NUMBERS - _LEAST_BAR))
    bar = max(width - token_width - _NUMBERS, 0)
    heads = f"{'column':>6} {'token':<{token_width}} {'attention':>9} {'share':>7}\n"
    lines = Text.assemble((heads, "dim"), no_wrap=True)
    for column in shown:
        share, weight = float(shares[column]), float(weights[column])
        token = fit(texts[of.ids[column]], token_width)
        lines.append(f"{column:>6} {token} {weight:>9.3f} {contribution_text(share):>7} ")
        cells = round(abs(share) / largest * bar) if largest else 0
        lines.append("█" * cells + "\n", style=POSITIVE if share > 0 else NEGATIVE)
    return lines


def _of_no_head(of: Contributions, part: Part) -> str:
    if part.name == "emb":
        return "What the embedding put into this column itself."
    if part.name == "bias":
        return (
            "What the biases of the final norm, the head, the lens's transport and attention give, computed."
        )
    if part.name.endswith(".attn") and part.block is not None:
        reason = of.no_heads[part.block]
        return "All of its attention heads together." if reason is None else f"No attention heads: {reason}."
    return "An MLP reads its own column alone."


def growth_lines(of: Contributions) -> Text:
    """Return how the logit grew: by the lens in each row, and as the sum of the parts up to it."""
    if of.growth is None:
        return Text("")
    growth = of.growth
    lines = Text.assemble((f"{'row':>5} {'the lens':>9} {'sum so far':>11}\n", "dim"), no_wrap=True)
    for label, logit, so_far in zip(growth.rows[::-1], growth.logits[::-1], growth.sums[::-1], strict=True):
        own = "–" if np.isnan(logit) else contribution_text(float(logit))
        lines.append(f"{label:>5} {own:>9} {contribution_text(float(so_far)):>11}\n")
    return lines
