"""Lenses: their transports, kinds and files, and which model each belongs to.

`from lenstui.lens import load, read, …` is an older name of the library `lenstui`, and still works.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    # By name, since no module within the package may import the root.
    library = import_module(__name__.partition(".")[0])
    if name not in library.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(library, name)
