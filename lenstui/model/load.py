"""Loading of a causal LM: its files, its parts, and the wiring check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lenstui.model.adapted import adapted_module, need_peft
from lenstui.model.adapter_files import Adapter, is_adapter
from lenstui.model.anatomy import Anatomy, find_anatomy
from lenstui.model.capabilities import Allowed
from lenstui.model.chat_template import has_chat_template, has_thinking_switch
from lenstui.model.head import Head, prove_linear
from lenstui.model.hub import find_adapter, find_base, resolve
from lenstui.model.placement import DeviceMap, Placement, broken_width
from lenstui.model.pretrained import Pretrained, out_of_memory
from lenstui.model.remote import Remote
from lenstui.model.residual import residual_stream
from lenstui.model.tokens import TokenTexts
from lenstui.model.wiring import Check, check_wiring
from lenstui.support.errors import FOREIGN_ERRORS, LensError, first_clause

WIRING_TEXT = "The wiring check reads this short text, and so do I."
_UNLIMITED = 1 << 20  # a context longer than this is a placeholder, not a limit


@dataclass(frozen=True, eq=False)
class Model:
    """A causal LM that passed the wiring check.

    Attributes:
        name: the name that the user gave: a hub id or a folder; of an adapted model that of the base.
        revision: the hub revision that the user named, if any.
        module: the transformers model, in eval mode.
        tokenizer: the transformers tokenizer.
        texts: display texts of the tokens.
        anatomy: the model's parts.
        head: the final norm and the head.
        device: the device of the hidden states that are read.
        dtype: the dtype of the weights.
        d_model: the width of the residual stream.
        vocabulary: the number of logits (a padded vocabulary counts whole).
        context: the most columns that the model reads, or None where the config does not say.
        wiring: the checks that the model passed.
        surround: returns what each forward pass runs within, of its token ids `[batch, cols]`, such as the
            hooks of edits; None for plain passes.
        edits: the edits that `surround` makes, as they are typed.
        edit_lens: the kind and name of the lens through which words in these edits have directions; empty
            where none has.
        adapter: the adapter that `module` is under, if any.
        base: the model without that adapter, which shares its weights; None where there is no adapter.
        remote: where the weights are, if they are not here: `module` and what is found in it have none then.
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
    surround: Callable[[Tensor], AbstractContextManager[None]] | None = None
    edits: tuple[str, ...] = ()
    edit_lens: str = ""
    adapter: Adapter | None = None
    base: Model | None = None
    remote: Remote | None = None

    @property
    def title(self) -> str:
        """The model with its adapter, in words: `OWNER/NAME + ADAPTER`."""
        return self.name if self.adapter is None else f"{self.name} + {self.adapter.typed}"

    @property
    def label(self) -> str:
        """The name that files made for the model are called by: its own, or that of its adapter."""
        return self.name if self.adapter is None else self.adapter.name

    @property
    def clean(self) -> Model:
        """This model without edits: its forward passes run as it was loaded."""
        return self if self.surround is None else replace(self, surround=None, edits=(), edit_lens="")

    @property
    def num_blocks(self) -> int:
        """The number of blocks, `L`."""
        return len(self.anatomy.blocks)

    @property
    def unembedding(self) -> Tensor | None:
        """The head's matrix, `[vocabulary, d]`; None where it is none, under an adapter, or elsewhere."""
        if self.remote is not None:
            return None
        matrix = self.module.get_output_embeddings()
        if hasattr(matrix, "base_layer"):  # whose `weight` is the base's
            return None
        weight: Tensor | None = getattr(matrix, "weight", None)
        return weight

    @property
    def known_ids(self) -> int:
        """The number of token ids that have both a row of the embedding and a logit of the head."""
        try:
            rows = len(self.module.get_input_embeddings().weight)
        except (AttributeError, NotImplementedError, TypeError):  # a model defined by its own code
            return self.vocabulary
        return min(self.vocabulary, rows)

    def check_ids(self, ids: Iterable[int]) -> None:
        """Refuse token ids that the model does not have: a tokenizer's vocabulary may be larger.

        Raises:
            LensError: if there is such an id; the message names the first one and its text.
        """
        known = self.known_ids
        wrong = next((token for token in ids if not 0 <= token < known), None)
        if wrong is not None:
            raise LensError(
                f"The token {self.texts[wrong]} has the id {wrong}, and {self.name} reads {known} ids "
                f"(0 … {known - 1}); its tokenizer gives {self.texts.size}. Leave the token out."
            )

    def stream(self, ids: Tensor, options: Mapping[str, Any] | None = None) -> Tensor:
        """Run token ids, and return the inputs of every block and of the final norm.

        Args:
            ids: `[batch, cols]`, on the CPU.
            options: further arguments of the model's forward pass.

        Returns:
            `h`, `[L + 1, batch, cols, d]`, as from `residual_stream`.

        Raises:
            LensError: if the model does not have one of the tokens, or its weights are elsewhere.
        """
        if self.remote is not None:
            raise self.remote.refuse("That")
        self.check_ids(ids.flatten().tolist())
        with nullcontext() if self.surround is None else self.surround(ids):
            return residual_stream(self.module, self.anatomy, ids.to(self.device), options)

    @property
    def allowed(self) -> Allowed:
        """The ways in which prompts of this model can be read."""
        return Allowed(
            final_norm=self.anatomy.final_norm is not None,
            bos=self.tokenizer.bos_token_id is not None,
            chat=has_chat_template(self.tokenizer),
            thinking=has_thinking_switch(self.tokenizer),
            weights=self.remote is None,
        )

    @property
    def quantized(self) -> str | None:
        """`8bit` or `4bit` where the blocks' matrices are quantised; else None."""
        names = {"is_loaded_in_8bit": "8bit", "is_loaded_in_4bit": "4bit"}
        return next((name for flag, name in names.items() if getattr(self.module, flag, False)), None)

    @property
    def dtype_name(self) -> str:
        """PyTorch's name of the dtype without the package: `float32`; if quantised, `float16 8bit`."""
        name = str(self.dtype).removeprefix("torch.")
        return name if self.quantized is None else f"{name} {self.quantized}"


