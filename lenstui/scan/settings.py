"""What a scan is made of, as hashes and options, so that it goes on with nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from lenstui.lens.fingerprint import fingerprint_digest
from lenstui.lens.lens import Lens, lens_keys
from lenstui.model.load import Model
from lenstui.readout.against import Against
from lenstui.support.errors import unreadable
from lenstui.texts.documents import Documents

_BYTES = 1 << 20  # read at a time


def scan_settings(
    model: Model,
    lenses: Sequence[Lens],
    documents: Documents,
    files: Iterable[Path],
    *,
    max_tokens: int,
    seq_len: int,
    against: Against | None = None,
) -> dict[str, Any]:
    """Return what has to be the same for a scan to go on, as plain values by name.

    Files count by what is in them, not by where they are.

    Args:
        model: the open model.
        lenses: the lenses to read through.
        documents: the documents.
        files: the files that `documents` names.
        max_tokens: the most tokens to read.
        seq_len: the number of columns of a block.
        against: the second side, if there is one.

    Raises:
        LensError: if a file cannot be read.
    """
    vocabulary = json.dumps(sorted(model.tokenizer.get_vocab().items()))
    return {
        "model": fingerprint_digest(model),
        "tokenizer": blake2b(vocabulary.encode(), digest_size=16).hexdigest(),
        "dtype": model.dtype_name,
        "device": model.device.type,
        "lenses": _lens_digests(dict(zip(lens_keys(lenses), lenses, strict=True))),
        "text": [_digest([file]) for file in files],
        "text_column": documents.column,
        "max_samples": documents.max_samples,
        "min_chars": documents.min_chars,
        "max_tokens": max_tokens,
        "seq_len": seq_len,
        "against_model": against and fingerprint_digest(against.model),
        "against_dtype": against and against.model.dtype_name,
        "against_lenses": against and _lens_digests(against.lenses),
    }


def _lens_digests(lenses: Mapping[str, Lens]) -> dict[str, str | None]:
    return {key: _lens_digest(lens) for key, lens in lenses.items()}


def _lens_digest(lens: Lens) -> str | None:
    """Return a hash of the file or folder of a lens; None where it needs none."""
    if lens.file is None:
        return None
    inner = sorted(path for path in lens.file.rglob("*") if path.is_file())
    return _digest(inner if lens.file.is_dir() else [lens.file])


def _digest(files: Iterable[Path]) -> str:
    """Return a hash of what is in files: 32 hexadecimal digits."""
    found = blake2b(digest_size=16)
    for path in files:
        try:
            with path.open("rb") as file:
                while piece := file.read(_BYTES):
                    found.update(piece)
        except OSError as error:
            raise unreadable(path, error) from error
    return found.hexdigest()
