"""The fields of the form for a fit: their first contents, and the request that is made of what was typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lenstui.fitting.jacobian_options import ESTIMATORS, RULES, TARGETS, JacobianOptions
from lenstui.fitting.options import (
    CHECKPOINT_EVERY,
    HELD_OUT,
    LOSSES,
    OPTIMIZERS,
    PRESETS,
    PRODUCTS,
    FitOptions,
    preset,
)
from lenstui.jobs.fit_messages import FitRequest
from lenstui.lens.kinds import JACOBIAN, TUNED
from lenstui.support.errors import LensError
from lenstui.support.typed_number import finite_number, whole_number
from lenstui.texts.bundled import text_for
from lenstui.texts.documents import COLUMN, Documents
from lenstui.tui.shared.typed_files import file_names


@dataclass(frozen=True, slots=True)
class Field:
    """One line of the form.

    Attributes:
        name: the name of the option, as the options of the fit or the request have it; `prompt_len` is the
            `seq_len` of a Jacobian lens.
        label: the label on screen.
        note: the meaning of the option, in a few words.
        words: the words that may be chosen; none where the option is typed.
        empty: the meaning of an empty line.
    """

    name: str
    label: str
    note: str
    words: tuple[str, ...] = ()
    empty: str = ""


# The method of a tuned lens.
TUNED_FIELDS = (
    Field("steps", "steps", "of the optimizer"),
    Field("epochs", "epochs", "passes over the text, instead of steps", empty="none"),
    Field("tokens_per_step", "tokens per step", "that one step sees"),
    Field("seq_len", "block length", "tokens; no more than the context"),
    Field("optimizer", "optimizer", "", OPTIMIZERS),
    Field("lr", "learning rate", "at the first step; falls to 0"),
    Field("loss", "loss", "KL, or of the next token", LOSSES),
    Field("bias_only", "bias only", "no matrices, no closed form", ("no", "yes")),
    Field("products", "products", "dtype of the gradient's", PRODUCTS),
)

# The method of a Jacobian lens.
JACOBIAN_FIELDS = (
    Field("n_prompts", "prompts", "each the beginning of a document"),
    Field("prompt_len", "prompt length", "tokens; shorter documents are left out"),
    Field("skip_first", "skip first", "tokens of each prompt that are left out"),
    Field("target", "target", "whose derivative is taken", TARGETS),
    Field("rule", "rule", "relp fits an R-Lens", RULES),
    Field("estimator", "estimator", "of all prompts, or of some", ESTIMATORS),
)

# The text, and what is common to all kinds.
TEXT_FIELDS = (
    Field("seed", "seed", "of the order, and of what is held out"),
    Field("column", "text column", "of Parquet and JSON lines", empty=COLUMN),
    Field("max_samples", "max samples", "documents that are read", empty="all"),
    Field("min_chars", "min characters", "of a document", empty="1"),
    Field("held_out", "held-out share", "of the documents, to judge by"),
    Field("checkpoint_every", "checkpoint every", "seconds; 0: at an end alone"),
)

FIELDS = (*TUNED_FIELDS, *TEXT_FIELDS)  # in the order on screen, but for a Jacobian lens's, which come first

# The fields that take whole numbers, and the smallest number of each.
_WHOLE = {
    "steps": 0,
    "epochs": 1,
    "tokens_per_step": 2,
    "seq_len": 2,
    "seed": 0,
    "max_samples": 1,
    "min_chars": 1,
    "n_prompts": 1,
    "prompt_len": 2,
    "skip_first": 0,
}
_JACOBIAN_DEFAULT = JacobianOptions()
_JACOBIAN_OPTIONS = {field.name: field.name for field in JACOBIAN_FIELDS} | {"prompt_len": "seq_len"}
_OPTIONS = ("steps", "tokens_per_step", "seq_len", "optimizer", "lr", "loss", "products", "seed")


class FieldError(Exception):
    """The error that what was typed in a field makes no sense.

    Attributes:
        field: the name of the field; `data` for the names of the files; empty where it is no single field.
    """

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


def first_text(field: str, options: FitOptions) -> str:
    """Return the text of a field before the user changes it."""
    if field == "bias_only":
        return "yes" if options.bias_only else "no"
    if field in _OPTIONS:
        value = getattr(options, field)
        return f"{value:g}" if isinstance(value, float) else str(value)
    if field in _JACOBIAN_OPTIONS:
        return str(getattr(_JACOBIAN_DEFAULT, _JACOBIAN_OPTIONS[field]))
    return {"held_out": f"{HELD_OUT:g}", "checkpoint_every": f"{CHECKPOINT_EVERY:g}"}.get(field, "")


def fields_of(kind: str) -> tuple[Field, ...]:
    """Return the fields that count for a kind of lens."""
    return (*(JACOBIAN_FIELDS if kind == JACOBIAN else TUNED_FIELDS), *TEXT_FIELDS)


def make_request(
    model: str,
    preset_name: str,
    data: str,
    texts: Mapping[str, str],
    *,
    kind: str = TUNED,
    starts_from: str = "",
) -> FitRequest:
    """Return the request for a fit, from what stands in the form.

    Args:
        model: the name of the model; empty where none is open.
        preset_name: the name of the preset of a tuned lens.
        data: files and globs, separated by spaces; one with spaces in quotes. Empty: the text that comes with
            lenstui for this model.
        texts: the texts of the fields, by name; those of another kind of lens may be missing.
        kind: the kind of lens.
        starts_from: the lens, in words, that a tuned lens starts from instead of a closed form; empty for
            none.

    Raises:
        FieldError: for the first field that makes no sense.
    """
    typed = {field.name: texts[field.name].strip() for field in fields_of(kind)}
    number = {name: _number(name, text) for name, text in typed.items() if _is_number(name)}
    held_out = number["held_out"]
    if held_out is None or not 0 < held_out < 1:
        raise FieldError("held_out", "A share between 0 and 1.")
    try:
        names = file_names(data)
    except LensError as error:
        raise FieldError("data", str(error)) from error
    is_jacobian = kind == JACOBIAN
    epochs = None if is_jacobian else number["epochs"]
    return FitRequest(
        options=_jacobian(typed, number) if is_jacobian else _tuned(preset_name, typed, number, starts_from),
        documents=Documents(
            paths=names or (str(text_for(model).path),),
            column=typed["column"] or None,
            min_chars=int(number["min_chars"] or 1),
            max_samples=None if number["max_samples"] is None else int(number["max_samples"]),
        ),
        held_out=held_out,
        epochs=None if epochs is None else int(epochs),
        checkpoint_every=float(number["checkpoint_every"] or 0),
    )


_Numbers = Mapping[str, int | float | None]


def _jacobian(typed: Mapping[str, str], number: _Numbers) -> JacobianOptions:
    """Return the options of a Jacobian lens.

    Raises:
        FieldError: if they contradict each other.
    """
    values = {option: number.get(name, typed[name]) for name, option in _JACOBIAN_OPTIONS.items()}
    options = JacobianOptions(**values, seed=number["seed"])  # type: ignore[arg-type]
    try:
        options.check()
    except LensError as error:
        raise FieldError("prompt_len", str(error)) from error
    return options


def _tuned(preset_name: str, typed: Mapping[str, str], number: _Numbers, starts_from: str) -> FitOptions:
    """Return the options of a tuned lens.

    Raises:
        FieldError: if they contradict each other.
    """
    first = PRESETS[preset_name]
    changes: dict[str, object] = {
        name: number.get(name, typed[name]) for name in _OPTIONS if typed[name] != first_text(name, first)
    }
    if number["epochs"] is not None and "steps" in changes:
        raise FieldError("epochs", "Epochs say how many steps there are: leave one of the two as it was.")
    if typed["bias_only"] == "yes":
        changes |= {"bias_only": True, "closed_form_tokens": 0}
    elif starts_from:
        changes |= {"starts_from": starts_from, "closed_form_tokens": 0}
    try:
        return preset(preset_name, **changes)
    except LensError as error:
        named = [name for name in (*_OPTIONS, "bias_only") if name in str(error)]
        raise FieldError(named[0] if named else "", str(error)) from error


def _is_number(name: str) -> bool:
    return name in _WHOLE or name in {"lr", "held_out", "checkpoint_every"}


def _number(name: str, text: str) -> int | float | None:
    """Return the number in a field; None where the field is empty and may be.

    Raises:
        FieldError: if the text is no number that the field takes.
    """
    text = text.strip()
    if not text and name in {"epochs", "max_samples", "min_chars"}:
        return None
    if name in _WHOLE:
        whole = whole_number(text)
        if whole is None or whole < _WHOLE[name]:
            raise FieldError(name, f"A whole number from {_WHOLE[name]} on.")
        return whole
    if (number := finite_number(text)) is None:
        raise FieldError(name, "A number that is not negative.")
    return number
