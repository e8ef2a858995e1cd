"""The size of a model, from the headers of its weight files: before it is loaded, and without torch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenstui.model.gguf import is_gguf
from lenstui.support.errors import LensError
from lenstui.support.small_file import read_json

_BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}
_STORED = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2}  # all others: one byte
_SHAPE = (("num_hidden_layers", "n_layer", "num_layers"), ("hidden_size", "n_embd", "d_model"))
_LONGEST_HEAD = 100 << 20  # bytes of a safetensors file's JSON header; a longer one is damaged
_SIZES = {
    "blocks": _SHAPE[0],
    "width": _SHAPE[1],
    "tokens": ("vocab_size",),
    "heads": ("num_attention_heads", "n_head", "num_heads"),
    "heads of keys": ("num_key_value_heads", "num_kv_heads"),
    "columns of an MLP": ("intermediate_size", "n_inner", "ffn_dim", "d_ff"),
}
_MOST_IN_A_BYTE = 8  # weights: no form has less than a bit for each


@dataclass(frozen=True, slots=True)
class ModelSize:
    """The size of a model.

    Attributes:
        parameters: the number of parameters; None where the files do not tell (pickles, GGUF files).
        stored: bytes of the parameters in memory, in the dtype that they are stored in.
        files: bytes of the weight files.
    """

    parameters: int | None
    stored: int
    files: int

    def in_memory(self, dtype: str) -> int | None:
        """Return the bytes of the loaded weights, or None where the number of parameters is unknown.

        Args:
            dtype: a name such as `float32`, or `auto` for the stored dtype.
        """
        if self.parameters is None:
            return None
        return self.stored if dtype == "auto" else self.parameters * _BYTES[dtype]


def model_size(place: Path) -> ModelSize:
    """Return the size of the model in a folder or a GGUF file.

    Args:
        place: a folder or file from `hub.resolve`; the parameters of damaged files count as unknown.
    """
    files, on_disk = weight_files(place), weight_bytes(place)
    if not files or files[0].suffix != ".safetensors":
        return ModelSize(None, 0, on_disk)
    counts: Counter[str] = Counter()
    try:
        for file in files:
            for dtype, count in _tensors(file):
                counts[dtype] += count
    except (OSError, ValueError, TypeError, KeyError):
        return ModelSize(None, 0, on_disk)
    stored = sum(_STORED.get(dtype, 1) * count for dtype, count in counts.items())
    return ModelSize(counts.total(), stored, on_disk)


def model_shape(place: Path) -> tuple[int | None, int | None]:
    """Return the number of blocks and the width of the model in a folder, as far as its config says."""
    try:
        config = read_json(place / "config.json")
        config = config.get("text_config", config)
        blocks, width = (next((config[key] for key in keys if key in config), None) for keys in _SHAPE)
    except (OSError, ValueError, AttributeError, TypeError):  # a GGUF file, or a damaged config
        return None, None
    return blocks if isinstance(blocks, int) else None, width if isinstance(width, int) else None


def check_claims(raw: Mapping[str, Any], place: Path) -> None:
    """Refuse a configuration of more blocks, or a wider or larger model, than its weight files can hold.

    To build such a model would take time and memory without end.

    Args:
        raw: the contents of the configuration file.
        place: the model's folder.

    Raises:
        LensError: if it is one, a size is no whole number, or there are no weight files.
    """
    if not (on_disk := weight_bytes(place)):
        raise LensError(f"{place} has a config.json but no weights (*.safetensors or pytorch_model*.bin).")
    inner = raw.get("text_config")
    for table in (raw, inner) if isinstance(inner, Mapping) else (raw,):
        sizes = {}
        for what, keys in _SIZES.items():
            key = next((key for key in keys if table.get(key) is not None), None)
            if key is None or isinstance(table[key], list):  # a list has the size of each block
                continue
            size = table[key]
            if not isinstance(size, int) or isinstance(size, bool) or size < 1:
                raise LensError(f"{place / 'config.json'} is damaged: {key} is no whole number from 1 on.")
            sizes[what] = size
        width = sizes.pop("width", 1)
        for what, size in sizes.items():
            if size * width > _MOST_IN_A_BYTE * on_disk:
                raise LensError(
                    f"{place / 'config.json'} is damaged: {size:,} {what} of width {width:,} are more than "
                    f"{on_disk / 1e6:,.0f} MB of weights can hold."
                )


def weight_files(place: Path) -> list[Path]:
    """Return the files that hold a model's weights: safetensors, else pickles; a GGUF file itself."""
    if is_gguf(place):
        return [place]
    return sorted(place.glob("*.safetensors")) or sorted(place.glob("pytorch_model*.bin"))


def weight_bytes(place: Path) -> int:
    """Return the total size of a model's weight files, in bytes."""
    return sum(map(_size, weight_files(place)))


def _tensors(file: Path) -> Iterator[tuple[str, int]]:
    """Yield dtype and number of entries of every tensor, from the header of a safetensors file."""
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if not 2 <= length <= _LONGEST_HEAD:
            raise ValueError(f"{file} has a head of {length} bytes")
        head = json.loads(opened.read(length))
    if not isinstance(head, Mapping):
        raise TypeError(f"{file} has a head that is no object")
    for name, tensor in head.items():
        if name != "__metadata__":
            count = 1
            for side in tensor["shape"]:
                count *= int(side)
            yield str(tensor["dtype"]), count


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # the cache's link leads to a missing blob
        return 0
