"""A model's files, read by transformers: configuration, weights, tokenizer; errors say what is wrong there.

Python code that comes with a model is run only where the user allows it, and only where transformers does not
know the model itself.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, redirect_stderr
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import torch

from lenstui.model.adapter_files import CONFIG as ADAPTER
from lenstui.model.gguf import is_gguf, source
from lenstui.model.placement import Placement
from lenstui.model.size import check_claims, weight_bytes
from lenstui.model.tokenizer_file import check_tokenizer_files
from lenstui.support.errors import LensError, first_clause, is_panic
from lenstui.support.small_file import read_json

_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"  # the second where there are several
_VOCABULARIES = ("tokenizer.json", "*.model", "*vocab*", "*.tiktoken", "tekken.json")
_WARNING = "that would run with all your rights. If you trust it, add --trust-remote-code"


@dataclass(frozen=True, eq=False)
class Pretrained:
    """A model's files, with the configuration read.

    Attributes:
        place: the folder, or the GGUF file.
        name: the name that the user gave.
        config: the transformers configuration.
        runs_code: whether the model is defined by Python code among its files.
        trusted: whether the user allows that code to run.
    """

    place: Path
    name: str
    config: Any
    runs_code: bool
    trusted: bool

    @classmethod
    def read(cls, place: Path, name: str, *, trusted: bool = False, with_weights: bool = True) -> Pretrained:
        """Read the configuration of a causal LM, and refuse any other kind of model by name.

        Args:
            place: a folder or a GGUF file.
            name: the model's name for messages.
            trusted: whether to run Python code that comes with the model, if it needs that.
            with_weights: whether the weights are among the files, against which the configuration is checked.

        Raises:
            LensError: if the files cannot be read or used; one line that says what to do.
        """
        if is_gguf(place):
            config = _understood(place)
            _check_kind(config.to_dict(), name)
            return cls(place, name, config, runs_code=False, trusted=False)
        raw = _raw_config(place)
        if (place / ADAPTER).is_file() and find_spec("peft") is not None:  # transformers would mix the two
            raise LensError(
                f"{place} holds a whole model and an adapter: move the adapter ({ADAPTER} and its weights) "
                "into a folder of its own, and name that with --adapter."
            )
        runs_code = "auto_map" in raw and raw["model_type"] not in _readable()
        if runs_code and not trusted:
            raise LensError(f"{name} needs Python code of its own ({raw['model_type']}): {_WARNING}.")
        if runs_code:
            _check_direction(raw, name)
        else:
            _check_kind(raw, name)
        if with_weights:
            check_claims(raw, place)
            _check_index(place)
        return cls(place, name, _understood(place, trusted=runs_code), runs_code, trusted)

    @property
    def weight_bytes(self) -> int:
        """The size of the files that hold the weights, in bytes."""
        return weight_bytes(self.place)

    def model(self, placement: Placement) -> Any:
        """Load the transformers model, with all its weights.

        Args:
            placement: the device and form of the weights.

        Raises:
            LensError: if the weights cannot be loaded; one line that says what to do.
        """
        import transformers

        folder, words = source(self.place)
        in_text = self.runs_code or _readable()[self.config.model_type] == "text"
        auto = transformers.AutoModelForCausalLM if in_text else transformers.AutoModelForImageTextToText
        try:
            with _without_bars(is_gguf(self.place)):
                module, report = auto.from_pretrained(
                    folder,
                    config=self.config,
                    ignore_mismatched_sizes=True,  # the report names them
                    output_loading_info=True,
                    trust_remote_code=self.runs_code,
                    **placement.words(),
                    **words,
                )
            if not placement.is_final:
                module.to(placement.device)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise out_of_memory(self.name, placement.device) from error
        except OSError as error:
            reason = "out of memory" if error.errno == errno.ENOMEM else first_clause(error)
            raise LensError(f"The weights in {self.place} cannot be read: {reason}.") from error
        except Exception as error:  # transformers, safetensors and pickle raise many kinds for damaged files
            raise LensError(self._broken(error)) from error
        wrong = sorted([*report["missing_keys"], *(key[0] for key in report["mismatched_keys"])])
        if wrong:
            raise LensError(
                f"{self.name}: {len(wrong)} weights are missing or of the wrong shape ({wrong[0]}, …): "
                "with random numbers in their place nothing could be trusted."
            )
        matrix = module.get_output_embeddings()
        if matrix is not None and matrix.weight.is_meta:
            raise LensError(f"The head of {self.name} finds no room beside its blocks: try --dtype bfloat16.")
        return module

    def _broken(self, error: Exception) -> str:
        if self.runs_code:
            return f"The code that {self.name} brings does not run here: {first_clause(error)}."
        return (
            f"The weights in {self.place} are damaged or do not fit the config: {first_clause(error)}. "
            "Fetch them again."
        )

    def tokenizer(self) -> Any:
        """Load the transformers tokenizer.

        Raises:
            LensError: if it cannot be loaded; one line that says what to do.
        """
        from transformers import AutoTokenizer

        folder, words = source(self.place)
        if not words:
            check_tokenizer_files(self.place)
        try:
            # Without the configuration, AutoTokenizer would read it again, with the code that it names.
            known = {} if words else {"config": self.config}
            tokenizer = AutoTokenizer.from_pretrained(
                folder, trust_remote_code=self.trusted, **known, **words
            )
            # Some of what its configuration says wrong shows only when it is used.
            usual, plain = (
                tokenizer("a", add_special_tokens=special)["input_ids"] for special in (True, False)
            )
            tokenizer.decode(usual)
        except BaseException as error:
            if not isinstance(error, Exception) and not is_panic(error):
                raise
            if "trust_remote_code" in str(error):
                raise LensError(
                    f"The tokenizer of {self.name} needs Python code of its own: {_WARNING}."
                ) from error
            if not self._has_vocabulary:
                raise self._no_tokenizer from error
            raise LensError(
                f"The tokenizer in {self.place} cannot be read: {first_clause(error)}."
            ) from error
        # For some families transformers makes an empty tokenizer without any file.
        if not self._has_vocabulary and not plain:
            raise self._no_tokenizer
        return tokenizer

    @property
    def _has_vocabulary(self) -> bool:
        """Whether the folder has any file with a tokenizer's vocabulary."""
        return is_gguf(self.place) or any(any(self.place.glob(pattern)) for pattern in _VOCABULARIES)

    @property
    def _no_tokenizer(self) -> LensError:
        return LensError(
            f"{self.place} has no tokenizer (tokenizer.json, tokenizer.model or vocab.json): "
            "copy the tokenizer's files there, from the model that this one was made from."
        )


