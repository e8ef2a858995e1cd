"""Load a causal LM, find its parts, and prove that it is read right."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lenstui.lens.anatomy import Anatomy, find_anatomy
from lenstui.lens.device import pick_device, pick_dtype
from lenstui.lens.errors import LensError
from lenstui.lens.gguf import is_gguf, source
from lenstui.lens.head import Head, prove_linear
from lenstui.lens.hub import resolve
from lenstui.lens.reading import Allowed
from lenstui.lens.residual import residual_stream
from lenstui.lens.tokens import TokenTexts, has_chat_template
from lenstui.lens.wiring import Check, check_wiring

WIRING_TEXT = "The wiring check reads this short text, and so do I."
_UNLIMITED = 1 << 20  # a context longer than this is a placeholder, not a limit


@dataclass(frozen=True, eq=False)
class Model:
    """A causal LM that passed the wiring check.

    Attributes:
        name: what the user called it: a hub id or a folder.
        revision: the hub revision that was asked for, if any.
        module: the transformers model, in eval mode.
        tokenizer: its tokenizer.
        texts: display text of its tokens.
        anatomy: its parts.
        head: its final norm and head.
        device: where the hidden states are read.
        dtype: of its weights.
        d_model: width of the residual stream.
        vocabulary: how many logits it gives (a padded vocabulary counts whole).
        context: the most columns it reads, or None where nothing says.
        wiring: the checks that it passed.
    """

    name: str
    revision: str | None
    module: Any
    tokenizer: Any
    texts: TokenTexts
    anatomy: Anatomy
    head: Head
    device: torch.device
    dtype: torch.dtype
    d_model: int
    vocabulary: int
    context: int | None
    wiring: tuple[Check, ...]

    @property
    def num_blocks(self) -> int:
        """`L`."""
        return len(self.anatomy.blocks)

    @property
    def allowed(self) -> Allowed:
        """How its prompts can be read."""
        return Allowed(
            final_norm=self.anatomy.final_norm is not None,
            bos=self.tokenizer.bos_token_id is not None,
            chat=has_chat_template(self.tokenizer),
        )

    @property
    def dtype_name(self) -> str:
        """As PyTorch calls it, without the package: `float32`."""
        return str(self.dtype).removeprefix("torch.")


def load(
    name: str,
    *,
    folder: Path | None = None,
    revision: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    on_stage: Callable[[str], None] = lambda stage: None,
) -> Model:
    """Load a causal LM from a folder, a GGUF file, the Hugging Face cache or the hub.

    Args:
        name: `OWNER/NAME` on the hub, a folder, or a GGUF file.
        folder: where its files are, if that is known already (or the GGUF file); `name` is then only what to
            call it.
        revision: a branch, tag or commit on the hub.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        dtype: `auto` (float32 on the CPU, the checkpoint's own on an accelerator), `float32`, `bfloat16`,
            `float16`.
        on_stage: told in a few words what is being done.

    Raises:
        LensError: whatever is wrong, in one line that says what to do.
    """
    _quiet()
    target = pick_device(device)
    if folder is None:
        on_stage("looking for the model")
        folder = resolve(name, revision)
    on_stage("reading the configuration")
    config = _read_config(folder, name)
    on_stage(f"reading {_weight_bytes(folder) / 1e6:.0f} MB of weights")
    module = _read_weights(folder, name, config, pick_dtype(dtype, target), target)
    on_stage("reading the tokenizer")
    tokenizer = _read_tokenizer(folder)
    on_stage("checking the wiring")
    return wire(name, module, tokenizer, revision=revision)


def wire(name: str, module: Any, tokenizer: Any, *, revision: str | None = None) -> Model:
    """Find the parts of a transformers model that is already in memory, and run the wiring check.

    Args:
        name: what to call it.
        module: a causal LM of transformers.
        tokenizer: its tokenizer.
        revision: where it came from, if that is known.

    Raises:
        LensError: if the model cannot be read right.
    """
    module.eval()
    text_config = module.config.get_text_config(decoder=True)
    device = next(module.parameters()).device
    if module.config.is_encoder_decoder:
        raise LensError(
            f"{name} is an encoder-decoder ({type(module).__name__}); a lens needs a decoder-only one."
        )
    if not hasattr(text_config, "vocab_size"):
        raise LensError(f"{name} has no vocabulary ({type(module).__name__}): it is no language model.")
    ids = _wiring_ids(tokenizer, int(text_config.vocab_size)).to(device)
    try:
        anatomy = find_anatomy(
            module,
            ids,
            getattr(text_config, "num_hidden_layers", None),
            getattr(text_config, "hidden_size", None),
        )
        h = residual_stream(module, anatomy, ids)
        with torch.inference_mode():
            samples = Head(module, anatomy).norm(h[-1, 0])
            head = Head(module, anatomy, prove_linear(module, anatomy, samples, text_config))
        wiring = check_wiring(module, head, ids)
        vocabulary = len(head(h[-1, 0, -1:])[0])
    except torch.OutOfMemoryError as error:
        raise _out_of_memory(name, device) from error
    except (
        AttributeError,
        IndexError,
        KeyError,
        NotImplementedError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise LensError(f"{name} cannot be run on a plain text: {_first_line(error)}.") from error
    return Model(
        name=name,
        revision=revision,
        module=module,
        tokenizer=tokenizer,
        texts=TokenTexts(tokenizer),
        anatomy=anatomy,
        head=head,
        device=h.device,
        dtype=next(module.parameters()).dtype,
        d_model=h.shape[-1],
        vocabulary=vocabulary,
        context=_context(text_config),
        wiring=wiring,
    )


def _quiet() -> None:
    """The screen belongs to the program: transformers speaks through exceptions alone."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _wiring_ids(tokenizer: Any, vocabulary: int) -> Tensor:
    """A short text, `[1, cols]`, with at least two columns and no id that the model lacks."""
    ids = [token for token in tokenizer(WIRING_TEXT)["input_ids"] if token < vocabulary][:32]
    return torch.tensor([ids if len(ids) > 1 else [0, 1]])


def _context(config: Any) -> int | None:
    """How many columns the model reads: the first of the names that families give it."""
    for key in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx"):
        value = getattr(config, key, None)
        if isinstance(value, int) and 0 < value <= _UNLIMITED:
            return value
    return None


def _read_config(folder: Path, name: str) -> Any:
    """The configuration of a causal LM; everything else is refused by name."""
    if is_gguf(folder):
        config = _understood(folder)
        _check_kind(config.to_dict(), name)
        return config
    try:
        raw = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise LensError(f"{folder} has no config.json: it is not the folder of a model.") from error
    except (OSError, ValueError) as error:
        raise LensError(f"{folder / 'config.json'} cannot be read: {error}") from error
    if not isinstance(raw, Mapping) or not isinstance(raw.get("model_type"), str):
        raise LensError(
            f"{folder / 'config.json'} names no model_type: it is not the configuration of a model."
        )
    _check_kind(raw, name)
    return _understood(folder)


def _understood(place: Path) -> Any:
    """What transformers makes of a folder's config.json, or of what a GGUF file says in its place."""
    from transformers import AutoConfig

    folder, words = source(place)
    try:
        return AutoConfig.from_pretrained(folder, **words)
    except Exception as error:
        what = place if words else folder / "config.json"
        raise LensError(f"{what} is not understood: {_first_line(error)}") from error


def _check_kind(raw: Mapping[str, Any], name: str) -> None:
    """Raise `LensError` where a configuration is not one of a causal LM."""
    from transformers import __version__
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES as KNOWN
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL_LMS

    kind = raw["model_type"]
    if "auto_map" in raw and kind not in CAUSAL_LMS:
        raise LensError(f"{name} needs code of its own (trust_remote_code), which lenstui does not run.")
    if kind not in KNOWN:
        raise LensError(f"transformers {__version__} does not know {name}'s kind, {kind}. Try a newer one.")
    if raw.get("is_encoder_decoder"):
        raise LensError(f"{name} is an encoder-decoder ({kind}); a lens needs a decoder-only causal LM.")
    classes = raw.get("architectures") or []
    causal = {
        name for entry in CAUSAL_LMS.values() for name in ([entry] if isinstance(entry, str) else entry)
    }
    if kind not in CAUSAL_LMS or (classes and not any(c in causal or c.endswith("Model") for c in classes)):
        what = classes[0] if classes else kind
        raise LensError(f"{name} is no causal LM ({what}): there are no next-token logits to read.")


def _read_weights(place: Path, name: str, config: Any, dtype: torch.dtype | str, device: torch.device) -> Any:
    from transformers import AutoModelForCausalLM

    folder, words = source(place)
    if not words and not _weight_bytes(folder):
        raise LensError(f"{folder} has a config.json but no weights (*.safetensors or pytorch_model*.bin).")
    try:
        module, report = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            ignore_mismatched_sizes=True,  # they are in the report, which names them
            output_loading_info=True,
            trust_remote_code=False,
            **words,
        )
        module.to(device)
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory(name, device) from error
    except OSError as error:
        reason = "out of memory" if error.errno == errno.ENOMEM else _first_line(error)
        raise LensError(f"The weights in {place} cannot be read: {reason}.") from error
    except Exception as error:  # transformers, safetensors and pickle raise many kinds for damaged files
        raise LensError(
            f"The weights in {place} are damaged or do not fit the config: {_first_line(error)}. "
            "Fetch them again."
        ) from error
    wrong = sorted([*report["missing_keys"], *(key[0] for key in report["mismatched_keys"])])
    if wrong:
        raise LensError(
            f"{name}: {len(wrong)} weights are missing or of the wrong shape ({wrong[0]}, …): "
            "with random numbers in their place nothing could be trusted."
        )
    return module


def _read_tokenizer(place: Path) -> Any:
    from transformers import AutoTokenizer

    folder, words = source(place)
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False, **words)
    except Exception as error:
        raise LensError(f"The tokenizer in {place} cannot be read: {_first_line(error)}") from error


def _weight_bytes(folder: Path) -> int:
    if is_gguf(folder):
        return folder.stat().st_size
    files = [*folder.glob("*.safetensors")] or [*folder.glob("pytorch_model*.bin")]
    return sum(file.stat().st_size for file in files)


def _out_of_memory(name: str, device: torch.device) -> LensError:
    return LensError(
        f"{name} does not fit into the memory of {device}. Try --dtype bfloat16, or --device cpu."
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
