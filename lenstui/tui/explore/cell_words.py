"""Sentences about the cell under the cursor: its place, and why it has no token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lenstui.lens.names import no_row
from lenstui.model.not_finite import IN_CELL
from lenstui.model.rows import meaning_of
from lenstui.model.turns import NO_TURN

if TYPE_CHECKING:
    from lenstui.tui.explore.state import ExploreState
    from lenstui.tui.grid.panes import Panes

NOT_READ = "This cell is not read yet."
NO_COLUMN = "The other prompt is longer: there is no token here."


def place_text(state: ExploreState, sides: int, row: int, column: int) -> str:
    """Return the place of a cell in words: its row, its column, the tokens there, and the next ones.

    Args:
        state: the state of Explore.
        sides: the number of sides.
        row: the index of the row.
        column: the index of the column.
    """
    rows = list(dict.fromkeys(state.rows_of(place) for place in range(sides)))
    labels = " │ ".join(of_side[row] for of_side in rows)
    meaning = " │ ".join(meaning_of(of_side[row], of_side[-1]) for of_side in rows)
    here = _tokens_at(state, sides, column)
    follows = f" → next {_tokens_at(state, sides, column + 1)}" if column + 1 < len(state.columns) else ""
    return f"row {labels} · {meaning} · column {column}{_turn_at(state, column)} {here}{follows}"


def _turn_at(state: ExploreState, column: int) -> str:
    """Return the turn of a column in words, behind a comma; nothing where it is of none."""
    of = state.turns
    if of is None or column >= len(of.turns) or of.turns[column] == NO_TURN:
        return ""
    return f", turn {of.turns[column]} {of.role(column)}" + " (template)" * of.template[column]


def _tokens_at(state: ExploreState, sides: int, column: int) -> str:
    tokens = dict.fromkeys(state.columns_of(place)[column] for place in range(sides))
    return " │ ".join(f'"{token}"' if token else "–" for token in tokens)


def why_no_token(state: ExploreState, panes: Panes) -> str:
    """Return why the cell under the cursor has no token on the active side."""
    cursor, place = panes.cursor, panes.shown
    label = state.rows_of(place)[cursor.row] if state.rows else ""
    if cursor.column in panes.grids[place].gap:
        return NO_COLUMN
    cells = panes.grids[place].cells
    if cells is not None and cells.not_numbers[cursor.row, cursor.column]:
        return IN_CELL
    if label and state.sides[place].has_no_row(label) and panes.shown_grid.is_absent(cursor):
        return no_row(state.sides[place].kind, label)
    return NOT_READ


def why_not_of_all(state: ExploreState, token: int) -> str:
    """Return why a token cannot be used on all sides, or nothing if it can.

    The vocabularies of the models on screen may be padded to different lengths.
    """
    if state.model is None or token < state.model.common_vocabulary:
        return ""
    return f'Not all of the models have a logit for "{state.texts[token]}".'
