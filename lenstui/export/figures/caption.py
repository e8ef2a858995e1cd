"""The caption of a figure: what it shows, of which model, lens and prompt, by which versions and command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.opening.source import Source, depth_text, edits_text, turns_text, versions_text
from lenstui.support.printable import printable

if TYPE_CHECKING:
    from lenstui.model.tokens import Prompt


@dataclass(frozen=True, slots=True)
class Caption:
    """The caption of a figure.

    Attributes:
        title: what it shows, in one line.
        notes: what its parts mean, a line each; empty ones are left out.
        source: the source of its numbers.
        read: what was read, each on a line: `Prompt: …`.
        command: the command that makes the same file, or a comment that says why there is none.
    """

    title: str
    notes: tuple[str, ...]
    source: Source
    read: tuple[str, ...]
    command: str

    @property
    def line(self) -> str:
        """What the figure shows, in characters that any reader of metadata shows."""
        return printable(self.title)

    @property
    def text(self) -> str:
        """The caption, a line for each of its facts."""
        import matplotlib as mpl

        source = self.source
        lines = [
            self.title,
            *filter(None, [*self.notes, depth_text(source)]),
            *self.read,
            *_model_lines(source),
            *filter(None, [edits_text(source)]),
            f"Versions: {versions_text(source)}, matplotlib {mpl.__version__}",
            self.command.removeprefix("# ") if self.command.startswith("#") else f"Made by: {self.command}",
        ]
        return "\n".join(map(printable, lines))


def _model_lines(source: Source) -> Iterator[str]:
    """Yield the lines on the model and its lenses; of two models that stand side by side, those of each."""
    heads = (("Model", "Lens"), ("Second model", "Second lens"))
    for (model, lens), each in zip(heads, source.models, strict=False):
        facts = (each.title, f"revision {each.revision or 'none named'}", each.ran)
        yield f"{model}: {' · '.join(filter(None, facts))}"
        yield f"{lens}: {each.read_through}"


def prompt_lines(prompts: Iterable[tuple[str, Prompt | None]]) -> tuple[str, ...]:
    """Return the lines of a caption on prompts, each with what it is called."""
    lines = []
    for name, prompt in prompts:
        if prompt is not None:
            lines += [f"{name}: {prompt.text}", *filter(None, [turns_text(prompt)])]
    return tuple(lines)


def caption_file(figure: Path) -> Path:
    """Return the file beside a figure that its caption is in: `FIGURE.pdf.txt`."""
    return figure.with_name(f"{figure.name}.txt")
