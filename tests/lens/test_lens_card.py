"""A lens's card: what its file says, however odd, and how large its translators are."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lenstui.lens import Model, TunedLens, save_lens, save_library_folder
from lenstui.lens.card import LensCard, Match, TranslatorSize, leading_singular_values
from lenstui.lens.catalog import fitting_lens, list_lenses, match
from lenstui.lens.compatibility import lens_config, marked
from lenstui.lens.mapped import map_lens
from lenstui.lens.tuned import untrained_lens


def test_norms_and_singular_values_by_other_formulas() -> None:
    torch.manual_seed(0)
    weight, bias = torch.randn(48, 48), torch.randn(48)
    size = TranslatorSize.of(3, weight, bias)
    a = weight.double().numpy()
    assert size.row == 3
    assert size.weight == pytest.approx(math.sqrt((a**2).sum()), rel=1e-5)
    assert size.bias == pytest.approx(math.sqrt(sum(float(x) ** 2 for x in bias)), rel=1e-5)
    by_eigenvalues = np.sqrt(np.sort(np.linalg.eigvalsh(a.T @ a))[::-1][:3])
    np.testing.assert_allclose(size.singular_values, by_eigenvalues, rtol=1e-5)


@pytest.mark.parametrize("spread", ["flat", "even", "few", "zero"])
def test_those_of_a_wide_matrix_are_right_too(spread: str) -> None:
    """The hardest is a matrix of noise, where no direction stands out."""
    torch.manual_seed(1)
    d = 1100
    matrix = {
        "flat": lambda: torch.randn(d, d),
        "even": lambda: torch.diag(torch.linspace(0, 1, d)),
        "few": lambda: torch.randn(d, 2) @ torch.randn(2, d),
        "zero": lambda: torch.zeros(d, d),
    }[spread]()
    exact = torch.linalg.svdvals(matrix.double())[:3]
    np.testing.assert_allclose(leading_singular_values(matrix), exact, rtol=1e-3, atol=1e-2)


def test_a_narrow_matrix_has_as_many_as_it_is_wide() -> None:
    assert leading_singular_values(torch.diag(torch.tensor([1.0, 2.0]))) == pytest.approx((2, 1))


def test_what_is_not_finite_does_not_stop_the_card() -> None:
    size = TranslatorSize.of(0, torch.full((4, 4), math.nan), torch.zeros(4))
    assert all(math.isnan(value) for value in size.singular_values)


@pytest.mark.parametrize("kl", [None, "3.0", [1.0], [1.0, "2"], [1.0, math.inf], {"0": 1.0}])
def test_a_kl_that_is_none_is_none(kl: Any) -> None:
    card = LensCard(Path("a.pt"), {"base_model_name_or_path": 3}, {"held_out_kl": kl}, 2, 4, 1, 0.0)
    assert card.held_out_kl is None
    assert card.made_for is None


def test_a_mapped_lens_has_the_translators_of_its_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    lens = TunedLens(torch.randn(3, 4, 4), torch.randn(3, 4), fit={"held_out_kl": [3, 2.0, 1.0]})
    save_lens(lens, tmp_path / "own.pt")
    save_library_folder(lens, tmp_path / "library")
    torch.save({f"{row}.weight": lens.weight[row] for row in range(3)}, tmp_path / "bare.pt")
    for name in ("own.pt", "library", "bare.pt"):
        mapped = map_lens(tmp_path / name)
        assert mapped is not None
        assert (mapped.card.blocks, mapped.card.d_model) == (3, 4)
        for row, weight, bias in mapped.translators():
            torch.testing.assert_close(weight, lens.weight[row])
            torch.testing.assert_close(bias, lens.bias[row] * (name != "bare.pt"))
    own = map_lens(tmp_path / "own.pt")
    assert own is not None
    assert own.card.held_out_kl == (3.0, 2.0, 1.0)
    assert (tmp_path / "library").resolve() in [card.path.resolve() for card in list_lenses(tmp_path)]


def test_what_is_no_lens_is_not_mapped(tmp_path: Path) -> None:
    torch.save({"0.weight": torch.zeros(4, 4), "1.weight": torch.zeros(5, 5)}, tmp_path / "unequal.pt")
    torch.save({"0.weight": torch.zeros(4, 4), "2.weight": torch.zeros(4, 4)}, tmp_path / "gap.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "config.json").write_text(json.dumps([]))
    for name in ("unequal.pt", "gap.pt", "list.pt", "folder", "nothing.pt"):
        assert map_lens(tmp_path / name) is None


def card_of(lens: TunedLens) -> LensCard:
    blocks, d_model = lens.bias.shape
    return LensCard(Path("a.pt"), lens.config, lens.fit, blocks, d_model, 1, 0.0)


def test_how_far_a_lens_belongs_to_a_model(tiny: Model) -> None:
    config = lens_config(tiny)
    lens = replace(untrained_lens(tiny.num_blocks, tiny.d_model), config=config)
    other = {"unembed_sample": [9.0] * 64}
    older = {key: value for key, value in config.items() if key != "fingerprint"}
    by_hash = {**marked(lens, tiny)[0].config, "unembed_sample": None, "fingerprint": None}
    for expected, said in (
        (Match.WEIGHTS, config),
        (Match.PARTLY, older),
        (Match.PARTLY, by_hash),
        (Match.OTHER_WEIGHTS, {**config, **other}),
        (Match.OTHER_WEIGHTS, {**by_hash, "unembed_hash": "0"}),
        (Match.SHAPE, {}),
    ):
        assert match(card_of(replace(lens, config=said)), tiny) is expected
    assert match(card_of(untrained_lens(tiny.num_blocks + 1, tiny.d_model)), tiny) is Match.NO


def test_a_folder_for_other_programs_is_not_opened_by_itself(tmp_path: Path, tiny: Model) -> None:
    lens = replace(untrained_lens(tiny.num_blocks, tiny.d_model), config=lens_config(tiny))
    save_library_folder(marked(lens, tiny)[0], tmp_path / "library")
    assert [match(card, tiny) for card in list_lenses(tmp_path)] == [Match.PARTLY]
    assert fitting_lens(tiny, tmp_path) is None
