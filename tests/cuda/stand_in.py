"""A device that stands in for a GPU: what runs on it, and keeps to its own tensors, should run on CUDA.

A tensor there says `cuda:0` and has its numbers in the processor's memory. A function that is given tensors
of two devices fails as CUDA has it fail, and so does one that takes more memory at once than is left. What it
cannot show is what only CUDA's own functions do: their numbers, their speed, what they lack.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

DEVICE, CPU = torch.device("cuda", 0), torch.device("cpu")
# Properties of a tensor that are tensors.
_PARTS = {"T", "mT", "H", "mH", "data", "grad", "real", "imag"}
# Methods whose other tensor may be anywhere: what is copied, or only gives its shape.
_BETWEEN_DEVICES = {"copy_", "set_", "view_as", "expand_as", "reshape_as"}
# As CUDA's allocator says it: far too long for a line.
_FULL = (
    "CUDA out of memory. Tried to allocate {:.2f} MiB. GPU 0 has a total capacity of 79.11 GiB of which "
    "17.88 MiB is free. Including non-PyTorch memory, this process has 79.09 GiB memory in use. Of the "
    "allocated memory 78.44 GiB is allocated by PyTorch, and 21.30 MiB is reserved but unallocated. "
    "If reserved but unallocated memory is large try setting PYTORCH_ALLOC_CONF=expandable_segments:True to "
    "avoid fragmentation."
)


class There(Tensor):
    """A tensor on the stand-in. Functions on it give plain ones, which `StandIn` puts where they belong."""

    # As PyTorch's notes on subclasses have it.
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]


class StandIn(TorchFunctionMode):
    """The device, as long as the `with` block lasts.

    Attributes:
        most: bytes of the largest tensor that finds room.
    """

    def __init__(self) -> None:
        super().__init__()
        self.most = float("inf")

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.device:
            return func(*args, **kwargs)
        name: str = getattr(func, "__name__", "")
        me: Any = args[0] if args else None
        # A property is asked for by the `__get__` of its descriptor.
        attribute = getattr(func.__self__, "__name__", None) if name in {"__get__", "__set__"} else None
        if attribute == "device":
            return DEVICE if isinstance(me, There) else func(*args)
        if attribute == "is_cuda":
            return isinstance(me, There)
        if name in {"numpy", "__array__"} and isinstance(me, There):
            raise TypeError("can't convert cuda:0 device type tensor to numpy: use Tensor.cpu() first")
        if name == "get_device_module":
            return torch.cuda
        if func is torch.autograd.grad:  # each gradient is where its input is
            found = func(*args, **kwargs)
            return tuple(
                self._put(one, isinstance(of, There)) for one, of in zip(found, args[1], strict=True)
            )
        given = list(_tensors((args, kwargs)))
        there = self._is_there(name, attribute, args, kwargs, given)
        if name in {"cpu", "cuda"}:
            found = me if isinstance(me, There) == there else me.clone()
        else:
            found = func(*_here(args), **_here(kwargs))
            if name in {"to", "_to_copy"} and found is me and isinstance(me, There) != there:
                found = torch.clone(found)
        if attribute is not None and attribute not in _PARTS:
            return found
        own = {id(tensor) for tensor in given}
        return _mapped(found, lambda tensor: tensor if id(tensor) in own else self._put(tensor, there))

    def _is_there(
        self,
        name: str,
        attribute: str | None,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        given: list[Tensor],
    ) -> bool:
        """Whether a result is on the stand-in; fails where tensors of two devices meet."""
        me = args[0] if args else None
        if name in {"cpu", "cuda"}:
            return name == "cuda"
        if named := [each for each in (*args, *kwargs.values()) if _is_device(each)]:
            return torch.device(named[-1]).type == "cuda"
        if name in _BETWEEN_DEVICES or attribute is not None:
            return isinstance(me, There)
        if name == "to" and len(given) > 1:
            return isinstance(given[1], There)
        is_indexed = name in {"__getitem__", "__setitem__", "index_put_", "index_put"}
        if is_indexed and isinstance(me, There):  # by indices of the processor's, too
            return True
        some = [isinstance(tensor, There) for tensor in given]
        single = [tensor.dim() == 0 for tensor in given]  # numbers, which the processor's may be
        if any(some) and not all(is_there or one for is_there, one in zip(some, single, strict=True)):
            raise RuntimeError(f"Expected all tensors to be on the same device: {name} has cuda:0 and cpu")
        return any(some)

    def _put(self, tensor: Tensor, there: bool) -> Tensor:
        """A new tensor where it belongs."""
        if there and tensor.untyped_storage().nbytes() > self.most:
            raise torch.OutOfMemoryError(_FULL.format(tensor.nbytes / 2**20))
        return (
            tensor if isinstance(tensor, There) == there else tensor.as_subclass(There if there else Tensor)
        )


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """The stand-in as the one CUDA device of this machine, on this thread."""
    move = nn.Module.to

    def to(module: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
        devices = [each for each in (*args, *kwargs.values()) if _is_device(each)]
        rest = [each for each in args if not _is_device(each)]
        named = {name: each for name, each in kwargs.items() if not _is_device(each)}
        if rest or named:
            move(module, *rest, **named)
        for device in devices:
            _move(module, torch.device(device))
        return module

    pretended: dict[str, Callable[..., object]] = {
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "synchronize": lambda *_: None,
        "empty_cache": lambda: None,
        "mem_get_info": lambda *_: (1 << 36, 1 << 36),
        "is_bf16_supported": lambda **_: False,
    }
    with ExitStack() as stack:
        stack.enter_context(patch.object(nn.Module, "to", to))
        for name, function in pretended.items():
            stack.enter_context(patch.object(torch.cuda, name, function))
        yield stack.enter_context(StandIn())


def _move(module: nn.Module, device: torch.device) -> None:
    """Move parameters and buffers; tied ones stay tied."""
    moved: dict[int, Tensor] = {}
    for part in module.modules():
        stores: tuple[dict[str, Any], ...] = (part._parameters, part._buffers)
        for store in stores:
            for name, tensor in store.items():
                if tensor is None or (tensor.device == device):
                    continue
                if id(tensor) not in moved:
                    new = tensor.detach().to(device).requires_grad_(tensor.requires_grad)
                    new._is_param = isinstance(tensor, nn.Parameter)
                    moved[id(tensor)] = new
                store[name] = moved[id(tensor)]


def _is_device(value: object) -> bool:
    return isinstance(value, torch.device) or (
        isinstance(value, str) and value.partition(":")[0] in {"cpu", "cuda"}
    )


def _here(value: Any) -> Any:
    """Arguments with the processor for the stand-in."""
    if isinstance(value, dict):
        return {name: _here(each) for name, each in value.items()}
    if type(value) is tuple:
        return tuple(map(_here, value))
    return CPU if _is_device(value) and torch.device(value).type == "cuda" else value


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from _tensors(each)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _mapped(value: Any, put: Callable[[Tensor], Tensor]) -> Any:
    """A result with each of its tensors put where it belongs."""
    if isinstance(value, Tensor):
        return put(value)
    if isinstance(value, torch.Size) or not isinstance(value, (tuple, list)):
        return value
    parts = [_mapped(each, put) for each in value]
    return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
