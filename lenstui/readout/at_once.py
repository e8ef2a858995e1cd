"""How many cells are read at once: their logits are the largest thing of a readout."""

from __future__ import annotations

# Logits that there are at once, in bytes and in cells: enough for an efficient product, and little memory.
_LOGITS_BYTES = {"cpu": 64 << 20}
_LOGITS_BYTES_ACCELERATOR = 256 << 20
_MOST_CELLS = 256


def cells_at_once(device: str, itemsize: int, vocabulary: int) -> int:
    """Return the number of cells whose logits there are at once.

    Args:
        device: the type of the device: `cpu`, `cuda`.
        itemsize: the size of a logit, in bytes.
        vocabulary: the number of logits of a cell.
    """
    size = _LOGITS_BYTES.get(device, _LOGITS_BYTES_ACCELERATOR)
    return max(8, min(_MOST_CELLS, size // (itemsize * vocabulary)))
