"""Adapters on disk: folders with what `peft` adds to a base model. Neither torch nor peft is imported."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from lenstui.support.errors import LensError
from lenstui.support.small_file import read_json

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PICKLE = "adapter_model.bin"
KINDS = {
    "LORA": "LoRA",
    "ADALORA": "AdaLoRA",
    "LOHA": "LoHa",
    "LOKR": "LoKr",
    "IA3": "IA³",
}  # what is read, by peft's names: all of them change linear maps, and nothing else of a pass
_NO_NUMBERS = frozenset(
    {"auto_mapping", "base_model_name_or_path", "inference_mode", "peft_version", "revision", "task_type"}
)  # keys of the config that no number depends on
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter in a folder.

    Attributes:
        name: `OWNER/NAME` on the hub, or a folder.
        revision: a branch, tag or commit, where one was named.
        place: the folder.
        kind: what it is called: `LoRA`.
        base: the model that it was trained on, as its config names it, or None.
        base_revision: the revision of that model, where its config names one.
        digest: a hash of its numbers, 32 hexadecimal digits.
    """

    name: str
    revision: str | None
    place: Path
    kind: str
    base: str | None
    base_revision: str | None
    digest: str

    @property
    def typed(self) -> str:
        """The adapter as it is typed: `OWNER/NAME@REVISION`."""
        return self.name if self.revision is None else f"{self.name}@{self.revision}"

    @classmethod
    def read(cls, place: Path, name: str, revision: str | None = None) -> Adapter:
        """Read the configuration of an adapter, and refuse what cannot be read right.

        Args:
            place: the folder.
            name: the adapter's name for messages.
            revision: the revision on the hub that the user named, if any.

        Raises:
            LensError: if it is no adapter, damaged, or of a kind that is not read.
        """
        config = _config(place, name)
        kind, typed = str(config["peft_type"]), config.get("task_type")
        if kind not in KINDS:
            read = ", ".join(KINDS.values())
            raise LensError(f"{name} is a {kind} adapter, and those that are read are {read}.")
        if config.get("alora_invocation_tokens"):
            raise LensError(
                f"{name} begins at certain tokens of a prompt (activated LoRA): "
                "only adapters that hold for whole prompts are read."
            )
        if typed is not None and typed != "CAUSAL_LM":
            raise LensError(
                f"{name} is an adapter for {typed}: a lens needs one for a causal LM (CAUSAL_LM)."
            )
        base, at = config.get("base_model_name_or_path"), config.get("revision")
        return cls(
            name=name,
            revision=revision,
            place=place,
            kind=KINDS[kind],
            base=base if isinstance(base, str) and base else None,
            base_revision=at if isinstance(at, str) and at else None,
            digest=_digest(config, _weights(place, name)),
        )


def is_adapter(place: Path) -> bool:
    """Return whether a folder holds an adapter, and no whole model beside it."""
    try:
        return place.is_dir() and is_adapter_of({entry.name for entry in place.iterdir()})
    except OSError:
        return False


def is_adapter_of(names: Collection[str]) -> bool:
    """Return whether files with these names are an adapter's, without a whole model beside it."""
    whole = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
    return CONFIG in names and not any(name in names for name in whole)


def base_of(place: Path) -> str | None:
    """Return the name of the model that the adapter in a folder was trained on; None where it has none."""
    try:
        base = read_json(place / CONFIG)["base_model_name_or_path"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return base if isinstance(base, str) and base else None


def pickled(name: str) -> str:
    """Return a sentence that refuses an adapter whose weights are a pickle."""
    return (
        f"{name} has its weights in a pickle ({PICKLE}), which may run code as it is opened: "
        f"save it anew with peft, as {WEIGHTS}."
    )


def _config(place: Path, name: str) -> Mapping[str, Any]:
    file = place / CONFIG
    if not file.is_file():
        what = "a whole model" if (place / "config.json").is_file() else "no adapter"
        raise LensError(f"{name} is {what}: the folder of an adapter has an {CONFIG}.")
    try:
        config = read_json(file)
    except (OSError, ValueError) as error:
        raise LensError(f"{file} is damaged: {str(error).rstrip('.')}.") from error
    if not isinstance(config, Mapping) or not isinstance(config.get("peft_type"), str):
        raise LensError(f"{file} names no peft_type: it is not the configuration of an adapter.")
    return config


def _weights(place: Path, name: str) -> Path:
    if not (place / WEIGHTS).is_file():
        has_pickle = (place / PICKLE).is_file()
        raise LensError(
            pickled(name) if has_pickle else f"{place} has no {WEIGHTS}: fetch the adapter again."
        )
    return place / WEIGHTS


def _digest(config: Mapping[str, Any], weights: Path) -> str:
    """Return a hash of an adapter's weights, and of those options that its numbers depend on."""
    options = {key: value for key, value in config.items() if key not in _NO_NUMBERS}
    found = blake2b(json.dumps(options, sort_keys=True).encode(), digest_size=16)
    try:
        with weights.open("rb") as opened:
            while chunk := opened.read(_CHUNK):
                found.update(chunk)
    except OSError as error:
        raise LensError(f"{weights} cannot be read: {error.strerror or error}.") from error
    return found.hexdigest()
