"""`lenstui convert IN OUT`: write a lens in another program's format, or in lenstui's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lenstui.cli.arguments import REVISION, Parser, named_model
from lenstui.cli.stderr import progress, say
from lenstui.support.atomic_file import check_replaceable
from lenstui.support.errors import LensError

_EPILOG = """\
IN is lenstui's own file, a folder of the tuned-lens library (or a file in it), a
bare state dict of translators, a script's layer_maps, or mlxterp's .npz.

OUT is lenstui's own file where it ends in .pt, and a folder of the tuned-lens
library where it has no ending, ends in / or is a folder."""


def run(words: Sequence[str]) -> int:
    """Parse the arguments of `lenstui convert` and run the command."""
    parser = Parser(
        "lenstui convert",
        "Bring a tuned lens into another form.",
        usage="lenstui convert IN OUT [options]",
        epilog=_EPILOG,
    )
    parser.add_argument("source", metavar="IN", type=Path, help="the lens to read")
    parser.add_argument("target", metavar="OUT", help="the file or folder to write")
    parser.add_argument(
        "--model",
        metavar="ID|FOLDER",
        help="the model it is for: check that it fits, and write by what to know the model again",
    )
    parser.add_argument("--revision", help=REVISION)
    given = parser.parse_args(words)
    model, revision = named_model(parser, given)
    to_folder = _is_folder(parser, given.target)
    convert(given.source, Path(given.target), to_folder=to_folder, model=model, revision=revision)
    return 0


def convert(source: Path, target: Path, *, to_folder: bool, model: str | None, revision: str | None) -> None:
    """Read the lens `source`, write `target`, and report on one line."""
    if not to_folder:
        check_replaceable(target)
    with progress() as on_stage:
        on_stage("importing torch")
        from lenstui.lens.formats.library import meant_folder, save_library_folder
        from lenstui.lens.formats.own import open_lens, save_lens

        lens = open_lens(source)
        original = meant_folder(source) or source
        if target.exists() and target.samefile(original):
            raise LensError(f"{source} and {target} are the same: write to another place.")
        remarks = list(lens.remarks)
        if model is not None:
            from lenstui.lens.compatibility import marked
            from lenstui.model.load import load

            lens, warning = marked(lens, load(model, revision=revision, on_stage=on_stage))
            remarks += [] if warning is None else [warning]
        on_stage("writing")
        if to_folder:
            save_library_folder(lens, target)
            if not lens.config.get("unembed_hash"):
                remarks.append("The folder has no unembed_hash to know the model by: --model adds it")
        else:
            save_lens(lens, target)
    blocks, d = lens.bias.shape
    made_for = lens.config.get("base_model_name_or_path") or "an unnamed model"
    form = "a folder of the tuned-lens library" if to_folder else "a file of lenstui"
    done = f"Read {source}, a lens for {made_for} ({blocks} blocks, width {d}), and wrote {target}, {form}"
    say(" ".join(f"{sentence}." for sentence in (done, *remarks)))


def _is_folder(parser: Parser, target: str) -> bool:
    path = Path(target)
    if target.endswith(os.sep) or path.is_dir():
        return True
    if path.name == "params.pt":
        parser.error("params.pt is a part of the tuned-lens library's folder: name the folder as OUT")
    if path.suffix not in {"", ".pt"}:
        parser.error(f"OUT must end in .pt, or be a folder and end in {os.sep}, not in {path.suffix}")
    return not path.suffix
