"""`lenstui convert IN OUT`: write a lens in another program's format, or in lenstui's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.cli.arguments import REVISION, Parser, named_model
from lenstui.cli.stderr import progress, say
from lenstui.support.atomic_file import check_replaceable
from lenstui.support.errors import LensError

if TYPE_CHECKING:
    from lenstui.lens.formats.own import FittedLens

_EPILOG = """\
IN is a tuned lens (lenstui's own file, a folder of the tuned-lens library or a file
in it, a bare state dict of translators, a script's layer_maps, mlxterp's .npz) or a
Jacobian lens (lenstui's own file, the reference code's, that of J++).

OUT is lenstui's own file where it ends in .pt, and a folder of the tuned-lens
library where it has no ending, ends in / or is a folder. With --format reference a
Jacobian lens is written as the reference code writes it: float16, without emb."""

OWN, REFERENCE, _FOLDER = "lenstui", "reference", "folder"
_IN_WORDS = {
    OWN: "a file of lenstui",
    REFERENCE: "a file as the reference code writes it",
    _FOLDER: "a folder of the tuned-lens library",
}


def run(words: Sequence[str]) -> int:
    """Parse the arguments of `lenstui convert` and run the command."""
    parser = Parser(
        "lenstui convert",
        "Bring a lens into another form.",
        usage="lenstui convert IN OUT [options]",
        epilog=_EPILOG,
    )
    parser.add_argument("source", metavar="IN", type=Path, help="the lens to read")
    parser.add_argument("target", metavar="OUT", help="the file or folder to write")
    parser.add_argument(
        "--format",
        choices=(OWN, REFERENCE),
        default=OWN,
        help="of a .pt file: lenstui's own (the default), or the reference code's for Jacobian lenses",
    )
    parser.add_argument(
        "--model",
        metavar="ID|FOLDER",
        help="the model it is for: check that it fits, and write by what to know the model again",
    )
    parser.add_argument("--revision", help=REVISION)
    given = parser.parse_args(words)
    model, revision = named_model(parser, given)
    to_folder = _is_folder(parser, given.target)
    if to_folder and given.format == REFERENCE:
        parser.error("--format reference is a file: OUT must end in .pt")
    form = _FOLDER if to_folder else given.format
    convert(given.source, Path(given.target), form=form, model=model, revision=revision)
    return 0


def convert(source: Path, target: Path, *, form: str, model: str | None, revision: str | None) -> None:
    """Read the lens `source`, write `target`, and report on one line."""
    if form != _FOLDER:
        check_replaceable(target)
    with progress() as on_stage:
        on_stage("importing torch")
        from lenstui.lens.formats.library import meant_folder
        from lenstui.lens.formats.own import open_lens

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
        remarks += _write(lens, target, form)
    blocks, d = lens.shape
    made_for = lens.config.get("base_model_name_or_path") or "an unnamed model"
    done = f"Read {source}, a lens for {made_for} ({blocks} blocks, width {d}), and wrote {target}, "
    say(" ".join(f"{sentence}." for sentence in (done + _IN_WORDS[form], *remarks)))


def _write(lens: FittedLens, target: Path, form: str) -> list[str]:
    """Write a lens in a form, and return remarks on what that form does not have.

    Raises:
        LensError: if the form is not for this kind of lens, or `target` cannot be written.
    """
    from lenstui.lens.formats.jacobian import save_reference
    from lenstui.lens.formats.library import save_library_folder
    from lenstui.lens.formats.own import save_lens
    from lenstui.lens.jacobian import JacobianLens
    from lenstui.lens.tuned import TunedLens

    if form == OWN:
        save_lens(lens, target)
    elif form == REFERENCE:
        if not isinstance(lens, JacobianLens):
            raise LensError("--format reference is for Jacobian lenses, and this is a tuned lens.")
        save_reference(lens, target)
        if 0 in lens.matrices:
            return ["That form has no row emb: its matrix was left out"]
    else:
        if not isinstance(lens, TunedLens):
            raise LensError("The tuned-lens library has no Jacobian lenses: OUT must end in .pt.")
        save_library_folder(lens, target)
        if not lens.config.get("unembed_hash"):
            return ["The folder has no unembed_hash to know the model by: --model adds it"]
    return []


def _is_folder(parser: Parser, target: str) -> bool:
    path = Path(target)
    if target.endswith(os.sep) or path.is_dir():
        return True
    if path.name == "params.pt":
        parser.error("params.pt is a part of the tuned-lens library's folder: name the folder as OUT")
    if path.suffix not in {"", ".pt"}:
        parser.error(f"OUT must end in .pt, or be a folder and end in {os.sep}, not in {path.suffix}")
    return not path.suffix