def _without_bars(wanted: bool) -> AbstractContextManager[object]:
    """Return a context that hides the progress bar for GGUF files, which transformers has no switch for."""
    return redirect_stderr(StringIO()) if wanted else nullcontext()


def _raw_config(folder: Path) -> Mapping[str, Any]:
    file = folder / "config.json"
    try:
        raw = read_json(file)
    except FileNotFoundError as error:
        raise LensError(f"{folder} has no config.json: it is not the folder of a model.") from error
    except (OSError, ValueError) as error:
        raise LensError(f"{file} cannot be read: {error}") from error
    if not isinstance(raw, Mapping) or not isinstance(raw.get("model_type"), str):
        raise LensError(f"{file} names no model_type: it is not the configuration of a model.")
    return raw


def _check_index(folder: Path) -> None:
    """Refuse a list of the weight files that lacks what transformers takes from it.

    Raises:
        LensError: if it does, or cannot be read; there may be none.
    """
    file = folder / _INDEX
    if (folder / _WHOLE).is_file() or not file.is_file():
        return
    try:
        index = read_json(file)
    except (OSError, ValueError) as error:
        raise LensError(f"{file} cannot be read: {error}") from error
    for name, advice in (("weight_map", "fetch it again"), ("metadata", 'put "metadata": {} into it')):
        if not isinstance(index, Mapping) or not isinstance(index.get(name), Mapping):
            raise LensError(f"{file} has no table {name}: {advice}.")


def _understood(place: Path, *, trusted: bool = False) -> Any:
    """Return the transformers configuration from a folder's config.json, or from a GGUF file's metadata."""
    from transformers import AutoConfig

    folder, words = source(place)
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=trusted, **words)
    except Exception as error:
        what = place if words else folder / "config.json"
        raise LensError(f"{what} is not understood: {first_clause(error)}") from error


def _readable() -> Mapping[str, str]:
    """Return transformers' model types with next-token logits, each with its kind, `text` or `image`."""
    from transformers.models.auto import modeling_auto as auto

    wrapped = dict.fromkeys(auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES, "image")
    return {**wrapped, **dict.fromkeys(auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, "text")}


def _check_direction(raw: Mapping[str, Any], name: str) -> None:
    if raw.get("is_encoder_decoder"):
        kind = raw["model_type"]
        raise LensError(f"{name} is an encoder-decoder ({kind}); a lens needs a decoder-only causal LM.")


def _check_kind(raw: Mapping[str, Any], name: str) -> None:
    """Refuse a configuration that is not a causal LM's."""
    from transformers import __version__
    from transformers.models.auto import modeling_auto as auto
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    kind = raw["model_type"]
    if kind not in CONFIG_MAPPING_NAMES:
        raise LensError(f"transformers {__version__} does not know {name}'s kind, {kind}. Try a newer one.")
    _check_direction(raw, name)
    causal = {
        name
        for mapping in (
            auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
            auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
        )
        for entry in mapping.values()
        for name in ([entry] if isinstance(entry, str) else entry)
    }
    listed = raw.get("architectures")
    classes = [each for each in listed if isinstance(each, str)] if isinstance(listed, list) else []
    if kind not in _readable() or (classes and not any(c in causal or c.endswith("Model") for c in classes)):
        what = classes[0] if classes else kind
        raise LensError(f"{name} is no causal LM ({what}): there are no next-token logits to read.")


def out_of_memory(name: str, device: torch.device) -> LensError:
    """Return the error for a model that does not fit into a device's memory."""
    return LensError(
        f"{name} does not fit into the memory of {device}. Try --dtype bfloat16, or --device cpu."
    )
