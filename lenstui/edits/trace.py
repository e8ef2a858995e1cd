"""Causal traces: parts of a clean run patched one by one into a corrupted one, and how much each restores.

    recovered = (m(patched) − m(corrupted)) / (m(clean) − m(corrupted))

with `m` a logit difference, a log-probability, or −KL to the clean run, at the end of the prompt. The
corruption is a second prompt, or Gaussian noise on the embeddings of some columns (Meng et al. 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from lenstui.causal.maps import find_maps
from lenstui.edits.changes import putting
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
        stderr: the standard error of `recovered` over the draws, likewise; None without noise.
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
    for row in range(len(tracing.rows)):
        for _ in tracing.do_row(row):
            done += 1
            yield Progress(done, passes, tracing.result(row))
        yield Progress(done, passes, tracing.result(row + 1))


@dataclass(frozen=True, eq=False)
class _Tracing:
    """A trace under way.

    Attributes:
        model: the clean model.
        options: with the tokens of the metric.
        clean_prompt: the clean prompt.
        prompt: the corrupted one.
        pairs: the columns of the corrupted prompt that have a counterpart, each with that column.
        rows: what each row patches.
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
    pairs: dict[int, int]
    rows: tuple[str, ...]
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
        sigma = None if options.noise is None else NOISE * _embedding_scale(model)
        noises = _noises(model, options, len(prompt.ids), sigma)
        logits = _last_logits(model, _ids([clean]), [])[0]  # [vocabulary]
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
        rows = range(model.num_blocks + 1) if options.what == "resid" else range(1, model.num_blocks + 1)
        labels = tuple(Row(h).label for h in rows)
        raw = np.full((len(noises), len(labels), count), np.nan, np.float32)
        return cls(
            model, known, clean, prompt, aligned(prompt.ids, clean.ids), labels, noises, metric, m_clean,
            m_corrupted, raw, sigma,
        )  # fmt: skip

    def result(self, done: int) -> Trace:
        """Return what is known after some rows."""
        corrupted = float(self.corrupted.mean())
        difference, mean = self.clean - corrupted, self.raw.mean(0)
        stderr = None
        if self.sigma is not None and len(self.raw) > 1:
            stderr = self.raw.std(0, ddof=1) / np.sqrt(len(self.raw)) / abs(difference)
        return Trace(
            self.options, self.clean_prompt.ids, self.prompt.ids, self.rows, self.clean, corrupted, mean,
            (mean - corrupted) / difference, stderr, done, self.sigma,
        )  # fmt: skip

    @property
    def passes(self) -> int:
        """The number of passes of the model that all rows take."""
        return sum(-(-self._count(row) // self._size) for row in range(len(self.rows))) * len(self.noises)

    @property
    def _size(self) -> int:
        """The number of prompts of one pass."""
        return max(1, _BATCH_COLUMNS // len(self.prompt.ids))

    def _count(self, row: int) -> int:
        """Return the number of patches of a row."""
        if self.options.what == "head":
            return find_maps(self.model).blocks[row].heads
        return len(self.pairs) if self._components(row) else 0

    def do_row(self, row: int) -> Iterator[None]:
        """Patch each column, or each attention head, of a row in turn, many in one pass; yield after each."""
        patches, size = self._patches(row), self._size
        for start in range(0, len(patches), size):
            some = patches[start : start + size]
            ids = _ids([self.prompt] * len(some))
            changes = [
                (component, _only_item(item, change))
                for item, (_, of_item) in enumerate(some)
                for component, change in of_item
            ]
            for draw, noise in enumerate(self.noises):
                measured = self.metric(_last_logits(self.model, ids, [*_noise_changes(noise), *changes]))
                for (place, _), number in zip(some, measured.tolist(), strict=True):
                    self.raw[draw, row, place] = number
                yield

    def _patches(self, row: int) -> list[tuple[int, list[tuple[Component, Change]]]]:
        """Return the patches of a row: the column or attention head of each, and what it does."""
        what, clean = self.options.what, _ids([self.clean_prompt])
        if what == "head":
            heads = [Component("head", row, head) for head in range(find_maps(self.model).blocks[row].heads)]
            values = values_of(self.model, clean, heads) if heads else {}
            pairs = self.pairs if self.options.column is None else _one_of(self.pairs, self.options.column)
            return [(head.index or 0, [(head, putting(values[head], pairs))]) for head in heads]
        components = self._components(row)
        values = values_of(self.model, clean, components) if components else {}
        return [
            (column, [(each, putting(values[each], {column: source})) for each in components])
            for column, source in self.pairs.items()
            if components
        ]

    def _components(self, row: int) -> list[Component]:
        """Return what is patched together in a row: the stream, or what neighbouring blocks add."""
        if self.options.what == "resid":
            return [Component("stream", row - 1)]
        assert self.options.what != "head"
        found = []
        for block in self.options.blocks(row, self.model.num_blocks):
            component = Component(self.options.what, block)
            try:
                check_component(self.model, component)
            except LensError:  # a block without that part
                continue
            found.append(component)
        return found


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
    with torch.inference_mode():
        return model.head.logits(model.head.norm(h)).clone()


def _metric(options: TraceOptions, clean: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the metric, from logits `[batch, vocabulary]` to `[batch]`."""
    token, minus = options.token, options.minus
    if options.metric == "logit-diff":
        return lambda logits: logits[:, token] - logits[:, minus]
    if options.metric == "logprob":
        return lambda logits: logits.log_softmax(-1)[:, token]
    final = clean.log_softmax(-1)
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


def _one_of(pairs: dict[int, int], column: int) -> dict[int, int]:
    if column not in pairs:
        raise LensError(f"Column {column} has no counterpart in the clean prompt.")
    return {column: pairs[column]}


def _only_item(item: int, change: Change) -> Change:
    """Return a change of one prompt of a batch."""

    def of_item(value: Tensor) -> Tensor:
        changed = value.clone()
        changed[item : item + 1] = change(value[item : item + 1])
        return changed

    return of_item
