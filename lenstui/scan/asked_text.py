"""A text that is to be scanned with an open model: its blocks, and the manifest of its records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from torch import Tensor

from lenstui.lens.lens import lens_keys
from lenstui.opening.agreement import shared_context
from lenstui.opening.opened import Opened, source_of
from lenstui.opening.source import source_facts
from lenstui.readout.against import Against
from lenstui.readout.cells import row_labels
from lenstui.scan.columns import Second
from lenstui.scan.folder import Manifest
from lenstui.scan.settings import scan_settings
from lenstui.support.errors import LensError
from lenstui.texts.block_size import BlockSize
from lenstui.texts.blocks import TOO_LITTLE, numbered_blocks
from lenstui.texts.documents import Documents, SkippedLines, read_documents


@dataclass(frozen=True, slots=True)
class AskedText:
    """A text that is to be scanned.

    Attributes:
        folder: the folder of the records.
        documents: the documents.
        size: the size of the blocks, and the most tokens to read.
    """

    folder: Path
    documents: Documents
    size: BlockSize

    def length(self, opened: Opened, against: Against | None = None) -> int:
        """Return the number of columns of a block, which both models can read.

        Raises:
            LensError: if `seq_len` is longer than their context.
        """
        other = opened.model if against is None else against.model
        return self.size.columns(shared_context(opened.model, other))

    def manifest(
        self,
        opened: Opened,
        files: Sequence[Path],
        against: Against | None = None,
        second: Second | None = None,
    ) -> Manifest:
        """Return what the records of the text are made of, by the lenses at hand.

        Args:
            opened: the open model.
            files: the files that the documents name.
            against: what compares the model with a second side, if there is one.
            second: what the records say of it.

        Raises:
            LensError: if a file cannot be read, or blocks are longer than the context.
        """
        model, lenses = opened.model, opened.lenses
        return Manifest(
            settings=scan_settings(
                model,
                lenses,
                self.documents,
                files,
                max_tokens=self.size.max_tokens,
                seq_len=self.length(opened, against),
                against=against,
            ),
            source=source_facts(source_of(opened, lenses)),
            data=self.documents.paths,
            rows=row_labels(model.num_blocks),
            lenses=tuple(lens_keys(lenses)),
            second=second,
        )

    def blocks(
        self, opened: Opened, skipped: SkippedLines, against: Against | None = None
    ) -> Iterator[tuple[Tensor, list[int]]]:
        """Return all blocks of the text, of which there is one at least, with the documents of their tokens.

        Args:
            opened: the open model.
            skipped: a tally for JSON lines that hold no text.
            against: what compares the model with a second side, if there is one.

        Raises:
            LensError: at once if there is no block; while reading, if a file is damaged.
        """
        documents = read_documents(self.documents, skipped)
        blocks = numbered_blocks(opened.model.tokenizer, documents, self.length(opened, against))
        if (first := next(blocks, None)) is None:
            raise LensError(TOO_LITTLE)
        return chain([first], blocks)
