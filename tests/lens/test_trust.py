"""Which rows of a lens are doubtful, and how that is said."""

from __future__ import annotations

import pytest

from lenstui.lens.trust import LEAST_CONVERGENCE, MOST_KL, Trust, with_trust


def test_a_row_is_doubtful_above_the_limit_and_not_at_it() -> None:
    trust = Trust({"emb": MOST_KL + 0.001, "0": MOST_KL, "1": 0.0}, "held out in its fit")
    assert trust.doubtful == {"emb"}
    least = LEAST_CONVERGENCE
    converged = Trust({"emb": least - 0.001, "0": least, "1": 1.0}, "measured", is_convergence=True)
    assert converged.doubtful == {"emb"}


@pytest.mark.parametrize(
    ("kl", "text"),
    [(0.004, "0.00"), (0.994, "0.99"), (9.994, "9.99"), (9.996, "10.0"), (99.94, "99.9"), (123.4, "123")],
)
def test_a_figure_takes_four_characters_at_most(kl: float, text: str) -> None:
    assert Trust({"0": kl}, "").texts == {"0": text}


def test_convergence_is_a_share() -> None:
    assert Trust({"0": 0.934, "1": 1.0}, "", is_convergence=True).texts == {"0": "93%", "1": "100%"}


def test_what_has_no_room_is_left_out_the_source_first() -> None:
    trust = Trust({"0": 2.0}, "held out in its fit")
    assert with_trust("", trust, 80) == "dim: KL > 1 nat · held out in its fit"
    assert with_trust("", trust, 20) == "dim: KL > 1 nat"
    assert (
        with_trust("settles: median row 3", trust, 80)
        == f"settles: median row 3 · {with_trust('', trust, 80)}"
    )
    assert with_trust("settles: median row 3", trust, 40) == "settles: median row 3 · dim: KL > 1 nat"
    assert with_trust("settles: median row 3", trust, 30) == "settles: median row 3"
    assert with_trust("", None, 80) == "no held-out KL known: E measures it"
    shares = Trust({"0": 0.2}, "measured in its fit", is_convergence=True)
    assert with_trust("", shares, 30) == "dim: convergence < 50%"
