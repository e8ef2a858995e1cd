"""The search for the models on this machine that a text means, by words that their lines show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lenstui.jobs.model_messages import ListedModel
from lenstui.jobs.models import FOLDER
from lenstui.model.name import BUNDLED_MODEL, looks_like_a_path
from lenstui.tui.models.table import shown_texts

HUB = "hub"  # where a model may be that is not on this machine
_OF_BUNDLED = ("demo", BUNDLED_MODEL)  # what the bundled model is called elsewhere


def suiting(models: Sequence[ListedModel], text: str, paths: Sequence[ListedModel] = ()) -> list[ListedModel]:
    """Return the models whose line shows every word of a text; behind an @ a model's revisions.

    Args:
        models: the models on this machine.
        text: the typed text. A model of exactly that name comes first, then those with all words in the name.
            A text that is no model's name is offered as it is: first where it names its owner, else last.
        paths: the paths that the text may go on to; a folder takes the place of a model of the same name.
    """
    typed = ListedModel(text, HUB)
    if "@" in text:
        return [*paths, *_revisions(models, text)]
    words = text.lower().split()
    paths = [path for path in paths if "/" in text or path.where != FOLDER]
    names = {path.name for path in paths}
    found = [model for model in models if model.name not in names and _has(words, *_texts(model))]
    if not text:
        return found
    found.sort(
        key=lambda model: (
            model.name != text,
            model.name.lower() != text.lower(),
            not _has(words, model.name),
        )
    )
    if text in names:
        return sorted([*paths, *found], key=lambda model: model.name != text)
    if found and found[0].name.lower() == text.lower():
        return [found[0], *paths, *found[1:]]
    if looks_like_a_path(text):
        return [*paths, *found]
    if "/" in text:
        return [typed, *paths, *found]
    found += paths
    return [*found, typed] if len(words) == 1 else found or [typed]


def _texts(model: ListedModel) -> tuple[str, ...]:
    """Return the texts that a model is found by."""
    return (model.name, *shown_texts(model), *(() if model.name else _OF_BUNDLED))


def _has(words: Sequence[str], *texts: str) -> bool:
    """Return whether each of some words, in lower case, is in one of the texts."""
    return all(any(word in text.lower() for text in texts) for word in words)


def _revisions(models: Sequence[ListedModel], text: str) -> list[ListedModel]:
    """Return the revisions of the models that the text before the @ means, by name or by a part of it."""
    name, _, begun = text.partition("@")
    parts = [model for model in models if model.name and name.lower() in model.name.lower()]
    meant = [model for model in models if model.name == name] or parts
    here = [
        replace(model, name=f"{model.name}@{revision}", revisions=())
        for model in meant
        for revision in model.revisions
        if revision.startswith(begun)
    ]
    here.sort(key=lambda model: not model.name.endswith(f"@{begun}"))
    if "/" in name and meant and meant[0].name != name:
        return [ListedModel(text, HUB), *here]
    if not here and len(meant) == 1:
        return [ListedModel(f"{meant[0].name}@{begun}", HUB)]
    return here or [ListedModel(text, HUB)]
