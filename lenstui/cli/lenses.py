"""`lenstui lenses`: the lenses on this machine, those on the hub, and the download of one of them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lenstui.cli.arguments import (
    ADAPTER,
    NO_BASE,
    REVISION,
    Parser,
    given_name,
    heeded,
    named_model,
    named_path,
)
from lenstui.cli.output import (
    add_figure_style,
    add_output_file,
    deliver,
    deliver_figure,
    figure_style,
    output_format,
)
from lenstui.cli.stderr import progress, say
from lenstui.export.figures.style import FIGURE_FORMS
from lenstui.support.errors import LensError

if TYPE_CHECKING:
    from lenstui.lens.published.matching import WantedModel
    from lenstui.lens.published.published_lens import PublishedLens
    from lenstui.support.lens_repository import LensRepository

TEXT, JSON = "text", "json"
CURVE_FORMS = ("table", "json", "csv", *FIGURE_FORMS)
DATE, KL = "date", "kl"
_MOST_NAMED = 3  # lenses that a message names

_EPILOG = """\
Without --hub nothing is asked: listed are the lenses in the data folder and those
that were downloaded before. With --hub the repositories of lenses that lenstui knows,
and those of config.toml, are asked; --get downloads one of what they have, into the
cache of the hub, and prints the path of its file, for --lens."""


def run(words: Sequence[str]) -> int:
    """Parse the arguments of `lenstui lenses` and run the command."""
    parser = Parser(
        "lenstui lenses",
        "List the lenses on this machine or on the hub.",
        usage="lenstui lenses [--hub] [--model MODEL] [options]",
        epilog=_EPILOG,
    )
    parser.add_argument("--hub", action="store_true", help="ask the hub for lenses")
    parser.add_argument(
        "--get",
        metavar="NAME",
        help="with --hub: download a lens, by its name in the list or an unmistakable part of it",
    )
    parser.add_argument(
        "--model",
        type=given_name,
        metavar="ID|FOLDER|GGUF",
        help="the model that they are for: those that fit come first",
    )
    parser.add_argument("--revision", help=REVISION)
    parser.add_argument("--adapter", metavar="ID|FOLDER", type=given_name, help=ADAPTER)
    parser.add_argument(
        "--format",
        choices=(TEXT, JSON, *CURVE_FORMS[2:]),
        help="text is the default; with --curve, what the ending of -o says, else a table",
    )
    parser.add_argument(
        "--sort",
        choices=(DATE, KL),
        help="order of the lenses here: the newest first (the default), or the least KL of their last "
        "evaluation by lenstui eval",
    )
    curve = parser.add_argument_group("the curve of a fit")
    curve.add_argument(
        "--curve",
        metavar="LENS",
        type=named_path,
        help="show how the held-out KL of a lens, a file, fell while it was fitted: as a table, CSV, JSON, "
        "or a figure, SVG or PDF",
    )
    add_output_file(curve)
    add_figure_style(curve)
    given = parser.parse_args(words)
    if given.curve is not None:
        return _show_curve(parser, given)
    if given.output is not None or given.width is not None or given.greyscale:
        parser.error("-o, --width and --greyscale are of --curve")
    if given.format in CURVE_FORMS[2:]:
        parser.error(f"--format {given.format} is of --curve")
    if given.get is not None and not given.hub:
        parser.error("--get needs --hub")
    if given.sort is not None and given.hub:
        parser.error("--sort is for the lenses here: leave --hub or --sort out")
    model, revision = named_model(parser, given)
    if given.adapter is not None and model is None:
        parser.error(NO_BASE)
    settings = heeded()
    if given.hub:
        _on_hub(given, model, revision, settings.lens_repositories)
    else:
        _here(given, model, revision, settings.lens_repositories)
    return 0


def _show_curve(parser: Parser, given: argparse.Namespace) -> int:
    """Write the curve of a fit, and return the exit status."""
    if option := next((name for name in ("hub", "get", "model", "sort") if getattr(given, name)), None):
        parser.error(f"--{option} is not for --curve: leave one out")
    if given.format == TEXT:
        given.format = CURVE_FORMS[0]
    form = output_format(parser, given, CURVE_FORMS)
    style = figure_style(parser, given, form)
    from lenstui.export.command import curve_command
    from lenstui.export.figures.fit_curve import fit_figure
    from lenstui.export.fit_curve import curve_text
    from lenstui.export.shape import Shape
    from lenstui.lens.mapped import card_in

    card = card_in(given.curve)
    if form in FIGURE_FORMS:
        command = curve_command(given.curve, Shape(form, given.output, style=style))
        deliver_figure(fit_figure(form, card, style, command), given.output)
    else:
        deliver(curve_text(form, card), given.output)
    return 0


def _here(
    given: argparse.Namespace, model: str | None, revision: str | None, own: Sequence[LensRepository]
) -> None:
    """Print the lenses on this machine."""
    from lenstui.export.lens_list import by_match, local_json, local_text

    with progress() as on_stage:
        on_stage("importing torch")
        from lenstui.lens.catalog import lenses_at_hand, match
        from lenstui.lens.published.repositories import lens_repositories
        from lenstui.model.load import load

        opened = None
        if model is not None:
            opened = load(model, revision=revision, adapter=given.adapter, on_stage=on_stage)
        on_stage("reading the lens files")
        cards, left_out = lenses_at_hand(lens_repositories(own))
        lenses = by_match(
            [(card, None if opened is None else match(card, opened)) for card in cards],
            by_kl=given.sort == KL,
        )
    if left_out:
        say(f"Not listed, for lenstui cannot read them: {', '.join(left_out)}.")
    form = local_json if given.format == JSON else local_text
    _print(form(lenses, model))


def _on_hub(
    given: argparse.Namespace, model: str | None, revision: str | None, own: Sequence[LensRepository]
) -> None:
    """Print the lenses on the hub, or download one.

    Raises:
        LensError: if the hub cannot be asked, or no repository can be looked through.
    """
    from lenstui.export.lens_list import hub_json, hub_text
    from lenstui.lens.published.hub import in_order, search
    from lenstui.lens.published.repositories import lens_repositories

    wanted = None if model is None else _wanted(model, revision)
    found: list[PublishedLens] = []
    troubles: list[str] = []
    with progress() as on_stage:
        on_stage("asking the hub")
        search(lens_repositories(own), wanted, found.append, troubles.append)
    for trouble in troubles:
        say(trouble)
    if troubles and not found:
        raise LensError("No lens was found on the hub, and not every repository could be looked through.")
    lenses = in_order(found, wanted)
    if given.get is None:
        _print((hub_json if given.format == JSON else hub_text)(lenses, model))
    else:
        _get(_meant(given.get, lenses), wanted, given.format)


def _wanted(name: str, revision: str | None) -> WantedModel:
    """Return the model that lenses are looked for, with its shape where it is on this machine."""
    from lenstui.lens.published.matching import WantedModel
    from lenstui.model.adapter_files import base_of, is_adapter
    from lenstui.model.hub import find_local
    from lenstui.model.size import model_shape

    place = find_local(name, revision)
    if place is not None and is_adapter(place) and (base := base_of(place)) is not None:
        name, place = base, find_local(base)
    return WantedModel(name, *(model_shape(place) if place is not None else (None, None)))


def _meant(name: str, lenses: Sequence[PublishedLens]) -> PublishedLens:
    """Return the lens that is called by its name, or by a part of it that no other has.

    Raises:
        LensError: if there is none, or there are several.
    """
    exactly = [lens for lens in lenses if lens.name == name]
    found = exactly or [lens for lens in lenses if name.lower() in lens.name.lower()]
    if not found:
        raise LensError(f"No lens on the hub is called {name}: lenstui lenses --hub lists them.")
    if len(found) > 1:
        some = ", ".join(lens.name for lens in found[:_MOST_NAMED]) + ", …" * (len(found) > _MOST_NAMED)
        raise LensError(f"{len(found)} lenses are called {name} ({some}): give more of the name.")
    return found[0]


def _get(lens: PublishedLens, wanted: WantedModel | None, form: str) -> None:
    """Download a lens, check it, and print the path of its file.

    Raises:
        LensError: if it cannot be downloaded, is none, or does not fit the model in shape.
    """
    from lenstui.export.lens_list import got_json
    from lenstui.lens.published.hub import download

    with progress() as on_stage:
        path = download(lens, lambda so_far: on_stage(f"downloading {so_far.text}"))
        on_stage("reading the lens")
        from lenstui.lens.formats.own import open_lens

        opened = open_lens(path)
        if wanted is not None and wanted.blocks is not None and wanted.d_model is not None:
            opened.check_fits(wanted.blocks, wanted.d_model)
    file = opened.file or path
    _print(got_json(lens, file) if form == JSON else f"{file}\n")


def _print(text: str) -> None:
    deliver(text, None)
