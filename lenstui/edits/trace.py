"""Causal traces: parts of a clean run patched one by one into a corrupted one, and how much each restores.

    recovered = (m(patched) − m(corrupted)) / (m(clean) − m(corrupted))

with `m` a logit difference, a log-probability, or −KL to the clean run, at the end of the prompt. The
corruption is a second prompt, or Gaussian noise on the embeddings of some columns (Meng et al. 2022).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lenstui.causal.maps import find_maps
from lenstui.edits.attribution_patching import find_slopes
from lenstui.edits.clean_run import check_component
from lenstui.edits.edit import Columns, Component
from lenstui.edits.hooks import Change, changing, values_of
from lenstui.edits.trace_options import TraceOptions
from lenstui.model.load import Model
from lenstui.model.rows import Row
from lenstui.model.tokens import Prompt
from lenstui.readout.alignment import aligned
from lenstui.readout.cells import FloatArray
from lenstui.support.errors import LensError

NOISE = 3.0  # standard deviations of the token embeddings, as in Meng et al. 2022
_BATCH_COLUMNS = 1024  # columns of all prompts of one pass
_EMBEDDINGS = 1000  # token ids whose embeddings give the scale of the noise
_LEAST = 1e-2  # nats, or logits: a smaller difference of clean and corrupted says nothing


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """A causal trace, finished or under way.

    Attributes:
        options: what was patched, with the tokens of the metric.
        clean_ids: token ids of the clean prompt.
        ids: token ids of the corrupted prompt, whose columns are patched.
        rows: the labels of the rows, the lowest first; of blocks where attention, MLPs or heads are patched.
        clean: the metric of the clean run.
        corrupted: that of the corrupted run, the mean over the draws of noise.
        raw: the metric of each patched run, `[rows, cols]` or `[rows, heads]`; NaN where nothing is patched.
        recovered: the share of the difference that each patch restores, likewise.
        stderr: the standard error of `recovered` over the draws, as that of a ratio of means, likewise; None
            without noise.
        done: the number of rows that are finished, from the lowest on.
        sigma: the standard deviation of the noise; None without noise.
    """

    options: TraceOptions
    clean_ids: tuple[int, ...]
    ids: tuple[int, ...]
    rows: tuple[str, ...]
    clean: float
    corrupted: float
    raw: FloatArray
    recovered: FloatArray
    stderr: FloatArray | None
    done: int
    sigma: float | None = None


def trace(
    model: Model, clean: Prompt, corrupted: Prompt | None = None, options: TraceOptions | None = None
) -> Trace:
    """Return a causal trace from a clean prompt into a corrupted one, or into the same under noise.

    Args:
        model: from `load`.
        clean: from `encode`.
        corrupted: likewise; None where `options.noise` names columns.
        options: what is patched, and how it is measured.

    Raises:
        LensError: as `trace_steps` does.
    """
    *_, last = trace_steps(model, clean, corrupted, options or TraceOptions())
    return last


def trace_steps(
    model: Model, clean: Prompt, corrupted: Prompt | None, options: TraceOptions
) -> Iterator[Trace]:
    """Yield a causal trace after each row; a caller stops it by not asking for more.

    An approximate one comes at once (`lenstui.edits.attribution_patching`).

    Args:
        model: from `load`.
        clean: from `encode`.
        corrupted: likewise; None where `options.noise` names columns.
        options: what is patched, and how it is measured.

    Raises:
        LensError: if there is no such column, clean and corrupted run do not differ in the metric, or the
            model does not have what is patched.
    """
    done = 0
    for progress in trace_passes(model, clean, corrupted, options):
        if progress.trace.done > done:
            done = progress.trace.done
            yield progress.trace


@dataclass(frozen=True, slots=True, eq=False)
class Progress:
    """How far a causal trace is.

    Attributes:
        done: the number of passes of the model that are done.
        passes: that of all passes, each over as many prompts as the others, but the last of a row.
        trace: the trace as far as it is, also within a row.
    """

    done: int
    passes: int
    trace: Trace


def trace_passes(
    model: Model, clean: Prompt, corrupted: Prompt | None, options: TraceOptions
) -> Iterator[Progress]:
    """Yield how far a causal trace is: before the first pass, after each pass, and after each row.

    Between two of them the model is as it was, so that a caller may do other work with it, or stop.

    Args:
        model: from `load`.
        clean: from `encode`.
        corrupted: likewise; None where `options.noise` names columns.
        options: what is patched, and how it is measured.

    Raises:
        LensError: as `trace_steps` does.
    """
    tracing = _Tracing.begin(model.clean, clean, corrupted, options)
    done, passes = 0, tracing.passes
    yield Progress(done, passes, tracing.result(0))
    if options.approximate:
        for done, _ in enumerate(tracing.approximate(), 1):
            yield Progress(done, passes, tracing.result(0))
        yield Progress(done, passes, tracing.result(len(tracing.rows)))
        return
    for row in range(len(tracing.rows)):
        for _ in tracing.do_row(row):
            done += 1
            yield Progress(done, passes, tracing.result(row))
        yield Progress(done, passes, tracing.result(row + 1))


@dataclass(frozen=True, slots=True)
class _Patch:
    """Components that are patched together.

    Attributes:
        place: the column or attention head on the map of the trace.
        components: what is patched.
        pairs: the columns that are patched, each with the clean column that comes in.
    """

    place: int
    components: tuple[Component, ...]
    pairs: Mapping[int, int]


@dataclass(frozen=True, eq=False)
class _Tracing:
    """A trace under way.

    Attributes:
        model: the clean model.
        options: with the tokens of the metric.
        clean_prompt: the clean prompt.
        prompt: the corrupted one.
        rows: the labels of the rows.
        patches: those of each row.
        values: the components that are patched, in the clean run, `[cols, width]`.
        noises: what each draw adds to `h_0`, `[cols, d]`; a single None without noise.
        metric: of logits `[batch, vocabulary]`, `[batch]`.
        clean: the metric of the clean run.
        corrupted: that of the corrupted run, by draw.
        raw: of the patched runs, `[draws, rows, cols or heads]`.
        sigma: the standard deviation of the noise.
    """

    model: Model
    options: TraceOptions
    clean_prompt: Prompt
    prompt: Prompt
    rows: tuple[str, ...]
    patches: tuple[list[_Patch], ...]
    values: Mapping[Component, Tensor]
    noises: tuple[Tensor | None, ...]
    metric: Callable[[Tensor], Tensor]
    clean: float
    corrupted: FloatArray
    raw: FloatArray
    sigma: float | None

    @classmethod
    def begin(cls, model: Model, clean: Prompt, corrupted: Prompt | None, options: TraceOptions) -> _Tracing:
        """Run both prompts, and decide the tokens of the metric."""
        if (corrupted is None) == (options.noise is None):
            raise LensError(
                "A trace is into a second prompt, or into the same one under noise: give one of them."
            )
        prompt = clean if corrupted is None else corrupted
        _check(model, options, len(prompt.ids))
        pairs = aligned(prompt.ids, clean.ids)
        rows = range(model.num_blocks + 1) if options.what == "resid" else range(1, model.num_blocks + 1)
        patches = tuple(_patches(model, options, pairs, number) for number in range(len(rows)))
        last = Component("stream", model.num_blocks - 1)
        values = values_of(model, _ids([clean]), [*_patched(patches), last])
        logits = _logits(model, values[last][-1:])[0]  # [vocabulary]
        sigma = None if options.noise is None else NOISE * _embedding_scale(model)
        noises = _noises(model, options, len(prompt.ids), sigma)
        corrupted_logits = torch.stack(
            [_last_logits(model, _ids([prompt]), _noise_changes(noise))[0] for noise in noises]
        )
        known = _with_tokens(options, model, logits, corrupted_logits.mean(0))
        metric = _metric(known, logits)
        m_clean, m_corrupted = float(metric(logits[None])[0]), metric(corrupted_logits).cpu().numpy()
        if abs(apart := m_clean - float(m_corrupted.mean())) < _LEAST:
            raise LensError(
                f"Clean and corrupted run differ by {apart:.2g} in this metric: there is nothing to restore."
            )
        count = _heads(model) if options.what == "head" else len(prompt.ids)
        labels = tuple(Row(h).label for h in rows)
        raw = np.full((len(noises), len(labels), count), np.nan, np.float32)
        return cls(
            model, known, clean, prompt, labels, patches, values, noises, metric, m_clean, m_corrupted, raw,
            sigma,
        )  # fmt: skip

    def result(self, done: int) -> Trace:
        """Return what is known after some rows."""
        corrupted = float(self.corrupted.mean())
        difference, mean = self.clean - corrupted, self.raw.mean(0)
        shares, stderr = (mean - corrupted) / difference, None
        if self.sigma is not None and len(self.raw) > 1:
            # Of a ratio of means, each draw's patched run paired with its own corrupted one.
            own = self.corrupted[:, None, None]
            off = self.raw - own - shares * (self.clean - own)  # [draws, rows, cols]
            stderr = off.std(0, ddof=1) / np.sqrt(len(self.raw)) / abs(difference)
        return Trace(
            self.options, self.clean_prompt.ids, self.prompt.ids, self.rows, self.clean, corrupted, mean,
            shares, stderr, done, self.sigma,
        )  # fmt: skip

    @property
    def passes(self) -> int:
        """The number of passes of the model that all rows take."""
        if self.options.approximate:
            return len(self.noises)
        return sum(-(-len(patches) // self._size) for patches in self.patches) * len(self.noises)

    @property
    def _size(self) -> int:
        """The number of prompts of one pass."""
        return max(1, _BATCH_COLUMNS // len(self.prompt.ids))

    def do_row(self, row: int) -> Iterator[None]:
        """Patch each column, or each attention head, of a row in turn, many in one pass; yield after each."""
        patches, size = self.patches[row], self._size
        for start in range(0, len(patches), size):
            some = patches[start : start + size]
            ids = _ids([self.prompt] * len(some))
            changes = self._changes(some)
            for draw, noise in enumerate(self.noises):
                measured = self.metric(_last_logits(self.model, ids, [*_noise_changes(noise), *changes]))
                for patch, number in zip(some, measured.tolist(), strict=True):
                    self.raw[draw, row, patch.place] = number
                yield

    def approximate(self) -> Iterator[None]:
        """Estimate all patches to first order, by a backward pass for each draw of noise, and yield then."""
        components, ids = _patched(self.patches), _ids([self.prompt])
        for draw, noise in enumerate(self.noises):
            slopes = find_slopes(self.model, ids, _noise_changes(noise), components, self.metric)
            for row, patches in enumerate(self.patches):
                for patch in patches:
                    effects = (
                        slopes[each].effect(self.values[each], patch.pairs) for each in patch.components
                    )
                    self.raw[draw, row, patch.place] = self.corrupted[draw] + sum(effects)
            yield

    def _changes(self, patches: Sequence[_Patch]) -> list[tuple[Component, Change]]:
        """Return the changes of a batch, each item of which has one of the patches."""
        places: dict[Component, list[tuple[int, int, int]]] = defaultdict(list)
        for item, patch in enumerate(patches):
            for component in patch.components:
                places[component] += ((item, *pair) for pair in patch.pairs.items())
        return [(component, _putting(self.values[component], at)) for component, at in places.items()]


def _patches(model: Model, options: TraceOptions, pairs: Mapping[int, int], row: int) -> list[_Patch]:
    """Return the patches of a row, one for each column or attention head."""
    if options.what == "head":
        at = pairs if options.column is None else _one_of(pairs, options.column)
        heads = range(find_maps(model).blocks[row].heads)
        return [_Patch(head, (Component("head", row, head),), at) for head in heads]
    components = tuple(_components(model, options, row))
    return [_Patch(column, components, {column: source}) for column, source in pairs.items() if components]


def _patched(patches: Iterable[Sequence[_Patch]]) -> list[Component]:
    """Return all components of the patches of all rows, each once, in order."""
    return list(dict.fromkeys(each for of_row in patches for patch in of_row for each in patch.components))


def _components(model: Model, options: TraceOptions, row: int) -> Iterator[Component]:
    """Yield what is patched together in a row: the stream, or what neighbouring blocks add."""
    if options.what == "resid":
        yield Component("stream", row - 1)
        return
    assert options.what != "head"
    for block in options.blocks(row, model.num_blocks):
        component = Component(options.what, block)
        try:
            check_component(model, component)
        except LensError:  # a block without that part
            continue
        yield component


def _check(model: Model, options: TraceOptions, cols: int) -> None:
    if options.window < 1 or options.samples < 1:
        raise LensError("A window and a number of samples are whole numbers from 1 on.")
    if options.window > 1 and options.what not in {"attn", "mlp"}:
        raise LensError(f"A window is of attention or MLPs, not of {options.what}.")
    if options.column is not None:
        if options.what != "head":
            raise LensError("A column is chosen for attention heads alone: all others are patched by column.")
        Columns(((options.column, options.column),)).of(cols)
    if options.what == "head" and not _heads(model):
        raise LensError(f"This model has no attention heads: {find_maps(model).blocks[0].no_heads}.")


def _heads(model: Model) -> int:
    return max(block.heads for block in find_maps(model).blocks)


def _ids(prompts: Sequence[Prompt]) -> Tensor:
    return torch.tensor([list(prompt.ids) for prompt in prompts])


def _last_logits(model: Model, ids: Tensor, changes: Sequence[tuple[Component, Change]]) -> Tensor:
    """Return the model's logits in the last column under changes, `[batch, vocabulary]`, float32."""
    with changing(model, changes, ids.shape[1]):
        h = model.stream(ids)[-1, :, -1]  # [batch, d]
    return _logits(model, h)


