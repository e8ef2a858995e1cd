"""The user's settings: one TOML file, read at the start and never written. Errors in it are reported."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from reprlib import repr
from typing import TYPE_CHECKING, Any

from lenstui.support import paths
from lenstui.support.device_names import DEVICES, DTYPES, is_device_name
from lenstui.support.errors import message_line
from lenstui.support.small_file import read_small

if TYPE_CHECKING:
    from lenstui.support.lens_repository import LensRepository

THEMES = ("dark", "light", "ansi-dark", "ansi-light")
DEPTHS = ("auto", "truecolor", "256", "16", "none")

_REPOSITORY = r"(?a:[\w.-]+/[\w.-]+)"
_MODIFIERS = {"ctrl", "alt", "shift", "meta", "super", "hyper"}
_NAMED_KEY = (
    "up|down|left|right|home|end|pageup|pagedown|tab|enter|escape|backspace|delete|insert|"
    r"f([1-9]|1\d|2[0-4])"
)
# Names of keys on the screen or on keyboards, with Textual's names for them.
_ALIASES = {"esc": "escape", "return": "enter", "pgup": "pageup", "pgdn": "pagedown", "del": "delete"}
# Characters whose name in Textual is not the one in Unicode.
_NAMES = {"/": "slash", "\\": "backslash", "@": "at", "-": "minus", "+": "plus", "_": "underscore"}


@dataclass(frozen=True, slots=True)
class Settings:
    """The contents of the settings file. Every default means that the file does not set it.

    Attributes:
        theme: the name of a colour theme.
        colour: the depth of colour, one of `DEPTHS`; "auto" is what the terminal shows.
        model: the model to open where the command line names none.
        device: the device to run the model on, where the command line names none.
        dtype: the dtype of the model's weights, where the command line names none.
        threads: the number of threads of the processor, where the command line names none.
        top_k: the number of tokens that a cell of the screen shows at first.
        instant_lens: whether a model without a fitted lens gets an instant one by itself.
        keys: the keys of each rebound binding, by the binding's id.
        lens_repositories: repositories of lenses on the hub, beside those that lenstui knows.
        trouble: why the file is not followed, in one line; all other attributes are defaults then.
    """

    theme: str | None = None
    colour: str = "auto"
    model: str | None = None
    device: str = "auto"
    dtype: str = "auto"
    threads: int | None = None
    top_k: int | None = None
    instant_lens: bool = True
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lens_repositories: tuple[LensRepository, ...] = ()
    trouble: str | None = None


def load() -> Settings:
    """Return the user's settings; defaults, with the reason, where the file cannot be followed."""
    try:
        text = read_small(paths.settings()).decode()
    except (FileNotFoundError, NotADirectoryError):
        return Settings()
    except UnicodeDecodeError as error:
        return Settings(trouble=trouble(f"it is not UTF-8 text (byte {error.start})"))
    except OSError as error:
        return Settings(trouble=trouble(f"it cannot be read ({error.strerror or error})"))
    try:
        return read(text)
    except (ValueError, RecursionError) as error:
        return Settings(trouble=trouble(str(error)))


def trouble(reason: str, instead: str = "defaults") -> str:
    """Return one line, safe to show, on what is wrong with the settings file and what is used instead."""
    return message_line(f"{paths.settings()}: {' '.join(reason.split())}. The {instead} hold.")


def read(text: str) -> Settings:
    """Return the settings in a TOML text.

    Raises:
        ValueError: if any key or value in it is not understood; the message names the key.
    """
    import tomllib  # few have such a file, and the first paint waits for it

    found = tomllib.loads(text)
    readers: dict[str, Callable[[Any], Any]] = {
        "theme": _theme, "colour": _colour, "model": _model, "device": _device, "dtype": _dtype,
        "threads": _threads, "top_k": _top_k, "instant_lens": _instant_lens, "keys": _keys,
        "lens_repositories": _lens_repositories,
    }  # fmt: skip
    for name in found:
        if name not in readers:
            raise ValueError(f"{name!r} is no setting{hint(name, readers)}")
    return Settings(**{name: readers[name](value) for name, value in found.items()})


