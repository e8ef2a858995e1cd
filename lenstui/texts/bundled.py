"""The texts that come with lenstui, on which a lens is fitted where no other text is named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lenstui.model.name import BUNDLED_MODEL
from lenstui.support.paths import bundled_text, general_sample


@dataclass(frozen=True, slots=True)
class BundledText:
    """A text that comes with lenstui.

    Attributes:
        path: its file.
        name: its name on the card of a lens that was fitted on it.
        about: what it is, in a few words.
    """

    path: Path
    name: str
    about: str


def text_for(model: str) -> BundledText:
    """Return the text to fit a lens on, for a model of this name: a lens needs text like the model's own.

    The bundled model knows simple stories alone. What another was trained on is not known here: it gets some
    prose, dialogue and code.
    """
    return _stories() if model == BUNDLED_MODEL else _sample()


def text_name(path: Path) -> str:
    """Return the name of a text for the card of a lens: the file's, or that of a text of lenstui."""
    for text in (_stories(), _sample()):
        if path.resolve() == text.path.resolve():
            return text.name
    return path.name


def _stories() -> BundledText:
    return BundledText(bundled_text(), "lenstui's stories", "the simple stories that come with lenstui")


def _sample() -> BundledText:
    about = "lenstui's general sample: prose, dialogue, code"
    return BundledText(general_sample(), "lenstui's general sample", about)