def _logits(model: Model, h: Tensor) -> Tensor:
    with torch.inference_mode():
        return model.head.logits(model.head.norm(h)).clone()


def _metric(options: TraceOptions, clean: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the metric, from logits `[batch, vocabulary]` to `[batch]`."""
    token, minus = options.token, options.minus
    if options.metric == "logit-diff":
        return lambda logits: logits[:, token] - logits[:, minus]
    if options.metric == "logprob":
        return lambda logits: logits.log_softmax(-1)[:, token]
    final = clean.log_softmax(-1).clone()  # no tensor of inference mode can take part in a gradient
    return lambda logits: -(final.exp() * (final - logits.log_softmax(-1))).nan_to_num().sum(-1)


def _with_tokens(options: TraceOptions, model: Model, clean: Tensor, corrupted: Tensor) -> TraceOptions:
    """Return the options with the tokens that are not named: the likeliest of the clean and corrupted run."""
    if options.metric == "kl":
        return replace(options, token=None, minus=None)
    token = int(clean.argmax()) if options.token is None else options.token
    if options.metric == "logprob":
        return replace(options, token=token, minus=None)
    minus = int(corrupted.argmax()) if options.minus is None else options.minus
    if token == minus:
        text, is_chosen = model.texts[token], options.token is None and options.minus is None
        what = f"Both runs say {text}" if is_chosen else f"The logit of {text} would be taken off itself"
        raise LensError(f"{what}: name the token whose logit is taken off, or measure its log-probability.")
    return replace(options, token=token, minus=minus)


def _embedding_scale(model: Model) -> float:
    """Return the standard deviation of the token embeddings as they enter the first block."""
    known = model.known_ids
    ids = torch.arange(0, known, max(1, known // _EMBEDDINGS))[:, None]  # [tokens, 1]
    return float(model.stream(ids)[0].float().std())


def _noises(model: Model, options: TraceOptions, cols: int, sigma: float | None) -> tuple[Tensor | None, ...]:
    """Return the noise of each draw, `[cols, d]`, zero outside the chosen columns."""
    if options.noise is None or sigma is None:
        return (None,)
    columns, generator = options.noise.of(cols), torch.Generator().manual_seed(options.seed)
    noises = []
    for _ in range(options.samples):
        noise = torch.zeros(cols, model.d_model)
        noise[columns] = sigma * torch.randn(len(columns), model.d_model, generator=generator)
        noises.append(noise)
    return tuple(noises)


def _noise_changes(noise: Tensor | None) -> list[tuple[Component, Change]]:
    if noise is None:
        return []
    return [(Component("stream", -1), lambda value: (value.float() + noise.to(value.device)).to(value.dtype))]


def _one_of(pairs: Mapping[int, int], column: int) -> dict[int, int]:
    if column not in pairs:
        raise LensError(f"Column {column} has no counterpart in the clean prompt.")
    return {column: pairs[column]}


def _putting(values: Tensor, places: Sequence[tuple[int, int, int]]) -> Change:
    """Return a change of a batch that puts in what a component is in another run.

    Args:
        values: what it is there, `[other cols, width]`.
        places: item and column to put it in, and the other run's column that it is taken from.
    """
    items, columns, sources = (list(each) for each in zip(*places, strict=True))

    def put(value: Tensor) -> Tensor:
        changed = value.clone()
        changed[items, columns] = values[sources].to(value)
        return changed

    return put
