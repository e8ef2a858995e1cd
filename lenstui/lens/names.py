"""Names of lenses: keys in files, titles, and the reason for rows that a lens does not read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lenstui.support.paths import instant_lenses

INSTANT = "instant"  # the preset and the name of lenses that are made by themselves

OF_BASE = " of the base"  # behind a lens that is not of the adapter that the model is under
_NAMELESS = "lens.pt"  # a name that says nothing
_AFTER_PEOPLE = {"jacobian": "Jacobian"}  # kinds whose word has a capital letter


def keys_of(lenses: Sequence[tuple[str, str | None]]) -> tuple[str, ...]:
    """Return a unique key for each lens: its kind, or `kind:name` from the second of a kind on.

    Args:
        lenses: kind and name of each.
    """
    seen: Counter[str] = Counter()
    keys: list[str] = []
    for kind, name in lenses:
        seen[kind] += 1
        key = kind if seen[kind] == 1 else f"{kind}:{name or seen[kind]}"
        keys.append(key if key not in keys else f"{key}:{seen[kind]}")
    return tuple(keys)


def key_of_model(key: str, model: str) -> str:
    """Return a lens's key where lenses of several models stand together: `logit:of pythia-14m`.

    Its title says so, too.
    """
    return f"{key}{' ' if ':' in key else ':'}of {model}"


def kind_word(kind: str) -> str:
    """Return a kind of lens as a word before "lens": `tuned`, `Jacobian`."""
    return _AFTER_PEOPLE.get(kind, kind)


def lens_title(key: str) -> str:
    """Return the title of a lens by its key: `tuned lens`, `tuned lens quick-1`."""
    kind, _, name = key.partition(":")
    return f"{kind_word(kind)} lens {name}".rstrip()


def lens_brief(key: str) -> str:
    """Return a lens by its key in a word or two, where numbers stand: `tuned`, `tuned quick-1`."""
    return key.replace(":", " ", 1)


def no_row(kind: str, label: str) -> str:
    """Return the reason, as a sentence, why a lens has no number in a row that it does not read."""
    return f"No {kind_word(kind)} lens is fitted for row {label}."


def no_sum(kind: str) -> str:
    """Return the reason, as a sentence, why a lens has no number for a word of several tokens."""
    return (
        f"A {kind_word(kind)} lens gives no distribution of the next token: of a word of several tokens "
        "only the first is read."
    )


def file_lens_name(path: Path) -> str:
    """Return the name of the lens in a file: that of the file without `.pt`, or of a folder.

    An instant lens in its folder has no name of its own, as its file is named by a fingerprint. A `lens.pt`
    from the hub is named after the folders that it lies in there.
    """
    if path.parent == instant_lenses():
        return INSTANT
    if path.name == _NAMELESS:
        from lenstui.lens.origin import Origin  # the first paint can do without

        if (origin := Origin.of(path)) is not None and "/" in origin.path:
            return origin.path.removesuffix(f"/{_NAMELESS}").replace("/", "-")
    return path.stem if path.suffix == ".pt" else path.name


def adapter_of(config: Mapping[str, Any]) -> str | None:
    """Return the adapter that a lens was fitted under, by the config of its file; None for none."""
    adapter = config.get("adapter")
    return adapter["name"] if isinstance(adapter, Mapping) and isinstance(adapter.get("name"), str) else None


def is_instant(fit: Mapping[str, Any]) -> bool:
    """Return whether a lens is an instant one, by how it was fitted."""
    return fit.get("preset") == INSTANT


def instant_words(fit: Mapping[str, Any]) -> str:
    """Return how an instant lens was made: `closed form, 8,192 tokens`."""
    tokens = fit.get("tokens")
    return f"{fit.get('method')}, {tokens:,} tokens" if isinstance(tokens, int) else str(fit.get("method"))


def instant_lens_named(how: str) -> str:
    """Return an instant lens in words, from `instant_words`: `instant lens (closed form, 8,192 tokens)`."""
    return f"{INSTANT} lens ({how})"
