"""Options for reading a prompt, apart from the model, the lens and the text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from lenstui.model.rows import RowChoice, parse_rows
from lenstui.support.errors import LensError

if TYPE_CHECKING:
    from lenstui.model.capabilities import Allowed
    from lenstui.model.load import Model
    from lenstui.model.tokens import Prompt
    from lenstui.support.turns import Turns

WORDS_ONLY = "words only"
"""The name of the readout filter on screen and in files for people."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Options for reading a prompt.

    Attributes:
        rows: the rows that are read.
        final_norm: whether the logit lens applies the model's final norm.
        bos: whether to begin with the BOS token; None leaves it to the tokenizer.
        chat: whether to put the prompt into the tokenizer's chat template, as the user's message.
        sublayers: whether to read the additions of each block's attention and MLP, too.
        words_only: the readout filter: whether tokens without a letter or digit are left out of the ranking
            of each cell. All other numbers stay those of the whole vocabulary.
    """

    rows: RowChoice = field(default=RowChoice())
    final_norm: bool = True
    bos: bool | None = None
    chat: bool = False
    sublayers: bool = False
    words_only: bool = False

    @property
    def mark(self) -> str:
        """The options that are not the default, as text for the screen; empty where all are."""
        return " · ".join(self._marks())

    def _marks(self) -> Iterator[str]:
        if not self.final_norm:
            yield "no final norm"
        if self.bos is not None:
            yield "with BOS" if self.bos else "no BOS"
        if self.chat:
            yield "chat"
        if self.rows != RowChoice():
            yield f"rows {self.rows.text}"
        if self.sublayers:
            yield "sublayers"
        if self.words_only:
            yield WORDS_ONLY

    def prompt(
        self,
        model: Model,
        text: str | Turns,
        *,
        tail: Sequence[int] = (),
        context: int | None = None,
        ids: Sequence[int] = (),
    ) -> Prompt:
        """Tokenize a text, or the turns of a chat, for a model with these options.

        Args:
            model: from `load`.
            text: the prompt.
            tail: token ids to append to those of the text.
            context: the most columns, where these are fewer than the model's own.
            ids: the token ids of the text, where these are known: it is not cut into tokens then, and gets
                neither BOS nor a chat template.

        Raises:
            LensError: as `encode` does.
        """
        from lenstui.model.tokens import encode, exact_prompt  # the first paint can do without

        most = model.context if context is None else context
        if ids and isinstance(text, str):
            return exact_prompt(text, ids, context=most, tail=tail)
        return encode(model.tokenizer, text, bos=self.bos, chat=self.chat, context=most, tail=tail)

    def refused(self, allowed: Allowed, num_blocks: int) -> Mapping[str, str]:
        """Return the options that a model does not allow, each with the reason.

        Args:
            allowed: the capabilities of the model and its tokenizer.
            num_blocks: the number of blocks of the model.
        """
        reasons: dict[str, str] = {}
        try:
            self.rows.of(num_blocks)
        except LensError as error:
            reasons["rows"] = str(error)
        if not self.final_norm and not allowed.final_norm:
            reasons["final_norm"] = "This model has no final norm to pass over."
        if self.sublayers and not allowed.weights:
            reasons["sublayers"] = "The weights are elsewhere: blocks cannot be taken apart."
        if self.chat and not allowed.chat:
            reasons["chat"] = "This tokenizer has no chat template."
        elif self.chat and self.bos is not None:
            reasons["bos"] = "With the chat template, BOS is as the template has it."
        if self.bos and not allowed.bos:
            reasons["bos"] = "This tokenizer has no BOS token."
        return reasons

    def without(self, refused: Mapping[str, str]) -> Reading:
        """Return these options with the refused ones set to their defaults."""
        default = Reading()
        return replace(self, **{name: getattr(default, name) for name in refused})

    def plain(self) -> dict[str, Any]:
        """Return the options as plain values by name, for a file."""
        return {**asdict(self), "rows": self.rows.text}

    @classmethod
    def of_plain(cls, found: Mapping[str, object]) -> Reading:
        """Return the options from plain values; those that are not understood keep their defaults."""
        default = cls()
        known: dict[str, Any] = {
            each.name: found[each.name]
            for each in fields(cls)
            if isinstance(found.get(each.name), bool) and each.name != "rows"
        }
        rows = found.get("rows")
        if isinstance(rows, str):
            with suppress(LensError):
                known["rows"] = parse_rows(rows)
        return replace(default, **known)
