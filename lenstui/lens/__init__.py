"""Lenses: what each is, how they lie on disk, how far one belongs to a model.

`from lenstui.lens import load, read, …` was the library once, and still works: see `lenstui`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    # By its name, for nothing within may import the root.
    library = import_module(__name__.partition(".")[0])
    if name not in library.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(library, name)
