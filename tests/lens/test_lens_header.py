"""Headers of lens files: whatever they hold, a file is read or refused in one line, and nothing hangs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenstui.fitting.checkpoint import open_checkpoint
from lenstui.lens import LensError, Model, open_lens, save_lens
from lenstui.lens.catalog import FittingLens, fitting_lens, lens_paths, list_lenses, match
from lenstui.lens.compatibility import fit_warning, lens_config
from lenstui.lens.formats.header import check_header
from lenstui.lens.mapped import map_lens
from lenstui.lens.tuned import untrained_lens

HUGE = 10**600
WILD = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.sampled_from([HUGE, -HUGE]),
        st.floats(),
        st.text(max_size=8),
        st.builds(torch.zeros, st.integers(0, 3)),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
CONFIG_KEYS = (
    "base_model_name_or_path", "base_model_revision", "d_model", "num_hidden_layers", "bias", "lens_type",
    "unembed_sample", "unembed_hash", "fingerprint",
)  # fmt: skip
FIT_KEYS = (
    "method", "preset", "steps", "tokens", "seconds", "seed", "data", "held_out_kl", "logit_lens_kl",
    "versions", "time",
)  # fmt: skip


def content(model: Model, **changes: Any) -> dict[str, Any]:
    """What is in a good file of ours."""
    d = model.d_model
    state = {f"{row}.weight": torch.zeros(d, d) for row in range(model.num_blocks)}
    state |= {f"{row}.bias": torch.zeros(d) for row in range(model.num_blocks)}
    whole = {"format": "lenstui.tuned_lens", "version": 1, "config": lens_config(model), "fit": {}}
    return {**whole, "state_dict": state, **changes}


def opens_or_is_refused(path: Path, model: Model) -> bool:
    """Whether a file opens; everything that a start and the list of lenses do with it is done."""
    for card in list_lenses(path.parent):
        match(card, model)
        assert card.held_out_kl is None or sum(card.held_out_kl) is not None
        assert card.made_for is None or len(card.made_for) < 5000
    fitting_lens(model, path.parent)
    try:
        fit_warning(open_lens(path), model)
    except LensError as error:
        assert "\n" not in str(error).replace(str(path), "")
        return False
    return True


@pytest.fixture(scope="module")
def model(tiny: Model) -> Model:
    return tiny


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_wild_headers(model: Model, tmp_path: Path, data: st.DataObject) -> None:
    part = data.draw(st.sampled_from(["config", "fit", "remarks", "version", "format", "whole"]))
    value = data.draw(WILD)
    whole = content(model)
    if part in {"config", "fit"}:
        key = data.draw(st.sampled_from(CONFIG_KEYS if part == "config" else FIT_KEYS))
        whole[part] = {**whole[part], key: value}
    elif part == "whole":
        whole[data.draw(st.sampled_from(["config", "fit"]))] = value
    else:
        whole[part] = value
    path = tmp_path / "wild.pt"
    torch.save(whole, path)
    opens_or_is_refused(path, model)


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("config", {"unembed_sample": ["a"] * 64}),
        ("config", {"unembed_sample": [[1.0]] * 64}),
        ("config", {"unembed_sample": [HUGE] * 64}),
        ("config", {"unembed_sample": [float("nan")] * 64}),
        ("config", {"unembed_sample": {"0": 1.0}}),
        ("config", {"base_model_name_or_path": ["a"]}),
        ("config", {"base_model_name_or_path": "a" * 1_000_000}),
        ("config", {"fingerprint": {"scheme": 1}}),
        ("config", {"fingerprint": {"scheme": 1, "rounded": False, "parts": {"head": {"weight": 3}}}}),
        ("fit", {"held_out_kl": [HUGE, 1.0, 1.0]}),
        ("fit", {"held_out_kl": [1e308, 1.0, 1.0]}),
        ("fit", {"held_out_kl": "1.0"}),
        ("fit", {"steps": HUGE}),
        ("fit", {"seconds": float("inf")}),
        ("fit", {"data": [3]}),
        ("fit", {"versions": {"torch": HUGE}}),
        ("remarks", ["fine", 3]),
    ],
)
def test_what_is_wrong_is_refused_by_name_and_left_out(
    model: Model, tmp_path: Path, part: str, change: Any
) -> None:
    good = content(model)
    torch.save(good, tmp_path / "good.pt")
    path = tmp_path / "bad.pt"
    torch.save({**good, part: {**good[part], **change} if part != "remarks" else change}, path)
    assert not opens_or_is_refused(path, model)
    with pytest.raises(LensError, match=f"damaged: .*{next(iter(change)) if part != 'remarks' else part}"):
        open_lens(path)
    assert [card.name for card in list_lenses(tmp_path)] == ["good"]  # it costs itself alone
    assert fitting_lens(model, tmp_path) == FittingLens(tmp_path / "good.pt")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    key=st.sampled_from([*CONFIG_KEYS, "unemebd_hash"]), value=WILD.filter(lambda v: "tensor" not in repr(v))
)
def test_wild_configs_of_the_library(model: Model, tmp_path: Path, key: str, value: Any) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(exist_ok=True)
    torch.save(content(model)["state_dict"], folder / "params.pt")
    (folder / "config.json").write_text(json.dumps({key: value}))
    opens_or_is_refused(folder, model)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.sampled_from(["n_layers", "d_model"]), value=WILD)
def test_wild_files_of_scripts(model: Model, tmp_path: Path, key: str, value: Any) -> None:
    state = {f"layer_maps.{row}.weight": torch.eye(model.d_model) for row in range(model.num_blocks)}
    path = tmp_path / "script.pt"
    torch.save({"state_dict": state, "n_layers": model.num_blocks, key: value}, path)
    opens_or_is_refused(path, model)


def test_ones_own_header_passes(model: Model, tmp_path: Path) -> None:
    fit = {"held_out_kl": [3, float("inf"), float("nan")], "seed": 2**63, "steps": 5, "data": ["a.txt"]}
    check_header(tmp_path, lens_config(model), fit, ["well"])
    lens = untrained_lens(model.num_blocks, model.d_model)
    save_lens(lens, tmp_path / "a.pt")
    assert opens_or_is_refused(tmp_path / "a.pt", model)


# What is no regular file: opened for reading, a pipe waits for its writer without end.


def test_a_pipe_is_passed_over(model: Model, tmp_path: Path) -> None:
    torch.save(content(model), tmp_path / "good.pt")
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "link.pt").symlink_to("pipe.pt")
    (tmp_path / "folder.pt").mkdir()
    library = tmp_path / "library"
    library.mkdir()
    torch.save(content(model)["state_dict"], library / "params.pt")
    os.mkfifo(library / "config.json")
    assert fitting_lens(model, tmp_path) == FittingLens(tmp_path / "good.pt")
    assert [card.name for card in list_lenses(tmp_path)] == ["good"]
    assert sorted(path.name for path in lens_paths(tmp_path)) == ["good.pt", "library"]


def test_a_pipe_is_refused_where_it_is_named(tmp_path: Path) -> None:
    for name in ("pipe.pt", "pipe.npz"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(LensError, match="no regular file"):
            open_lens(tmp_path / name)
        assert map_lens(tmp_path / name) is None
    with pytest.raises(LensError, match="no regular file"):
        open_checkpoint(tmp_path / "pipe.pt")
    np.savez(tmp_path / "mlx.npz", translators_0_weight=np.eye(4))
    os.mkfifo(tmp_path / "mlx.json")
    open_lens(tmp_path / "mlx.npz")  # the pipe beside it is not asked
