"""The measures of an evaluation on a text: what each is called, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Measure:
    """What is known of a lens in a row, as one number.

    Attributes:
        name: its name in code, in files and on the command line.
        head: the head of its column in a table.
        label: what it is, in a few words.
        decimals: how many decimals a table shows.
        is_share: whether it is a share, shown in percent.
        of_model: whether the last row, the model's own output, has it too: it is not 0 or 1 there by
            definition.
        unit: its unit as it is shown, or empty.
    """

    name: str
    head: str
    label: str
    decimals: int = 3
    is_share: bool = False
    of_model: bool = True
    unit: str = "nats"


MEASURES = (
    Measure("kl", "KL", "from the final distribution to the lens's", of_model=False),
    Measure("ce", "CE", "cross-entropy of the next token"),
    Measure("perplexity", "ppl", "perplexity, e to the CE", 1, unit=""),
    Measure("bits_per_byte", "bits/B", "bits per byte of the text", unit=""),
    Measure("top1_agreement", "top-1", "how often it is the final top-1", 1, True, of_model=False, unit="%"),
    Measure("entropy", "entropy", "that of the lens's distribution"),
    Measure("ece", "ECE", "gap between the top-1's probability and its hits", unit=""),
    Measure("marginal_bias", "bias", "KL from the mean final to the mean lens", of_model=False),
)
MEASURE_NAMES = tuple(measure.name for measure in MEASURES)


def measure_named(name: str) -> Measure:
    """Return the measure with a name.

    Raises:
        KeyError: if there is none.
    """
    return {measure.name: measure for measure in MEASURES}[name]
