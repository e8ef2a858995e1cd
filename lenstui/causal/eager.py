"""The ways to run a model in which its attention weights, and the values that they weigh, can be seen."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from enum import Enum
from typing import Any

from torch import Tensor

from lenstui.model.transformers_hacks import eager_attention


class Cache(Enum):
    """A cache that keeps the values which attention reads."""

    PLAIN = "plain"  # keeps all columns
    CONFIGURED = (
        "configured"  # made by the model's config, as hybrids need it; a sliding one keeps its window
    )


@dataclass(frozen=True, slots=True)
class Way:
    """A way to run a model so that its attention can be seen.

    Attributes:
        eager: whether attention is computed eagerly, which alone gives weights.
        cache: the cache that keeps values, or None.
    """

    eager: bool
    cache: Cache | None


# The first that a model runs with is taken. The last is how every prompt is read.
WAYS = (
    Way(eager=True, cache=Cache.PLAIN),
    Way(eager=True, cache=Cache.CONFIGURED),
    Way(eager=True, cache=None),
    Way(eager=False, cache=Cache.PLAIN),
    Way(eager=False, cache=None),
)
WHOLE_CACHE = WAYS[3]  # the model's own attention, and a cache of all columns


@dataclass(frozen=True, slots=True, eq=False)
class ValueCache:
    """A cache of keys and values of transformers.

    Attributes:
        cache: the cache.
        options: the arguments with which a forward pass takes it.
    """

    cache: Any
    options: Mapping[str, Any]

    def cut_off(self, cols: int) -> None:
        """Drop the last columns."""
        self.cache.crop(-cols)

    def values(self, block: int) -> Tensor | None:
        """Return the values that a block's attention read, `[heads or groups, cols, width]`, or None."""
        layers = self.cache.layers
        values = getattr(layers[block], "values", None) if block < len(layers) else None
        return values[0] if isinstance(values, Tensor) and values.ndim == 4 else None


@contextmanager
def running(module: Any, way: Way) -> Iterator[tuple[Mapping[str, Any], ValueCache | None]]:
    """Set up a model to run in a way, and restore it afterwards.

    Yields:
        Further arguments of the forward pass, and the cache that will hold the values of attention.

    Raises:
        TypeError: if the model takes no cache.
    """
    options: dict[str, Any] = {}
    cache = None
    if way.cache is not None:
        from transformers import DynamicCache

        config = module.config.get_text_config(decoder=True)
        cache = DynamicCache() if way.cache is Cache.PLAIN else DynamicCache(config=config)
        options = {"use_cache": True, _cache_argument(module): cache}
    with eager_attention(module) if way.eager else nullcontext():
        yield options, None if cache is None else ValueCache(cache, options)


def _cache_argument(module: Any) -> str:
    """Return the name of the argument that takes a cache: transformers 5 calls it by either name."""
    names = inspect.signature(module.forward).parameters
    for name in ("cache", "past_key_values"):
        if name in names:
            return name
    raise TypeError(f"{type(module).__name__} takes no cache of keys and values")
