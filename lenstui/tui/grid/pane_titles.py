"""The titles of the panes: which side each shows, whether its lens is in training, and the value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text

if TYPE_CHECKING:
    from lenstui.tui.shared.side_names import SideNames

IN_TRAINING = " in training"
_Title = Callable[[Sequence[str]], Text]


@dataclass(frozen=True, slots=True)
class PaneTitles:
    """The titles of panes, each in the fullest form that has room.

    Attributes:
        names: the names of the sides.
        training: the places of the sides that show the lens in training.
        value: the label of the value that colours the cells, with the readout filter where it is on.
    """

    names: SideNames
    training: Collection[int]
    value: str

    def of_side(self, place: int, room: int) -> Text:
        """Return the title of a side.

        Args:
            place: the place of the side.
            room: the room for the title, in terminal cells.
        """
        return self._fitting(lambda titles: Text.assemble((self._named(titles, place), "bold")), room)

    def of_tabs(self, place: int, room: int) -> Text:
        """Return the title of a side among tabs: the names of all sides, that of the side itself in bold.

        A click on the name of another side is the pane's action `choose`, with the place of that side.
        """

        def name(titles: Sequence[str], side: int) -> Text:
            if side == place:
                return Text(self._named(titles, side), "bold")
            return Text(self._named(titles, side), Style(dim=True, meta={"@click": f"choose({side})"}))

        def title(titles: Sequence[str]) -> Text:
            return Text(" │ ").join(name(titles, side) for side in range(len(titles)))

        return self._fitting(title, room)

    def of_difference(self, pair: Sequence[int], room: int) -> Text:
        """Return the title of a difference: the second side minus the first."""
        there = [side for side in pair if side < len(self.names.brief)]

        def title(titles: Sequence[str]) -> Text:
            return Text.assemble((" − ".join(self._named(titles, side) for side in reversed(there)), "bold"))

        return self._fitting(title, room)

    def _fitting(self, title: _Title, room: int) -> Text:
        def whole(titles: Sequence[str]) -> Text:
            text = title(titles)
            text.highlight_words([IN_TRAINING], "not bold not dim italic")
            return text.append(f" · {self.value}")

        return whole(self.names.fitting(lambda titles: whole(titles).cell_len <= room))

    def _named(self, titles: Sequence[str], side: int) -> str:
        """Return the title of a side, with a remark where its lens is in training."""
        return titles[side] + IN_TRAINING * (side in self.training)
