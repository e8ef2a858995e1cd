"""Every private name of transformers that lenstui uses, each behind a public function.

transformers gives no guarantee for private names. Each function says why it is used, and which test fails
once it is gone. `tests/test_private_names.py` checks that private names are used in this module alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def eager_attention(model: Any) -> Iterator[None]:
    """Have a transformers model compute attention eagerly, with weights to be seen; as before afterwards.

    Why: a fused kernel gives no weights, and `output_attentions=True` asks for them in vain, without an
    error. No public name tells which implementation is set, and a wrapper of several models may have several.
    `set_attn_implementation` does nothing for families whose source it does not recognise (Falcon).

    Noticed by `test_the_attention_implementation_is_restored` in `tests/causal/test_sources.py`.

    Args:
        model: the model.
    """
    configs = _configs(model)
    before = [config._attn_implementation_internal for config in configs]
    try:
        for config in configs:
            config._attn_implementation_internal = "eager"
        yield
    finally:
        for config, implementation in zip(configs, before, strict=True):
            config._attn_implementation_internal = implementation


def _configs(model: Any) -> list[Any]:
    """Return the configs of a model, of the models within it and of their parts, each once."""
    found: dict[int, Any] = {}
    waiting = [module.config for module in model.modules() if hasattr(module, "config")]
    while waiting:
        config = waiting.pop()
        if id(config) in found or not hasattr(config, "_attn_implementation_internal"):
            continue
        found[id(config)] = config
        waiting += [part for name in config.sub_configs if (part := getattr(config, name, None)) is not None]
    return list(found.values())
