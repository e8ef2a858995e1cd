"""The blocks of a model on a prompt, taken apart into what their derivatives are made of.

A block that can be taken apart is `h + Attn(norm(h)) + MLP(norm(h or h + Attn))`: linear maps, with a norm
before them, and between them either attention or functions by elements. No table of families is needed: one
forward pass is watched for its norms, linear maps and attention, and that they are all there is shows by
their values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from lenstui.fitting.jacobian.graph import Derivative, without_parameters
from lenstui.model.load import Model

_T = TypeVar("_T")

_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-6}  # of the norm of what a part adds
_HALF_PRECISION = 5e-2


class UnknownFormError(ValueError):
    """The error that a block has another form, with the reason."""


@dataclass(frozen=True, eq=False)
class Normed:
    """A norm's output, written as `gain ⊙ unit + bias`.

    Attributes:
        unit: the vectors of mean square one, `[cols, d]`, float32.
        scale: what they were multiplied by to become so, `[cols]`.
        gain: the weights, `[d]`.
        is_centred: whether the mean over the dimensions is taken off first.
    """

    unit: Tensor
    scale: Tensor
    gain: Tensor
    is_centred: bool

    def folded(self, weight: Tensor) -> Tensor:
        """Return a linear map of the norm's output as one of its unit vectors.

        Args:
            weight: `[width, d]`.
        """
        folded = weight * self.gain
        return folded - folded.mean(-1, keepdim=True) if self.is_centred else folded


@dataclass(frozen=True, eq=False)
class Turn:
    """The derivative of queries, keys or values by what is read: mostly nothing, or a rotation of pairs.

    A pair is a number of the first half of a head and its like of the second. The derivative is zero but for
    the one of each by its own place, and the one by its partner's.

    Attributes:
        straight: the derivatives by the own place, `[groups, cols, n]`.
        crossed: at each place, the derivative of its partner by it, `[groups, cols, n]`.
        whole: the derivative, `[groups, cols, head_dim, n]`, where it is another; else None.
    """

    straight: Tensor
    crossed: Tensor
    whole: Tensor | None = None

    def of_group(self, group: int) -> Turn:
        """Return that of a single group, `[cols, …]`."""
        whole = None if self.whole is None else self.whole[group]
        return Turn(self.straight[group], self.crossed[group], whole)

    def forward(self, z: Tensor) -> Tensor:
        """Return what it makes of a single group's numbers, `[cols, head_dim]` of `[cols, n]`."""
        if self.whole is not None:
            return (self.whole @ z[..., None])[..., 0]
        return z * self.straight + swapped(z * self.crossed)

    def summed(self, by_column: Tensor) -> Tensor:
        """Return the sum over the columns of matrices times it, `[m, n]`, for a single group.

        Args:
            by_column: the matrices, `[cols, m, head_dim]`.
        """
        if self.whole is not None:
            return by_column.transpose(0, 1).flatten(1) @ self.whole.flatten(0, 1)
        own = (by_column * self.straight[:, None]).sum(0)
        return own + swapped((by_column * swapped(self.crossed)[:, None]).sum(0))


