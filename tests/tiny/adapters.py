"""Random adapters of peft for tiny models, in folders as a user has them; and models merged with them."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any


def adapter_in(folder: Path, base: Path, config: Any = None, *, seed: int = 1, size: float = 0.2) -> Path:
    """Write a random adapter for the model in a folder, by default a LoRA on all linear maps of its blocks.

    Args:
        folder: which may not be there yet.
        base: the folder of the model.
        config: of peft.
        seed: of the numbers.
        size: their standard deviation; peft itself begins with zeros, which change nothing.

    Returns:
        The folder.
    """
    import torch
    from peft import get_peft_model

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        model = get_peft_model(model_in(base), config or lora())
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and "magnitude" not in name:
                torch.nn.init.normal_(parameter, std=size)
        model.save_pretrained(str(folder))
    return folder


def lora(**options: Any) -> Any:
    """The configuration of a LoRA of rank 4."""
    from peft import LoraConfig

    return LoraConfig(**{"r": 4, "target_modules": "all-linear", "task_type": "CAUSAL_LM"} | options)


def model_in(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder).eval()


def merged(adapter: Path, base: Path) -> Any:
    """The model with the adapter multiplied into its weights, by peft."""
    from peft import PeftModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return PeftModel.from_pretrained(model_in(base), str(adapter)).merge_and_unload().eval()


def changed(adapter: Path, folder: Path, **config: Any) -> Path:
    """A copy of an adapter with other entries in its configuration."""
    shutil.copytree(adapter, folder)
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    return folder


def in_cache(cache: Path, adapter: Path, name: str = "owner/lora", commit: str = "ab" * 20) -> None:
    """Lay an adapter out in a Hugging Face cache, as huggingface_hub does."""
    repository = cache / f"models--{name.replace('/', '--')}"
    shutil.copytree(adapter, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
