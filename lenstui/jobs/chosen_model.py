"""A model that the user chose to open, and the request that loads it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lenstui.jobs.messages import OpenModel
from lenstui.model.name import BUNDLED_MODEL, split_revision
from lenstui.support.request import Start


@dataclass(frozen=True, slots=True)
class Chosen:
    """A model that the user chose to open.

    Attributes:
        name: `OWNER/NAME`, a folder or a GGUF file; empty for the bundled model.
        revision: a branch, tag or commit; None where none was named.
        dtype: the name of the dtype of its weights.
        adapter: an adapter for it, as it is typed; None for none.
    """

    name: str
    revision: str | None = None
    dtype: str = "auto"
    adapter: str | None = None

    @classmethod
    def read(cls, text: str, dtype: str = "auto") -> Chosen:
        """Return the model that `OWNER/NAME@REVISION` names; in a path an @ is a letter like any other."""
        return cls(*split_revision(text), dtype)

    def is_of(self, model: OpenModel) -> bool:
        """Return whether the open model is this one in the same revision, in whatever dtype."""
        if self.adapter is None and model.adapter is not None:  # an adapter may be opened by its own name
            return model.adapter == (self.name if self.revision is None else f"{self.name}@{self.revision}")
        named = self.name or BUNDLED_MODEL, self.revision, self.adapter
        return named == (model.name, model.revision, model.adapter)

    def start(self, before: Start, opened: OpenModel | None) -> Start:
        """Return the request that loads this model, with all other options as they were.

        The fitted lenses but an instant one, the place of the weights, and the trust in the model's own code,
        are kept only if this model is open already: the trust was in that code alone.

        Args:
            before: the former request.
            opened: the open model, if any.
        """
        same = opened is not None and self.is_of(opened)
        return replace(
            before,
            model=self.name or None,
            demo=not self.name,
            revision=self.revision,
            adapter=self.adapter,
            dtype=self.dtype,
            lenses=opened.lens_files if opened is not None and same else (),
            again=None,
            remote=before.remote and same,
            trust_remote_code=before.trust_remote_code and same and before.model == self.name,
        )
