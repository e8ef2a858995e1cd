"""Files of Jacobian lenses: what each form is read as, what is written, and what is refused in one line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lenstui.lens import LensError, LogitLens, Model, open_lens, read, save_lens
from lenstui.lens.card import LensCard, Match
from lenstui.lens.catalog import fitting_jacobian_lens, fitting_lens, list_lenses, match
from lenstui.lens.compatibility import fit_warning, jacobian_config, marked
from lenstui.lens.formats.jacobian import save_reference
from lenstui.lens.jacobian import JacobianLens
from lenstui.lens.mapped import map_lens
from lenstui.lens.tuned import untrained_lens
from lenstui.model.rows import Row
from tests.by_hand.jacobian import j_plus_plus, logits, matrices, own, reference, written

TEXT = "Once upon a time"
BLOCKS, D = 3, 32  # of the model `tiny`
BY_BLOCK = matrices(BLOCKS - 1, D)
EMB = torch.eye(D) * 0.5


def readout_of(model: Model, lens: JacobianLens, text: str = TEXT) -> Any:
    return read(model, text, [LogitLens(), lens], top_k=5)


def assert_reads(model: Model, lens: JacobianLens, by_row: dict[int, Tensor], norm: str) -> None:
    """The top logits, and what follows from all of them, are those of the formula."""
    shown = readout_of(model, lens)
    cells = shown.lenses["jacobian"]
    for row, wanted in logits(model, TEXT, by_row, norm).items():
        top = wanted.topk(5).values.numpy()
        np.testing.assert_allclose(cells.top_logits[row], top, rtol=1e-5, atol=1e-5)
        entropy = torch.distributions.Categorical(logits=wanted).entropy().numpy()
        np.testing.assert_allclose(cells.entropy[row], entropy, atol=1e-4)
    lacks = set(range(len(shown.rows) - 1)) - set(by_row)
    for row in lacks:
        assert np.isnan(cells.entropy[row]).all()
        assert (cells.top_ids[row] == -1).all()
    np.testing.assert_array_equal(cells.top_ids[-1], shown.lenses["logit"].top_ids[-1])


def test_the_reference_codes_file_is_read_by_block_output(shared: Path, stories260k: Model) -> None:
    path = shared / "lens-fixtures" / "stories260K_jacobian_lens.pt"
    if not path.exists():
        pytest.skip(f"there is no {path}")
    lens = open_lens(path)
    assert isinstance(lens, JacobianLens)
    assert (lens.name, lens.fit["n_prompts"], lens.shape) == (path.stem, 10, (5, 64))
    theirs = torch.load(path, weights_only=True)["J"]
    assert_reads(stories260k, lens, {row + 1: matrix for row, matrix in theirs.items()}, "model.norm")
    assert fit_warning(lens, stories260k) is None


FORMS = {
    "reference": reference(BY_BLOCK),
    "J++": j_plus_plus(BY_BLOCK),
    "own": own(BY_BLOCK, EMB),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_read_as_its_formula(tmp_path: Path, tiny: Model, form: str) -> None:
    lens = open_lens(written(tmp_path / "lens.pt", FORMS[form]))
    assert isinstance(lens, JacobianLens)
    by_row = {row + 1: matrix for row, matrix in BY_BLOCK.items()}
    if form == "own":
        by_row[0] = EMB
    else:
        by_row = {row: matrix.half() for row, matrix in by_row.items()}
    assert_reads(tiny, lens, by_row, "gpt_neox.final_layer_norm")
    assert [lens.reads(Row(row)) for row in range(BLOCKS)] == [form == "own", True, True]
    assert not lens.reads(Row(1, "attn"))


def test_what_each_form_says_of_its_fit(tmp_path: Path) -> None:
    lens = open_lens(written(tmp_path / "lens.pt", FORMS["J++"]))
    assert lens.config["base_model_name_or_path"] == "some/model"
    assert (lens.fit["n_prompts"], lens.fit["target"], lens.fit["skip_first"]) == (24, "last", 16)
    assert open_lens(written(tmp_path / "lens.pt", FORMS["reference"])).fit == {"n_prompts": 10}


def test_matrices_stay_on_the_disk_in_their_dtype(tmp_path: Path) -> None:
    lens = open_lens(written(tmp_path / "lens.pt", FORMS["reference"]))
    assert isinstance(lens, JacobianLens)
    path = str((tmp_path / "lens.pt").resolve())
    assert path in Path("/proc/self/maps").read_text(encoding="utf-8")
    assert {matrix.dtype for matrix in lens.matrices.values()} == {torch.float16}
    assert lens.to(torch.device("cpu")) is lens


def test_own_file_and_back(tmp_path: Path, tiny: Model) -> None:
    by_row = {0: EMB, 1: BY_BLOCK[0], 2: BY_BLOCK[1]}
    fit = {"n_prompts": 3, "target": "last", "convergence": [0.2, 0.5, 0.75]}
    lens = JacobianLens(by_row, jacobian_config(tiny), fit, "mine")
    save_lens(lens, tmp_path / "mine.pt")
    assert list(torch.load(tmp_path / "mine.pt", weights_only=True)["state_dict"]) == ["emb", "0", "1"]
    again = open_lens(tmp_path / "mine.pt")
    assert isinstance(again, JacobianLens)
    for row, matrix in by_row.items():
        torch.testing.assert_close(again.matrices[row], matrix, rtol=0, atol=0)
    assert (again.config, again.fit, again.name) == (lens.config, fit, "mine")
    assert fit_warning(again, tiny) is None
    (card,) = list_lenses(tmp_path)
    assert (card.kind, card.rows, card.convergence) == ("jacobian", (0, 1, 2), (0.2, 0.5, 0.75))
    assert match(card, tiny) is Match.WEIGHTS


def test_one_matrix_of_a_large_tensor_is_written_alone(tmp_path: Path) -> None:
    stacked = torch.randn(50, D, D)
    save_lens(JacobianLens({1: stacked[0], 2: stacked[1]}, {"d_model": D}), tmp_path / "small.pt")
    assert (tmp_path / "small.pt").stat().st_size < 4 * D * D * 4


def test_the_references_form_and_back(tmp_path: Path) -> None:
    lens = open_lens(written(tmp_path / "own.pt", FORMS["own"]))
    assert isinstance(lens, JacobianLens)
    save_reference(lens, tmp_path / "reference.pt")
    content = torch.load(tmp_path / "reference.pt", weights_only=True)
    assert (sorted(content), content["source_layers"], content["d_model"]) == (
        ["J", "d_model", "n_prompts", "source_layers"],
        [0, 1],
        D,
    )
    for row, matrix in BY_BLOCK.items():
        torch.testing.assert_close(content["J"][row], matrix.half(), rtol=0, atol=0)
    again = open_lens(tmp_path / "reference.pt")
    assert isinstance(again, JacobianLens)
    assert sorted(again.matrices) == [1, 2]


def test_what_the_references_form_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(LensError, match="emb alone"):
        save_reference(JacobianLens({0: EMB}), tmp_path / "x.pt")
    with pytest.raises(LensError, match="row 0 has numbers that are too large for float16"):
        save_reference(JacobianLens({1: EMB * 1e6}), tmp_path / "x.pt")
    assert not (tmp_path / "x.pt").exists()


def spoiled(value: float) -> dict[int, Tensor]:
    by_block = matrices(2, D)
    by_block[1][3, 4] = value
    return by_block


WRONG: dict[str, tuple[Any, str]] = {
    "infinite": (reference(spoiled(1e9)), "row 1 has numbers that are infinite or NaN"),
    "NaN": (reference(spoiled(float("nan"))), "row 1 has numbers that are infinite or NaN"),
    "missing": (reference(BY_BLOCK, source_layers=[0, 1, 2]), "lists row 2, and has no matrix"),
    "width": (reference(BY_BLOCK, d_model=D + 1), r"\[32, 32\], not of width 33"),
    "unequal": (reference({0: torch.eye(D), 1: torch.eye(D + 1)}, d_model=D), r"\[33, 33\]"),
    "not square": (reference({0: torch.zeros(D, 3)}, d_model=D), r"row 0 is \[32, 3\]"),
    "no tensor": (reference(BY_BLOCK) | {"J": {0: "x"}}, "no matrix of numbers"),
    "whole numbers": (reference(BY_BLOCK) | {"J": {0: torch.eye(D).long()}}, "no matrix of numbers"),
    "empty": (reference(BY_BLOCK) | {"J": {}}, "no matrices"),
    "no table": (reference(BY_BLOCK) | {"J": [1]}, "no matrices"),
    "negative": (reference(BY_BLOCK) | {"J": {-1: torch.eye(D)}}, "'-1' is no number of a block"),
    "target": (j_plus_plus(BY_BLOCK, -3), "leads to the output of block L-3"),
    "checkpoint": (
        {"jacobian_sum": {0: EMB}, "n_done": 3, "source_layers": [0]},
        "checkpoint of a Jacobian fit",
    ),
    "fit": ({"format": "lenstui.checkpoint", "version": 1}, "checkpoint of a fit.*--resume"),
    "version": (own(BY_BLOCK, EMB, version=2), "format version 2"),
    "rows": (own(BY_BLOCK, EMB, state_dict={"x": EMB}), "'x' is no row"),
    "no state": (own(BY_BLOCK, EMB, state_dict=None), "no matrices"),
    "too few blocks": (
        own(BY_BLOCK, EMB, config={"num_hidden_layers": 2}),
        "2 blocks, and has a matrix for row 1",
    ),
    "other target": (own(BY_BLOCK, EMB, fit={"target": "middle"}), "leads to middle"),
    "fit's table": (own(BY_BLOCK, EMB, fit={"n_prompts": "ten"}), "in its fit, n_prompts"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, case: str) -> None:
    content, message = WRONG[case]
    with pytest.raises(LensError, match=message) as raised:
        open_lens(written(tmp_path / "lens.pt", content))
    assert "\n" not in str(raised.value)
    if case not in {"infinite", "NaN"}:  # the list of lenses does not read the numbers
        assert map_lens(tmp_path / "lens.pt") is None


def test_a_pickled_object_is_not_opened(tmp_path: Path) -> None:
    content = reference(BY_BLOCK) | {"hook": re.compile("x")}
    with pytest.raises(LensError, match="more than plain tensors"):
        open_lens(written(tmp_path / "lens.pt", content))


def test_torchs_older_form_is_read_too(tmp_path: Path) -> None:
    torch.save(FORMS["reference"], tmp_path / "lens.pt", _use_new_zipfile_serialization=False)
    lens = open_lens(tmp_path / "lens.pt")
    assert isinstance(lens, JacobianLens)
    assert sorted(lens.matrices) == [1, 2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            reference(matrices(2, D + 8)),
            "at least 3 blocks and width 40; the open model has 3 blocks and width 32",
        ),
        (reference(matrices(3, D)), "at least 4 blocks and width 32; the open model has 3 blocks"),
        (own(matrices(1, D), EMB), "of 2 blocks and width 32; the open model has 3 blocks"),
        (j_plus_plus(BY_BLOCK, -2), "output of block 1, yet has a matrix for row 1"),
    ],
)
def test_a_model_of_another_shape_is_refused(tmp_path: Path, tiny: Model, content: Any, message: str) -> None:
    lens = open_lens(written(tmp_path / "lens.pt", content))
    with pytest.raises(LensError, match=message):
        fit_warning(lens, tiny)
    with pytest.raises(LensError, match=message):
        read(tiny, "x", [lens])


def test_other_weights_and_an_unknown_target_are_warned_of(tmp_path: Path, tiny: Model) -> None:
    lens = open_lens(written(tmp_path / "low.pt", reference({0: BY_BLOCK[0]})))
    doubt = fit_warning(lens, tiny) or ""
    assert "low does not say whether it leads to the last row or to the one before: its top row is 0" in doubt
    known = open_lens(written(tmp_path / "known.pt", j_plus_plus({0: BY_BLOCK[0]}, -2)))
    assert fit_warning(known, tiny) is None  # a penultimate lens, whose rows end before its target
    lens = open_lens(written(tmp_path / "own.pt", FORMS["own"]))
    assert isinstance(lens, JacobianLens)
    of_this, warning = marked(lens, tiny)
    assert warning is None
    weight = tiny.anatomy.blocks[0].mlp.dense_h_to_4h.weight
    with torch.no_grad():
        weight.mul_(2)
        try:
            assert "Jacobian lens own was made for other weights" in (fit_warning(of_this, tiny) or "")
        finally:
            weight.div_(2)


def test_none_opens_by_itself_as_the_tuned_lens(tmp_path: Path, tiny: Model) -> None:
    lens, _ = marked(open_lens(written(tmp_path / "own.pt", FORMS["own"])), tiny)
    save_lens(lens, tmp_path / "own.pt")
    assert fitting_lens(tiny, tmp_path) is None
    assert fitting_jacobian_lens(tiny, tmp_path) == tmp_path / "own.pt"
    tuned, _ = marked(untrained_lens(BLOCKS, D), tiny)
    save_lens(tuned, tmp_path / "tuned.pt")
    found = fitting_lens(tiny, tmp_path)
    assert found is not None
    assert (found.path, found.why) == (tmp_path / "tuned.pt", "")
    assert fitting_jacobian_lens(tiny, tmp_path) == tmp_path / "own.pt"


def test_a_card_that_names_no_blocks_fits_deeper_models_too(tmp_path: Path) -> None:
    mapped = map_lens(written(tmp_path / "lens.pt", FORMS["reference"]))
    assert mapped is not None
    card: LensCard = mapped.card
    assert (card.blocks, card.d_model, card.kind, card.rows) == (3, D, "jacobian", (1, 2))
    assert [card.fits(blocks, D) for blocks in (2, 3, 4)] == [False, True, True]
    assert not card.fits(3, D + 1)
    assert [(row, bias) for row, _, bias in mapped.translators()] == [(1, None), (2, None)]
    assert (card.held_out_kl, card.convergence) == (None, None)
