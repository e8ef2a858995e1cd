"""A model that was chosen to be opened, and what to load for it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lenstui.jobs.messages import OpenModel
from lenstui.model.hub import BUNDLED_MODEL
from lenstui.model.name import split_revision
from lenstui.support.request import Start


@dataclass(frozen=True, slots=True)
class Chosen:
    """A model to open.

    Attributes:
        name: `OWNER/NAME`, a folder or a GGUF file; empty for the bundled model.
        revision: a branch, tag or commit; None where none was named.
        dtype: of its weights, by name.
    """

    name: str
    revision: str | None = None
    dtype: str = "auto"

    @classmethod
    def read(cls, text: str, dtype: str = "auto") -> Chosen:
        """Read `OWNER/NAME@REVISION`; in a path an @ is a letter like any other."""
        return cls(*split_revision(text), dtype)

    def is_of(self, model: OpenModel) -> bool:
        """Return whether these are the weights of an open model, in whatever dtype."""
        return (self.name or BUNDLED_MODEL, self.revision) == (model.name, model.revision)

    def start(self, before: Start, opened: OpenModel | None) -> Start:
        """Return what to load; all else is as it was asked for.

        The weights that are open keep the lens in use, and the trust in their code: that was in these alone.

        Args:
            before: what was asked for before.
            opened: the open model.
        """
        same = opened is not None and self.is_of(opened)
        return replace(
            before,
            model=self.name or None,
            demo=not self.name,
            revision=self.revision,
            dtype=self.dtype,
            lens=opened.lens_file if opened is not None and same else None,
            again=None,
            trust_remote_code=before.trust_remote_code and same and before.model == self.name,
        )