def load(
    name: str | Path,
    *,
    folder: Path | None = None,
    revision: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    device_map: DeviceMap | None = None,
    quantize: str | None = None,
    trust_remote_code: bool = False,
    adapter: str | Adapter | None = None,
    on_stage: Callable[[str], None] = lambda stage: None,
) -> Model:
    """Load a causal LM from a folder, a GGUF file, the Hugging Face cache or the hub.

    Args:
        name: `OWNER/NAME` on the hub, a folder, or a GGUF file; of an adapter, which opens its base with it.
        folder: the folder or GGUF file of the model, if it is already known; `name` is then only a label.
        revision: a branch, tag or commit on the hub.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        dtype: `auto` (float32 on the CPU, the checkpoint's own on an accelerator), `float32`, `bfloat16`,
            `float16`.
        device_map: how to spread the blocks over several devices, in accelerate's form: `auto`, or a device
            for each part. Hidden states are gathered on the head's device. None: all on `device`.
        quantize: `8bit` or `4bit`, by bitsandbytes; the head is not quantised.
        trust_remote_code: whether to run Python code that comes with the model, if it needs that. Such code
            has all your rights.
        adapter: a LoRA adapter to read the model under: a folder, or `OWNER/NAME` or `OWNER/NAME@REVISION` on
            the hub. The model without it is then `base` of what is returned; the weights are in memory once.
        on_stage: called with each stage of the loading, in a few words.

    Raises:
        LensError: if the model cannot be found, loaded or read right; one line that says what to do.
    """
    quiet()
    name = str(name)
    placement = Placement.of(device, dtype, device_map, quantize)
    if isinstance(adapter, str):
        on_stage("looking for the adapter")
        adapter = find_adapter(adapter)
    if folder is None:
        on_stage("looking for the model")
        folder = resolve(name, revision, with_code=trust_remote_code)
        if adapter is None and is_adapter(folder):
            adapter = Adapter.read(folder, name, revision)
            base, revision = find_base(adapter), adapter.base_revision
            name, folder = base.name, base.path
    if adapter is not None:
        need_peft()
    on_stage("reading the configuration")
    files = Pretrained.read(folder, name, trusted=trust_remote_code)
    on_stage(f"reading {files.weight_bytes / 1e6:.0f} MB of weights")
    module = files.model(placement)
    on_stage("reading the tokenizer")
    tokenizer = files.tokenizer()
    on_stage("checking the wiring")
    model = wire(name, module, tokenizer, revision=revision)
    if adapter is None:
        return model
    on_stage("putting the adapter in")
    return with_adapter(model, adapter)


