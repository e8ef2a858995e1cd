"""The lens folder of the `tuned-lens` library: `params.pt` beside `config.json`."""

from __future__ import annotations

import json
import os
from pathlib import Path

from lenstui.lens.formats.header import check_header
from lenstui.lens.formats.others import LENS_TYPE, check_size, read_table, shape_config, stack, unstack
from lenstui.lens.formats.tensor_file import load_tensors, write_tensors
from lenstui.lens.tuned import TunedLens
from lenstui.support.atomic_file import check_replaceable, replaced, write_errors
from lenstui.support.errors import LensError

PARAMS = "params.pt"
CONFIG = "config.json"
_HASH, _HASH_MISSPELT = "unembed_hash", "unemebd_hash"  # older versions of the library wrote the second


def meant_folder(path: Path) -> Path | None:
    """Return the library folder that `path` is or is a file of; None for any other file."""
    if path.is_dir():
        return path
    if path.name == CONFIG or (path.name == PARAMS and (path.parent / CONFIG).is_file()):
        return path.parent
    return None


def read_library_folder(folder: Path) -> TunedLens:
    """Read a lens of the library; entries of its config that lenstui does not use are ignored.

    Raises:
        LensError: if there is no lens, or it is damaged or of another type.
    """
    params, config = folder / PARAMS, folder / CONFIG
    if not params.is_file():
        raise LensError(f"{folder} holds no lens of the tuned-lens library: there is no {PARAMS} in it.")
    name = folder.resolve().name
    if not config.is_file():
        weight, bias = stack(load_tensors(params), params)
        remark = f"The tuned lens has no {CONFIG}: nothing says which model it is for"
        return TunedLens(weight, bias, shape_config(weight), name=name, remarks=(remark,))
    table = read_table(config)  # before the weights, which may be large
    check_header(config, table)
    if table.get("lens_type", LENS_TYPE) != LENS_TYPE:
        raise LensError(f"{config} is of a lens of type {table['lens_type']}; lenstui reads {LENS_TYPE}.")
    weight, bias = stack(load_tensors(params), params)
    check_size(weight, table.get("num_hidden_layers"), table.get("d_model"), config)
    known = {
        "base_model_name_or_path": table.get("base_model_name_or_path"),
        "base_model_revision": table.get("base_model_revision"),
        **shape_config(weight),
        _HASH: table.get(_HASH) or table.get(_HASH_MISSPELT),
    }
    return TunedLens(weight, bias, known, name=name)


def save_library_folder(lens: TunedLens, folder: Path) -> None:
    """Write `lens` so that the library can load it, with the `unembed_hash` of its config, if any.

    Raises:
        LensError: if the folder cannot be written, belongs to something else, or has a device in it.
    """
    params, config = folder / PARAMS, folder / CONFIG
    if config.exists() and not params.exists():
        raise LensError(f"{folder} already holds the {CONFIG} of something else. Choose another folder.")
    table = {
        # The library requires a name but does not use it.
        "base_model_name_or_path": lens.config.get("base_model_name_or_path") or "",
        "base_model_revision": lens.config.get("base_model_revision"),
        **shape_config(lens.weight),
    }
    if lens.config.get(_HASH):
        table[_HASH] = lens.config[_HASH]
    for file in (config, params):
        check_replaceable(file)
    # Nothing of the old lens goes before all of the new one is on the disk. Then the config goes first and
    # comes last, so that an interruption leaves none beside another lens's weights.
    with replaced(config, make_folder=True) as out:
        out.write(json.dumps(table).encode())
        out.flush()
        with replaced(params) as weights:
            write_tensors(unstack(lens), weights)
            weights.flush()
            os.fsync(weights.fileno())
            with write_errors(config):
                Path(os.path.realpath(config)).unlink(missing_ok=True)
