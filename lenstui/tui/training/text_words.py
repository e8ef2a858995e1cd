"""What text a fit needs, and how much of it there is, in words."""

from __future__ import annotations

from lenstui.fitting.options import PRESETS
from lenstui.jobs.fit_messages import PromptsSize, TextSize
from lenstui.readout.number_texts import size_text

_CHARACTERS = 4  # of a token, in English, about


def need_words(preset: str) -> str:
    """Return what text a lens needs, and how much of it a preset sees."""
    tokens = PRESETS[preset].tokens
    size = f"about {size_text(_CHARACTERS * tokens)} of English"
    return f"Text like what the model was trained on; for {preset} {tokens:,} tokens, {size}."


def prompts_words(length: str) -> str:
    """Return what text a Jacobian lens needs, whose prompts have so many tokens, as typed."""
    return f"Documents of {length} tokens or more, like the model's own."


def size_words(size: TextSize | PromptsSize) -> str:
    """Return how much text there is for a fit, in words."""
    documents = f"{size.documents:,} document{'s' * (size.documents != 1)}"
    if isinstance(size, PromptsSize):
        passed = f"{size.passed_over:,} too short" if size.passed_over else ""
        prompts = f"{size.prompts:,} prompt{'s' * (size.prompts != 1)} of {size.columns} tokens"
        said = filter(None, (documents, prompts, f"{size.held_out} held out", passed))
        return "\n".join(filter(None, (" · ".join(said), size.remark)))
    seen = "" if size.passes < 1.05 else f", seen {size.passes:.1f} times"
    parts = (
        documents,
        f"{size.fit_tokens:,} tokens to fit on{seen}",
        f"{size.held_out_tokens:,} held out",
        f"{size.steps:,} steps",
    )
    return "\n".join(filter(None, (" · ".join(parts), size.remark)))