def with_adapter(model: Model, adapter: Adapter) -> Model:
    """Return a model under an adapter, which passed the wiring check too. Its weights are those of `model`.

    Args:
        model: a model, which stays as it is; where it has an adapter itself, its base is taken.
        adapter: the adapter.

    Raises:
        LensError: if peft is missing, or the adapter does not fit.
    """
    base = model.clean if model.base is None else model.base
    module = adapted_module(base.module, adapter, base.name)
    adapted = wire(base.name, module, base.tokenizer, revision=base.revision)
    return replace(adapted, texts=base.texts, adapter=adapter, base=base)


def wire(name: str, module: Any, tokenizer: Any, *, revision: str | None = None) -> Model:
    """Find the parts of a transformers model that is already in memory, and run the wiring check.

    Args:
        name: a label for the model.
        module: a causal LM of transformers.
        tokenizer: its tokenizer.
        revision: the hub revision that it came from, if known.

    Raises:
        LensError: if the model cannot be read right.
    """
    module.eval()
    text_config = module.config.get_text_config(decoder=True)
    device = _entrance(module)
    if module.config.is_encoder_decoder:
        raise LensError(
            f"{name} is an encoder-decoder ({type(module).__name__}); a lens needs a decoder-only one."
        )
    if not hasattr(text_config, "vocab_size"):
        raise LensError(f"{name} has no vocabulary ({type(module).__name__}): it is no language model.")
    ids = wiring_ids(tokenizer, int(text_config.vocab_size)).to(device)
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
        raise out_of_memory(name, device) from error
    except FOREIGN_ERRORS as error:
        if (width := broken_width(module)) is not None:
            raise LensError(
                f"{name} cannot be run in 4 bits on this {device.type}: a matrix is {width} wide, "
                "which is no multiple of 64. Use --quantize 8bit, or none."
            ) from error
        raise LensError(f"{name} cannot be run on a plain text: {first_clause(error)}.") from error
    return Model(
        name=name,
        revision=revision,
        module=module,
        tokenizer=tokenizer,
        texts=TokenTexts(tokenizer),
        anatomy=anatomy,
        head=head,
        device=h.device,
        dtype=next(p.dtype for p in module.parameters() if p.is_floating_point()),
        d_model=h.shape[-1],
        vocabulary=vocabulary,
        context=context_of(text_config),
        wiring=wiring,
    )


def _entrance(module: Any) -> torch.device:
    """Return the device of the model's input; the CPU where accelerate has offloaded the weights."""
    device: torch.device = next(module.parameters()).device
    return torch.device("cpu") if device.type == "meta" else device


def quiet() -> None:
    """Silence transformers' log messages and progress bars: the screen belongs to lenstui."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def wiring_ids(tokenizer: Any, vocabulary: int) -> Tensor:
    """Return token ids of a short text, `[1, cols]`: at least two columns, and no id that the model lacks."""
    ids = [token for token in tokenizer(WIRING_TEXT)["input_ids"] if token < vocabulary][:32]
    return torch.tensor([ids if len(ids) > 1 else [0, 1]])


def context_of(config: Any) -> int | None:
    """Return the most columns that the model reads, from the first config key that names them."""
    for key in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx"):
        value = getattr(config, key, None)
        if isinstance(value, int) and 0 < value <= _UNLIMITED:
            return value
    return None