def hint(name: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    """Return the end of a sentence on an unknown name: the closest known name, or all of them."""
    meant = get_close_matches(name, known, 1)
    return f": perhaps {meant[0]!r} is meant" if meant else f": there are {', '.join(sorted(known))}"


def key_name(name: str) -> str:
    """Return a key's name in Textual: `question_mark` for `?`, `ctrl+a` for `Ctrl+A`.

    Raises:
        ValueError: if there is no such key.
    """
    *modifiers, key = [name] if len(name) == 1 else name.replace("++", "+plus").split("+")
    held = [modifier.lower() for modifier in modifiers]
    known = _key(key)
    if known is None or not set(held) <= _MODIFIERS:
        raise ValueError(f"{name!r} is no key: write a character, or a name such as ctrl+x, f5 or pageup")
    if len(known) == 1 and known.isalpha():
        if "ctrl" in held:
            known = known.lower()
        elif held == ["shift"]:
            return known.upper()
    return "+".join([*sorted(set(held)), known])


def _key(name: str) -> str | None:
    """Return Textual's name of a key without modifiers; None where there is no such key."""
    lower = _ALIASES.get(name.lower(), name.lower())
    if re.fullmatch(_NAMED_KEY, lower):
        return lower
    character = name if len(name) == 1 else _PUNCTUATION.get(lower, "")
    if not character.isprintable() or not character:
        return None
    return character if character.isalnum() else _name(character)


def _name(character: str) -> str:
    """Return Textual's name of a character that is neither a letter nor a digit."""
    full = unicodedata.name(character, character).lower().replace("-", "_").replace(" ", "_")
    return _NAMES.get(character, full)


_PUNCTUATION = {
    _name(character): character for character in map(chr, range(32, 127)) if not character.isalnum()
}


def _word(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name!r} must be a text in quotation marks, not {repr(value)}")
    return value.strip()


def _theme(value: Any) -> str:
    theme = _word("theme", value)
    if theme not in THEMES:
        raise ValueError(f"'theme' {theme!r} is unknown: there are {', '.join(THEMES)}")
    return theme


def _colour(value: Any) -> str:
    """Return a depth of colour, also one that is written as a number."""
    depth = str(value) if type(value) is int else _word("colour", value)
    if depth not in DEPTHS:
        raise ValueError(f"'colour' {depth!r} is unknown: there are {', '.join(DEPTHS)}")
    return depth


def _model(value: Any) -> str:
    model = _word("model", value)
    return str(Path(model).expanduser()) if model.startswith("~/") else model


def _device(value: Any) -> str:
    device = _word("device", value)
    if not is_device_name(device):
        raise ValueError(f"'device' {device!r} is unknown: {DEVICES}")
    return device


def _dtype(value: Any) -> str:
    dtype = _word("dtype", value)
    if dtype not in DTYPES:
        raise ValueError(f"'dtype' {dtype!r} is unknown: there are {', '.join(DTYPES)}")
    return dtype


def _threads(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"'threads' must be a whole number from 1 on, not {repr(value)}")
    return value


def _top_k(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 5:
        raise ValueError(f"'top_k' must be a whole number from 1 to 5, not {repr(value)}")
    return value


def _instant_lens(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"'instant_lens' must be true or false, not {repr(value)}")  # noqa: TRY004  as all else
    return value


def _keys(value: Any) -> dict[str, tuple[str, ...]]:
    """Return the keys of each binding, also where an unquoted `app.train` made TOML nest tables."""
    if not isinstance(value, dict):
        raise ValueError(f"'keys' must be a section, [keys], not {repr(value)}")  # noqa: TRY004  as all else here
    keys: dict[str, tuple[str, ...]] = {}
    for name, bound in value.items():
        inner = (
            {f"{name}.{part}": keys_of for part, keys_of in bound.items()} if isinstance(bound, dict) else {}
        )
        for binding, names in (inner or {name: bound}).items():
            keys[binding] = _bound(binding, names)
    return keys


def _bound(binding: str, value: Any) -> tuple[str, ...]:
    names = [value] if value == "," else value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"'keys' {binding!r} must be a key in quotation marks or a list of them")
    try:
        return tuple(dict.fromkeys(key_name(name.strip() or name) for name in names))
    except ValueError as error:
        raise ValueError(f"'keys' {binding!r}: {error}") from None


def _lens_repositories(value: Any) -> tuple[LensRepository, ...]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise ValueError(f"'lens_repositories' must be sections, [[lens_repositories]], not {repr(value)}")
    found = []
    for number, entry in enumerate(value, 1):
        try:
            found.append(_lens_repository(entry))
        except ValueError as error:
            raise ValueError(f"'lens_repositories' {number}: {error}") from None
    return tuple(found)


def _lens_repository(entry: Mapping[str, Any]) -> LensRepository:
    from lenstui.support.lens_repository import KINDS, TYPES, LensRepository  # few have their own

    readers: dict[str, Callable[[Any], Any]] = {
        "repository": _repository, "kind": _one_of("kind", KINDS), "files": _pattern,
        "type": _one_of("type", TYPES), "revisions": _revisions, "config": _file_name,
    }  # fmt: skip
    for name in entry:
        if name not in readers:
            raise ValueError(f"{name!r} is no setting of it{hint(name, readers)}")
    if missing := [name for name in ("repository", "kind", "files") if name not in entry]:
        raise ValueError(f"{missing[0]!r} is missing")
    return LensRepository(**{name: readers[name](value) for name, value in entry.items()})


def _one_of(name: str, known: tuple[str, ...]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if (word := _word(name, value)) not in known:
            raise ValueError(f"{name!r} {word!r} is unknown{hint(word, known)}")
        return word

    return read


def _repository(value: Any) -> str:
    name = _word("repository", value)
    if not re.fullmatch(_REPOSITORY, name):
        raise ValueError(f"'repository' must be OWNER/NAME on the hub, not {name!r}")
    return name


def _pattern(value: Any) -> str:
    from lenstui.support.lens_repository import MODEL, NAME

    pattern = _word("files", value)
    if {"", ".", ".."} & set(pattern.split("/")):
        raise ValueError(f"'files' must be a path within the repository, not {pattern!r}")
    if pattern.count(MODEL) + pattern.count(NAME) != len(re.findall(r"[{}]", pattern)) / 2:
        raise ValueError(f"'files' {pattern!r}: in braces there may be {MODEL} and {NAME} alone")
    if pattern.count(MODEL) + pattern.count(NAME) > 1:
        raise ValueError(f"'files' {pattern!r} names the model twice: {MODEL} or {NAME} may stand there once")
    return pattern


def _revisions(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"'revisions' must be a list of branches, tags or commits, not {repr(value)}")
    return tuple(dict.fromkeys(_word("revisions", name) for name in value))


def _file_name(value: Any) -> str:
    name = _word("config", value)
    if "/" in name or name in {".", ".."}:
        raise ValueError(f"'config' must be the name of a file beside the lens, not {name!r}")
    return name