def swapped(numbers: Tensor) -> Tensor:
    """Return numbers with the halves of the last dimension exchanged."""
    return numbers.roll(numbers.shape[-1] // 2, -1)


@dataclass(frozen=True, eq=False)
class AttentionPart:
    """Attention on a prompt. Columns are the source columns; keys are the columns from the beginning on.

    Attributes:
        normed: its norm.
        reading: the linear map from `normed.unit` to `z`, all that is read, `[width, d]`.
        writing: the linear map of what the heads give, `[d, heads · head_dim]`.
        queries, keys, values: `[heads, cols, head_dim]`, `[heads, keys, head_dim]` twice.
        output: what the heads give, `[heads, cols, head_dim]`.
        pattern: the attention, `[heads, cols, keys]`.
        factor: what the products of queries and keys are multiplied by.
        places: the indices in `z` that each head's queries, and each group's keys and values, are made of,
            `[heads or groups, n]`. A group is of heads that share keys and values.
        turns: the derivatives of queries, keys and values by `z` at these places.
    """

    normed: Normed
    reading: Tensor
    writing: Tensor
    queries: Tensor
    keys: Tensor
    values: Tensor
    output: Tensor
    pattern: Tensor
    factor: float
    places: tuple[Tensor, Tensor, Tensor]
    turns: tuple[Turn, Turn, Turn]


@dataclass(frozen=True, eq=False)
class MlpPart:
    """An MLP on a prompt.

    Attributes:
        normed: its norm.
        reading: the linear maps from `normed.unit` to `z`, `[parts, inner, d]`: one, or two with a gate.
        writing: the linear map of the inner activations, `[d, inner]`.
        slopes: the derivatives of the inner activations by `z`, `[parts, cols, inner]`.
    """

    normed: Normed
    reading: Tensor
    writing: Tensor
    slopes: Tensor


@dataclass(frozen=True, eq=False)
class BlockParts:
    """A block on a prompt.

    Attributes:
        attention: its attention.
        mlp: its MLP.
        is_parallel: whether the MLP reads what the attention reads, and not what it gives.
    """

    attention: AttentionPart
    mlp: MlpPart
    is_parallel: bool


@dataclass(eq=False)
class _Seen:
    """What was watched in one block."""

    h: Tensor
    norms: list[tuple[nn.Module, Tensor, Tensor]]
    linear: list[tuple[Tensor, Tensor, Tensor]]  # input, weight `[out, in]`, output
    attention: tuple[Tensor, Tensor, Tensor, Tensor, float] | None = None  # queries to output, factor
    pattern: Tensor | None = None
    linear_before: int = 0  # how many linear maps came before the attention
    output: Tensor | None = None


class _Watch(TorchFunctionMode):
    """A context that keeps the linear maps and the attention of the block that is under way.

    What they give is cut off from the graph, so that there are derivatives of what is between them alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.block: _Seen | None = None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call a function, and keep what it was given."""
        named = kwargs or {}
        seen = self.block
        if seen is None:
            return func(*args, **named)
        if (map_ := _linear_map(func, args)) is not None:
            y = func(*args, **named).detach().requires_grad_()
            seen.linear.append((map_[0], map_[1].detach(), y))
            return y.clone()  # some families add to it in place
        if func is F.scaled_dot_product_attention:
            if seen.attention is not None:
                raise UnknownFormError("it has attention twice")
            y = func(*args, **named).detach().requires_grad_()
            seen.linear_before = len(seen.linear)
            _keep_attention(seen, y, *args, **named)
            return y
        return func(*args, **named)


def _linear_map(func: Callable[..., Any], args: Sequence[Any]) -> tuple[Tensor, Tensor] | None:
    """Return what a linear map is given, and its matrix `[out, in]`; None if a function is none."""
    if func is F.linear:
        return args[0], args[1]
    if func is torch.addmm:  # of the GPT-2 line
        return args[1], args[2].t()
    is_product = func in {torch.matmul, Tensor.matmul, Tensor.__matmul__}
    if is_product and args[1].ndim == 2 and not args[1].requires_grad:  # of Falcon
        return args[0], args[1].t()
    return None


def _keep_attention(  # noqa: PLR0917
    seen: _Seen,
    output: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> None:
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    with torch.no_grad():
        shared = q.shape[1] // k.shape[1]
        scores = q.float() @ k.float().repeat_interleave(shared, 1).mT * factor
        if is_causal:
            is_seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
            scores = scores.masked_fill(~is_seen, -torch.inf)
        if attn_mask is not None:
            is_bool = attn_mask.dtype == torch.bool
            scores = scores.masked_fill(~attn_mask, -torch.inf) if is_bool else scores + attn_mask.float()
        seen.pattern = scores.softmax(-1)[0]
    seen.attention = (q, k, v, output, factor)


def dissected(model: Model, ids: Tensor, of: Derivative, then: Callable[[BlockParts], _T]) -> tuple[_T, ...]:
    """Take the blocks between the rows and the target of a derivative apart, on a prompt.

    Args:
        model: from `load`.
        ids: the token ids, `[cols]`, on the CPU. The last one is left out.
        of: the derivative.
        then: what is made of the parts of a block, of which only one is held at a time.

    Raises:
        UnknownFormError: if a block has another form.
    """
    blocks = model.anatomy.blocks[of.rows.start : of.target]
    watch = _Watch()
    made: list[_T] = []

    def entering(block: nn.Module, args: tuple[Any, ...]) -> None:
        watch.block = _Seen(args[0].detach().clone(), [], [])

    def leaving(block: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        seen, watch.block = watch.block, None
        assert seen is not None
        seen.output = (output[0] if isinstance(output, (tuple, list)) else output).detach()
        seen.h = seen.h.to(seen.output.device)  # the block before it may be on another
        parts = _parts(seen, of.first)
        with torch.no_grad():
            made.append(then(parts))

    def norming(norm: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if watch.block is None or not isinstance(output, Tensor):
            return output
        h = watch.block.h
        if output.shape[-1] != h.shape[-1] or output.numel() != h.numel():
            return output  # of queries and keys
        y = output.detach()
        watch.block.norms.append((norm, args[0].detach(), y))
        return y

    with ExitStack() as stack:
        for block in blocks:
            stack.callback(block.register_forward_pre_hook(entering).remove)
            stack.callback(block.register_forward_hook(leaving).remove)
            for norm in (part for part in block.modules() if "norm" in type(part).__name__.lower()):
                stack.callback(norm.register_forward_hook(norming).remove)
        stack.enter_context(without_parameters(model.module))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(watch)
        model.module(input_ids=ids[None, :-1].to(model.device), use_cache=False, logits_to_keep=1)
    return tuple(made)


def _parts(seen: _Seen, first: int) -> BlockParts:
    """Return the parts of a block, if they are all there is to it."""
    if seen.attention is None:
        raise UnknownFormError("its attention is not the fused one")
    before, after = seen.linear[: seen.linear_before], seen.linear[seen.linear_before :]
    if not before or not 3 <= len(after) <= 4:
        raise UnknownFormError(
            f"it has {len(before)} linear maps before its attention and {len(after)} behind it"
        )
    writing, inner, down = after[0], after[1:-1], after[-1]
    assert seen.output is not None
    added = writing[2].detach().view_as(seen.h) + down[2].detach().view_as(seen.h)
    _same(seen.output, seen.h + added, "it adds something else to the stream", added)
    attention_norm = _norm_of(seen, before, first)
    mlp_norm = _norm_of(seen, inner, first)
    middle = seen.h + writing[2].detach().view_as(seen.h)
    source = mlp_norm[0].view_as(seen.h)
    is_parallel = not _is_same(source, middle, added) and _is_same(source, seen.h, added)
    if not is_parallel:
        _same(source, middle, "its MLP reads something else", added)
    _same(attention_norm[0], seen.h, "its attention reads something else", added)
    return BlockParts(
        _attention(seen, attention_norm[1], before, writing, first),
        _mlp(mlp_norm[1], inner, down, first),
        is_parallel,
    )


def _is_same(found: Tensor, wanted: Tensor, scale: Tensor) -> bool:
    tolerance = _TOLERANCE.get(found.dtype, _HALF_PRECISION)
    return bool((found - wanted).float().norm() <= tolerance * scale.float().norm())


def _same(found: Tensor, wanted: Tensor, otherwise: str, scale: Tensor | None = None) -> None:
    if not _is_same(found, wanted, wanted if scale is None else scale):
        raise UnknownFormError(otherwise)


def _norm_of(
    seen: _Seen, linear: Sequence[tuple[Tensor, Tensor, Tensor]], first: int
) -> tuple[Tensor, Normed]:
    """Return what the norm before linear maps is given, and the norm."""
    for norm, x, y in seen.norms:
        if all(y.data_ptr() == given.data_ptr() and y.numel() == given.numel() for given, *_ in linear):
            return x, _normed(norm, x, y, first)
    raise UnknownFormError("there is no norm before its linear maps")


def _normed(norm: nn.Module, x: Tensor, y: Tensor, first: int) -> Normed:
    """Return a norm as its values show it."""
    eps = getattr(norm, "eps", getattr(norm, "variance_epsilon", 0.0)) or 0.0
    bias = getattr(norm, "bias", None)
    x, y = x.view(-1, x.shape[-1]).float(), y.view(-1, y.shape[-1]).float()
    wanted = y if bias is None else y - bias.float()
    for is_centred in (bias is not None, bias is None):
        centred = x - x.mean(-1, keepdim=True) if is_centred else x
        scale = (centred.square().mean(-1) + eps).rsqrt()
        unit = centred * scale[:, None]
        gain = (unit * wanted).sum(0) / unit.square().sum(0)
        if _is_same(unit * gain, wanted, wanted):
            return Normed(unit[first:], scale[first:], gain, is_centred)
    raise UnknownFormError(f"{type(norm).__name__} is no norm that is known")


def _mlp(
    normed: Normed,
    inner: Sequence[tuple[Tensor, Tensor, Tensor]],
    down: tuple[Tensor, Tensor, Tensor],
    first: int,
) -> MlpPart:
    activation, writing, _ = down
    width = writing.shape[1]
    z = [y for _, _, y in inner]
    if sum(y.shape[-1] for y in z) not in {width, 2 * width}:
        raise UnknownFormError("its MLP is of another form")
    slopes = torch.autograd.grad(activation.sum(), z)
    reading = normed.folded(torch.cat([weight for _, weight, _ in inner]).float())
    flat = torch.cat([each.reshape(-1, each.shape[-1])[first:].float() for each in slopes], -1)
    parts = flat.shape[-1] // width
    return MlpPart(
        normed,
        reading.view(parts, width, -1),
        writing.float(),
        flat.view(-1, parts, width).transpose(0, 1).contiguous(),
    )


def _attention(
    seen: _Seen,
    normed: Normed,
    before: Sequence[tuple[Tensor, Tensor, Tensor]],
    writing: tuple[Tensor, Tensor, Tensor],
    first: int,
) -> AttentionPart:
    assert seen.attention is not None and seen.pattern is not None
    q, k, v, output, factor = seen.attention
    merged = output.detach().transpose(1, 2).reshape(1, output.shape[2], -1)
    _same(
        writing[0].detach().reshape_as(merged), merged, "something is between its attention and what writes"
    )
    z = [y for _, _, y in before]
    heads = q.shape[1]
    made = [_made_of(each, z, first) for each in (q, k, v)]
    keys, values = (_for_all_heads(each, heads)[0].detach().float() for each in (k, v))
    _same(seen.pattern @ values, output[0].detach().float(), "its attention has another form")
    return AttentionPart(
        normed,
        normed.folded(torch.cat([weight for _, weight, _ in before]).float()),
        writing[1].float(),
        q[0, :, first:].detach().float(),
        keys,
        values,
        output[0, :, first:].detach().float(),
        seen.pattern[:, first:],
        factor,
        (made[0][0], made[1][0], made[2][0]),
        (made[0][1], made[1][1], made[2][1]),
    )


def _for_all_heads(x: Tensor, heads: int) -> Tensor:
    return x.repeat_interleave(heads // x.shape[1], 1)


def _made_of(x: Tensor, z: list[Tensor], first: int) -> tuple[Tensor, Turn]:
    """Return which places in `z` each head of queries, keys or values is made of, and its derivative.

    Args:
        x: queries, keys or values, `[1, heads or groups, cols, head_dim]`.
        z: what the linear maps gave.
        first: the first source column.

    Returns:
        The places, `[heads or groups, n]`, and the derivative.
    """
    groups, cols, dim = x.shape[1:]
    gradients = torch.autograd.grad(x, z, torch.ones_like(x), retain_graph=True, allow_unused=True)
    sources = [number for number, gradient in enumerate(gradients) if gradient is not None]
    if len(sources) != 1:
        raise UnknownFormError("its heads read in another way")
    start, source = sum(each.shape[-1] for each in z[: sources[0]]), z[sources[0]]

    def pulled(cotangents: Tensor) -> Tensor:  # `[rows, groups, cols, dim]` to `[rows, cols, width]`
        (found,) = torch.autograd.grad(
            x, source, cotangents[:, None], retain_graph=True, is_grads_batched=True
        )
        return found.reshape(len(cotangents), -1, found.shape[-1])

    # A head at a time shows its places: those that its derivative is not zero at.
    one = torch.linspace(1, 2, dim).to(x).expand(cols, -1)
    heads = torch.eye(groups).to(x)[:, :, None, None] * one
    shown = pulled(heads).abs().sum(1) > 0  # [groups, width]
    shared = int(shown.sum(0).max())
    if shared > 1 and groups % shared == 0:  # keys that were repeated for each head of a group
        return _made_of(x[:, ::shared], z, first)
    counts = shown.sum(1)
    if shared != 1 or int(counts.min()) != int(counts.max()):
        raise UnknownFormError("its heads read in another way")
    places = shown.nonzero()[:, 1].view(groups, -1)

    def at_places(rows: Tensor) -> Tensor:  # `[rows, dim]` to `[groups, cols, rows, n]`
        found = pulled(rows.to(x)[:, None, None].expand(-1, groups, cols, -1))[:, first:].float()
        if torch.equal(places.flatten(), torch.arange(found.shape[-1], device=x.device)):
            return found.reshape(*found.shape[:2], groups, -1).permute(2, 1, 0, 3)
        return torch.stack([found[:, :, each] for each in places]).transpose(1, 2)

    return places + start, _turn(at_places, dim, places.shape[1])


def _turn(pulled: Callable[[Tensor], Tensor], dim: int, width: int) -> Turn:
    """Return a derivative, from its products with rows.

    Args:
        pulled: returns the products, `[groups, cols, rows, n]`, with rows `[rows, dim]`.
        dim: the width of a head.
        width: the number of places, `n`.
    """
    half = dim // 2
    if dim == width == 2 * half:
        # Ones in either half, and rows that tell whether there is anything else.
        is_first = (torch.arange(dim) < half).float()
        test = torch.rand(dim, generator=torch.Generator().manual_seed(0)) + 1
        of_first, of_second, of_test = pulled(torch.stack([is_first, 1 - is_first, test])).unbind(2)
        straight = torch.cat([of_first[..., :half], of_second[..., half:]], -1)
        crossed = torch.cat([of_second[..., :half], of_first[..., half:]], -1)
        test = test.to(straight)
        if _is_same(test * straight + swapped(test) * crossed, of_test, 1e-2 * of_test):
            return Turn(straight, crossed)
    whole = pulled(torch.eye(dim))
    return Turn(whole, whole, whole)
