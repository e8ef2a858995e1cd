"""A second side beside a first: another model, or another lens of the same one, to compare with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.lens.kinds import LOGIT
from lenstui.model.gguf import SUFFIX
from lenstui.model.name import split_revision
from lenstui.support.request import Start
from lenstui.support.typed_path import expanded, is_file, is_there

if TYPE_CHECKING:
    from lenstui.lens.lens import Lens
    from lenstui.opening.opened import Opened


@dataclass(frozen=True, slots=True)
class AskedAgainst:
    """The requested second side.

    Attributes:
        model: the request for another model; None for another lens of the same one.
        lens: the file of that lens; None for the logit lens.
    """

    model: Start | None
    lens: Path | None = None

    @property
    def options(self) -> list[str]:
        """The options that request the same side."""
        if self.model is None:
            return [f"--against-lens={self.lens or LOGIT}"]
        words = [f"--against-model={self.model.model}"]
        words += [] if self.model.revision is None else [f"--against-revision={self.model.revision}"]
        return [*words, *(f"--against-lens={lens}" for lens in self.model.lenses)]

    def is_of(self, opened: Opened) -> bool:
        """Return whether an open model is the one that is asked for, without a lens of its own."""
        asked, model = self.model, opened.model
        if asked is None or asked.lenses or model.name != asked.model:
            return False
        return (model.revision, model.adapter and model.adapter.typed) == (asked.revision, asked.adapter)


def typed_side(text: str, first: Start) -> AskedAgainst:
    """Return the second side that a typed line names: `logit`, the file or folder of a lens, or a model.

    Args:
        text: the line, not empty: of a model a folder, a GGUF file, `OWNER/NAME` or `OWNER/NAME@REVISION`.
        first: the request for the first model, which the second is run like.
    """
    from lenstui.lens.formats.library import PARAMS  # brings torch, which the help can do without

    if text == LOGIT:
        return AskedAgainst(None)
    path = expanded(text)
    if (is_file(path) and path.suffix.lower() != SUFFIX) or is_file(path / PARAMS):
        return AskedAgainst(None, path.absolute())
    name, revision = (str(path.absolute()), None) if is_there(path) else split_revision(text)
    return AskedAgainst(replace(first, model=name, revision=revision, demo=False, lenses=(), again=None))


@dataclass(frozen=True, eq=False)
class OpenedSide:
    """An open second side, and the lenses through which both are compared.

    Attributes:
        opened: its model and lenses; those of the first side, where it is another lens of the same model.
        lenses: its lenses, by the key of the first side's lens that each is compared with.
        is_model: whether it is another model.
        remarks: remarks for the user.
    """

    opened: Opened
    lenses: Mapping[str, Lens]
    is_model: bool
    remarks: tuple[str, ...]


def open_side(
    first: Opened,
    asked: AskedAgainst,
    on_stage: Callable[[str], None],
    should_stop: Callable[[], bool] = lambda: False,
    at_hand: Iterable[Opened] = (),
) -> OpenedSide:
    """Open the second side.

    Args:
        first: the first side's model and lenses.
        asked: the request.
        on_stage: called with each stage, in a few words.
        should_stop: called during a download; True ends it.
        at_hand: models in memory, of which the one that is asked for is not opened again.

    Raises:
        LensError: if it cannot be opened, or its model does not have the tokens of the first.
    """
    if asked.model is None:
        key, lens, said = _open_lens(first, asked.lens)
        return OpenedSide(first, {key: lens}, is_model=False, remarks=tuple(said))
    from lenstui.opening.agreement import check_same_tokens, rows_of_both
    from lenstui.opening.opened import open_model
    from lenstui.opening.pairs import lenses_of_both

    second = next(filter(asked.is_of, at_hand), None) or open_model(asked.model, on_stage, should_stop)
    check_same_tokens(first.model, second.model)
    remarks, pairs = list(second.remarks), lenses_of_both(first, second)
    if pairs:
        remarks += _lacking(first, second, list(pairs))
    else:
        remarks.append(f"{rows_of_both(first.model, second.model)}: their final distributions are compared.")
    return OpenedSide(second, pairs, is_model=True, remarks=tuple(remarks))


def _open_lens(first: Opened, file: Path | None) -> tuple[str, Lens, list[str]]:
    """Return another lens of the same model, the key of the lens to compare it with, and remarks."""
    from lenstui.lens.compatibility import fit_warning
    from lenstui.lens.formats.own import open_lens
    from lenstui.lens.logit import LogitLens
    from lenstui.lens.names import lens_title
    from lenstui.opening.pairs import lens_against

    lens: Lens = LogitLens() if file is None else open_lens(file)
    warning, key = fit_warning(lens, first.model), lens_against(first, lens)
    name = f" {lens.name}" if lens.name else ""
    said = f"The {lens_title(key)} is compared with the {lens_title(lens.kind)}{name}."
    return key, lens, [*([] if warning is None else [warning]), said]


def _lacking(first: Opened, second: Opened, pairs: list[str]) -> Iterator[str]:
    """Yield a remark for each of two models that has lenses which the other has not."""
    from lenstui.lens.lens import lens_keys
    from lenstui.opening.agreement import both_names

    both = both_names(first.model, second.model)
    for name, opened in zip(both, (first, second), strict=True):
        if others := [key for key in lens_keys(opened.lenses) if key not in pairs]:
            lenses = "lens" if len(pairs) == 1 else "lenses"
            yield (
                f"Only {name} has a {' and a '.join(others)} lens: by row they are compared through the "
                f"{' and '.join(pairs)} {lenses}."
            )
