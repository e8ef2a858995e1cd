"""`lenstui convert IN OUT`: write a lens in another program's format, or in lenstui's own; merge several."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.cli.arguments import ADAPTER, NO_BASE, REVISION, Parser, given_name, named_model, named_path
from lenstui.cli.stderr import progress, say
from lenstui.support.atomic_file import check_replaceable, scratch_folder
from lenstui.support.errors import LensError
from lenstui.support.typed_path import is_folder

if TYPE_CHECKING:
    from lenstui.lens.formats.own import FittedLens

_EPILOG = """\
IN is a tuned lens (lenstui's own file, a folder of the tuned-lens library or a file
in it, a bare state dict of translators, a script's layer_maps, mlxterp's .npz) or a
Jacobian lens (lenstui's own file, the reference code's, that of J++).

OUT is lenstui's own file where it ends in .pt, and a folder of the tuned-lens
library where it has no ending, ends in / or is a folder. With --format reference a
Jacobian lens is written as the reference code writes it: float16, without emb.

With --merge, OUT is the mean of several Jacobian lenses of one model, weighted by the
prompts that each was fitted on; no two may have been fitted on the same prompts."""

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
        usage="lenstui convert IN OUT [options]\n       lenstui convert --merge IN IN… OUT [options]",
        epilog=_EPILOG,
    )
    parser.add_argument("source", metavar="IN", type=named_path, nargs="+", help="the lens to read")
    parser.add_argument("target", metavar="OUT", type=_target, help="the file or folder to write")
    parser.add_argument("--merge", action="store_true", help="merge several Jacobian lenses into one")
    parser.add_argument(
        "--format",
        choices=(OWN, REFERENCE),
        default=OWN,
        help="of a .pt file: lenstui's own (the default), or the reference code's for Jacobian lenses",
    )
    parser.add_argument(
        "--model",
        type=given_name,
        metavar="ID|FOLDER",
        help="the model it is for: check that it fits, and write by what to know the model again",
    )
    parser.add_argument("--revision", help=REVISION)
    parser.add_argument("--adapter", metavar="ID|FOLDER", help=ADAPTER)
    given = parser.parse_args(words)
    if given.merge and len(given.source) < 2:
        parser.error("--merge takes two lenses or more, and OUT behind them")
    if not given.merge and len(given.source) > 1:
        parser.error("give one IN and one OUT, or --merge before several lenses and OUT")
    model, revision = named_model(parser, given)
    if given.adapter is not None and model is None:
        parser.error(NO_BASE)
    target, ends_as_folder = given.target
    to_folder = ends_as_folder or _is_folder(parser, target)
    if to_folder and given.format == REFERENCE:
        parser.error("--format reference is a file: OUT must end in .pt")
    form = _FOLDER if to_folder else given.format
    convert(given.source, target, form=form, model=model, revision=revision, adapter=given.adapter)
    return 0


def convert(
    sources: Sequence[Path],
    target: Path,
    *,
    form: str,
    model: str | None,
    revision: str | None,
    adapter: str | None = None,
) -> None:
    """Read a lens, or merge several, write `target`, and say so, with each remark on a line of its own."""
    if form != _FOLDER:
        check_replaceable(target)
    with progress() as on_stage, ExitStack() as until_written:
        on_stage("importing torch")
        from lenstui.lens.formats.own import open_lens

        for source in sources:
            _check_other(source, target)
        read = [open_lens(source) for source in sources]
        lens = read[0] if len(read) == 1 else _merged(read, target, until_written, on_stage)
        remarks = list(lens.remarks)
        if model is not None:
            from lenstui.lens.compatibility import marked
            from lenstui.model.load import load

            opened = load(model, revision=revision, adapter=adapter, on_stage=on_stage)
            lens, warning = marked(lens, opened)
            remarks += [] if warning is None else [warning]
        on_stage("writing")
        remarks += _write(lens, target, form)
    blocks, d = lens.shape
    made_for = lens.config.get("base_model_name_or_path") or "an unnamed model"
    model_said = f"for {made_for} ({blocks} blocks, width {d})"
    if len(sources) == 1:
        done = f"Read {sources[0]}, a lens {model_said}, and wrote {target}, "
    else:
        named = f"{', '.join(map(str, sources[:-1]))} and {sources[-1]}"
        count = lens.fit["n_prompts"]
        done = f"Merged {named}, lenses {model_said}, to one of {count} prompts, and wrote {target}, "
    for sentence in (done + _IN_WORDS[form], *remarks):
        say(f"{sentence}.")


def _check_other(source: Path, target: Path) -> None:
    """Refuse to write over the lens that is read."""
    from lenstui.lens.formats.library import meant_folder

    if target.exists() and source.exists() and target.samefile(meant_folder(source) or source):
        raise LensError(f"{source} and {target} are the same: write to another place.")


def _merged(
    lenses: Sequence[FittedLens], target: Path, until_written: ExitStack, on_stage: Callable[[str], None]
) -> FittedLens:
    """Return the lens that several lenses make together, its rows in a folder beside `target` until then."""
    from lenstui.fitting.plan import made_now
    from lenstui.lens.merge import merged

    on_stage("merging")
    folder = until_written.enter_context(scratch_folder(target.parent, "merging"))
    lens = merged(lenses, folder)
    return replace(lens, fit={**lens.fit, **made_now()})


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


def _target(text: str) -> tuple[Path, bool]:
    """Return a path, and whether it ends as that of a folder, for argparse."""
    return named_path(text), text.endswith(os.sep)


def _is_folder(parser: Parser, path: Path) -> bool:
    if is_folder(path):
        return True
    if path.name == "params.pt":
        parser.error("params.pt is a part of the tuned-lens library's folder: name the folder as OUT")
    if path.suffix not in {"", ".pt"}:
        parser.error(f"OUT must end in .pt, or be a folder and end in {os.sep}, not in {path.suffix}")
    return not path.suffix
