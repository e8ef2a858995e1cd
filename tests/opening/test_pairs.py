"""Which lens of one side is compared with which of the other."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lenstui.lens import JacobianLens, LensError, LogitLens, Model, TunedLens
from lenstui.opening.opened import Opened
from lenstui.opening.pairs import lens_against, lenses_of_both
from tests.by_hand import naive


def jacobian() -> JacobianLens:
    return JacobianLens({0: torch.eye(32)})


def tuned(model: Model, name: str = "") -> TunedLens:
    return replace(naive.random_lens(model), name=name)


def test_two_models_have_the_lenses_that_both_have(tiny: Model) -> None:
    mine, theirs = tuned(tiny), tuned(tiny)
    first = Opened(tiny, (mine, tuned(tiny, "more"), jacobian()))
    second = Opened(tiny, (theirs, tuned(tiny, "less")))
    found = lenses_of_both(first, second)
    assert list(found) == ["logit", "tuned"]
    assert found["tuned"] is theirs
    assert list(lenses_of_both(Opened(tiny), second)) == ["logit"]
    both = lenses_of_both(first, Opened(tiny, (theirs, tuned(tiny, "more"), jacobian())))
    assert list(both) == ["logit", "tuned", "tuned:more", "jacobian"]


def test_models_of_another_depth_have_none(tiny: Model, stories260k: Model) -> None:
    assert lenses_of_both(Opened(tiny), Opened(stories260k)) == {}


def test_a_lens_is_compared_with_one_of_its_kind_or_else_with_the_tuned_one(tiny: Model) -> None:
    every = Opened(tiny, (tuned(tiny), tuned(tiny, "more"), jacobian()))
    assert lens_against(every, tuned(tiny, "other")) == "tuned"
    assert lens_against(every, jacobian()) == "jacobian"
    assert lens_against(every, LogitLens()) == "tuned"
    assert lens_against(Opened(tiny, (tuned(tiny),)), jacobian()) == "tuned"
    assert lens_against(Opened(tiny, (jacobian(),)), LogitLens()) == "jacobian"
    assert lens_against(Opened(tiny), tuned(tiny)) == "logit"
    with pytest.raises(LensError, match="The logit lens is the only one of tiny: name another one"):
        lens_against(Opened(tiny), LogitLens())
