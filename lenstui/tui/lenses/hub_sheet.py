"""The card of a lens on the hub: what its repository says of it before it is downloaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult

from lenstui.lens.names import kind_word
from lenstui.lens.published.matching import Suits
from lenstui.lens.published.published_lens import PublishedLens
from lenstui.readout.number_texts import size_text
from lenstui.tui.lenses.facts import facts, joined

_SUITS: Mapping[Suits | None, str] = {
    Suits.YES: "named for the open model",
    Suits.PERHAPS: "perhaps for the open model: neither its path nor a config beside it says so",
    Suits.NO: "for another model",
    None: "",
}
_SHORT = 12  # characters of a commit


@dataclass(frozen=True, slots=True)
class HubSheet:
    """The contents of the card of a lens on the hub.

    Attributes:
        lens: the lens.
        is_here: whether it is on this machine.
    """

    lens: PublishedLens
    is_here: bool

    @property
    def key(self) -> object:
        """What tells it from the cards of other lenses."""
        return self.lens.name

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what the lens is for, where it is, and its size."""
        lens = self.lens
        repository = lens.repository if lens.type == "model" else f"{lens.repository} (a {lens.type})"
        yield facts(
            ("for", joined(lens.made_for or "a model that its path does not name", _SUITS[lens.suits])),
            ("kind", f"{kind_word(lens.kind)} lens"),
            ("from", repository),
            ("path", lens.path),
            ("at", joined(lens.revision, f"commit {lens.commit[:_SHORT]}")),
            ("size", size_text(lens.size)),
            ("here", f"yes: {lens.place}" if self.is_here else "no: Enter downloads it, and opens it"),
        )
