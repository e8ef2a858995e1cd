"""Memory of eager attention, which grows with the square of the prompt: refused before it is taken."""

from __future__ import annotations

from contextlib import AbstractContextManager

from lenstui.causal.maps import Maps
from lenstui.model.load import Model
from lenstui.model.memory import free_memory
from lenstui.support.errors import LensError, memory_errors

_COPIES = 3  # scores, their softmax in float32, and that in the model's dtype


def check_memory(model: Model, maps: Maps, cols: int) -> None:
    """Refuse a prompt whose eager attention would take more memory than is free.

    Args:
        model: from `load`.
        maps: of the model, with the way to run it.
        cols: the number of columns of the prompt.

    Raises:
        LensError: if memory is short; the message says of what.
    """
    if not maps.way.eager:
        return
    needed = 4 * cols**2 * _COPIES * max(block.heads for block in maps.blocks)
    free = free_memory(str(model.device))
    if free is not None and needed > free:
        raise LensError(
            f"Eager attention over {cols} tokens takes about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB "
            "are free: shorten the prompt, or leave the sources out."
        )


def no_memory(cols: int) -> AbstractContextManager[None]:
    """Return a context in which one line says that memory ran out for so many columns, where it does."""
    return memory_errors(
        f"Memory ran out in a pass over {cols} tokens: shorten the prompt, or leave the sources out."
    )
