"""NumPy for the modules of the first paint, which shows no number yet.

It is imported when one of its names is first asked for: `from lenstui.support.late_numpy import np`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__all__ = ["np"]

if TYPE_CHECKING:
    import numpy as np
else:

    class _Late:
        """Stands for a module."""

        def __init__(self, name):
            self._name = name

        def __getattr__(self, name):
            found = getattr(import_module(self._name), name)
            setattr(self, name, found)  # from now on as fast as in the module itself
            return found

    np = _Late("numpy")
