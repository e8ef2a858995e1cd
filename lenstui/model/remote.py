"""A model whose weights are elsewhere: where its parts are, and the passes that are run there by nnsight.

The intervention is plain Python, which nnsight sends as source. What it calls is in `model/interventions` and
`readout/interventions`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from lenstui.support.errors import LensError, named_line


@dataclass(frozen=True, eq=False)
class Remote:
    """The place of a model's weights, and how a pass is run there.

    Attributes:
        service: what it is called in messages: `NDIF (api.ndif.us)`.
        envoy: nnsight's view of the model: its modules, without weights.
        blocks: the paths of the `L` blocks.
        norm: the path of the final norm; None where there is none.
        matrix: the path of the unembedding.
        options: further arguments of the forward pass.
        job: makes what runs one pass there, a backend of nnsight.
        head: the factor on the product of the unembedding, and the softcap, if any.
        device: the type of the device there: `cuda`; empty as long as it is not known.
        remarks: remarks for the user, each a sentence without its full stop.
        versions: the versions of the packages there, by name, as far as they are known.
    """

    service: str
    envoy: Any
    blocks: tuple[str, ...]
    norm: str | None
    matrix: str
    job: Callable[[], Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    head: tuple[float, float | None] = (1.0, None)
    device: str = ""
    remarks: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def run(self, ids: Sequence[int], work: Callable[..., Any], *given: Any) -> dict[str, Any]:
        """Run a prompt, and return what `work` makes of it there.

        Args:
            ids: token ids, one per column.
            work: a plain function of a module in this package. It is called with the residual stream, `h_0 …
                h_L`, `[1, cols, d]` each; the model's own logits, `[1, cols, vocabulary]`, of the last column
                at least; the final norm, if any, and the unembedding; and `given`.
            given: plain values, tensors and plain functions, which are sent too.

        Raises:
            LensError: if the service cannot be used; one line that says what to do.
        """
        try:
            found = self._traced(ids, work, given)
        except LensError:
            raise
        except Exception as error:  # nnsight and what it imports raise nearly every kind
            raise LensError(f"A pass on {self.service} failed: {named_line(error)}") from error
        if not found:
            raise LensError(f"{self.service} gave no numbers back: try again later.")
        return found

    def _traced(self, ids: Sequence[int], work: Callable[..., Any], given: Sequence[Any]) -> dict[str, Any]:
        """Have nnsight write a pass down, and return what comes of it."""
        envoy, norm = self.envoy, None if self.norm is None else self.envoy.get(self.norm)
        blocks, head = [envoy.get(path) for path in self.blocks], (norm, envoy.get(self.matrix))
        prompt: Any = torch.tensor([list(ids)])
        found: dict[str, Any] = {}
        # nnsight compiles the source of this block, and runs it there. A clone, since some families add to
        # the stream in place.
        with envoy.trace(prompt, backend=self.job(), **self.options):
            stream = [block.input.clone() for block in blocks]
            end = blocks[-1].output if norm is None else norm.input
            stream.append((end[0] if isinstance(end, tuple) else end).clone())
            found = work(stream, envoy.output.logits, head, *given).save()
        return found

    @property
    def place(self) -> str:
        """The device of the weights, with the service: `cuda on NDIF (api.ndif.us)`."""
        return f"{self.device} on {self.service}"

    def refuse(self, what: str) -> LensError:
        """Return the error for what needs the weights in this process.

        Args:
            what: what was asked for, as the beginning of a sentence: `A fit`.
        """
        return LensError(f"{what} needs the weights here, and they are on {self.service}.")
