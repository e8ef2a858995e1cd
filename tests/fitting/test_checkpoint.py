"""Checkpoints: a fit that was stopped anywhere ends as if nothing had happened, and a bad file is refused."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from lenstui.fitting import checkpoint as checkpoints
from lenstui.fitting.checkpoint import Checkpoint, doubt, open_checkpoint, save_checkpoint
from lenstui.fitting.fit import begin, fitted_lens
from lenstui.fitting.loop import fit_steps
from lenstui.fitting.plan import FitPlan
from lenstui.fitting.progress import FitProgress
from lenstui.fitting.state import Fit, FitState, block_at
from lenstui.lens import FitOptions, LensError, Model, save_lens, wire
from lenstui.texts.documents import Documents
from tests.tiny.families import FAMILIES, random_model

ROW = 8 * 33 * (33 + 32)  # bytes of a row's normal equations in the tiny model
STEPS = 5
OPTIONS = FitOptions(
    closed_form_tokens=160, steps=STEPS, tokens_per_step=96, seq_len=32, held_out_tokens=128, lr=5e-3
)
SGD = replace(OPTIONS, optimizer="sgd", lr=0.05, momentum=0.9, weight_decay=1e-3, clip_together=True)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three micro-batches a step, and normal equations of two rows at a time, of three."""
    monkeypatch.setattr("lenstui.fitting.steps.MICRO_TOKENS", 32)
    monkeypatch.setattr("lenstui.fitting.closed_form._MEMORY", 2 * ROW)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """About 12 blocks of 32 to fit on: a fit of 5 + 15 goes through them twice."""
    pick = random.Random(0)
    words = ("the", "cat", "dog", "sat", "on", "a", "mat", "and", "ran", "to", "see")
    file = tmp_path / "text.txt"
    file.write_text("\n\n".join(" ".join(pick.choices(words, k=8)) for _ in range(16)))
    return file


def plan_of(text: Path, options: FitOptions = OPTIONS) -> FitPlan:
    return FitPlan(options, Documents((str(text),)), held_out=0.2)


def resume(model: Model, checkpoint: Checkpoint) -> Fit:
    fit = checkpoints.resume(model, checkpoint)
    assert isinstance(fit, Fit)
    return fit


def finished(fit: Fit) -> list[FitProgress]:
    return list(fit_steps(fit))


def stopped(model: Model, plan: FitPlan, stage: str, step: int = 0) -> Fit:
    """A fit that was stopped at the first hand-over of a stage and a step."""
    fit = begin(model, plan)
    next(now for now in fit_steps(fit) if (now.stage, now.step) == (stage, step))
    return fit


def assert_same(fit: Fit, undisturbed: Fit) -> None:
    ours, theirs = fitted_lens(fit), fitted_lens(undisturbed)
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.bias, theirs.bias)
    for name in ("steps", "tokens", "held_out_kl", "logit_lens_kl", "method", "seed", "data"):
        assert ours.fit[name] == theirs.fit[name], name
    assert fit.state.loss is not None
    assert undisturbed.state.loss is not None
    assert torch.equal(fit.state.loss, undisturbed.state.loss)


# to stop and to go on


WAYS = {
    "muon": OPTIONS,
    "adam": replace(OPTIONS, optimizer="adam", weight_decay=0.01),
    "sgd": SGD,
    "muon, no closed form": replace(OPTIONS, closed_form_tokens=0),
    "adam, no closed form": replace(OPTIONS, optimizer="adam", closed_form_tokens=0),
    "sgd, no closed form": replace(SGD, closed_form_tokens=0),
    "biases alone": replace(OPTIONS, bias_only=True, closed_form_tokens=0),
    "the next token": replace(OPTIONS, loss="ce", seed=3),
    "bfloat16 products": replace(OPTIONS, products="bfloat16"),
    "part of the vocabulary": replace(OPTIONS, vocabulary=64, seed=999_999_999),
}


@pytest.mark.parametrize("way", WAYS)
def test_stopped_many_times_it_ends_with_the_same_weights(
    tiny: Model, text: Path, tmp_path: Path, way: str
) -> None:
    plan = plan_of(text, WAYS[way])
    undisturbed = begin(tiny, plan)
    finished(undisturbed)
    assert undisturbed.state.position > len(undisturbed.blocks.train)  # more than one pass
    assert undisturbed.state.step == STEPS

    # Again and again, after random numbers of hand-overs: some parts do not even end a micro-batch.
    file, parts = tmp_path / "fit.checkpoint", 0
    for seed in range(3):
        pick, stage = random.Random(seed), ""
        save_checkpoint(file, begin(tiny, plan), plan)
        while stage != "done":
            fit = resume(tiny, open_checkpoint(file))
            for now in islice(fit_steps(fit), pick.randint(1, 40)):
                stage = now.stage
            save_checkpoint(file, fit, plan)
            parts += 1
        assert_same(resume(tiny, open_checkpoint(file)), undisturbed)
    assert parts > 15


def test_stopped_on_the_way_to_a_kl_it_ends_at_the_same_step(tiny: Model, text: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, steps=60, lr=1e-2)
    whole = begin(tiny, plan_of(text, options))
    finished(whole)
    assert whole.state.held_out_kl is not None
    plan = plan_of(text, replace(options, until_kl=1.05 * float(whole.state.held_out_kl.mean())))
    undisturbed = begin(tiny, plan)
    finished(undisturbed)
    assert 0 < undisturbed.state.step < 60
    file, pick, stage = tmp_path / "fit.checkpoint", random.Random(0), ""
    save_checkpoint(file, begin(tiny, plan), plan)
    while stage != "done":
        fit = resume(tiny, open_checkpoint(file))
        for now in islice(fit_steps(fit), pick.randint(1, 40)):
            stage = now.stage
        save_checkpoint(file, fit, plan)
    assert_same(resume(tiny, open_checkpoint(file)), undisturbed)


@pytest.mark.parametrize("way", ["muon", "adam", "sgd"])
def test_stopped_once_it_ends_with_the_same_weights(
    tiny: Model, text: Path, tmp_path: Path, way: str
) -> None:
    plan = plan_of(text, WAYS[way])
    undisturbed = begin(tiny, plan)
    finished(undisturbed)

    # One more fit is written at every hand-over: that it is written must not disturb it.
    fit = begin(tiny, plan)
    written = {}
    for number, now in enumerate(fit_steps(fit)):
        if not number % 5:
            written[tmp_path / f"{number}.checkpoint"] = now.stage
            save_checkpoint(tmp_path / f"{number}.checkpoint", fit, plan)
    assert_same(fit, undisturbed)
    assert set(written.values()) >= {"logit lens", "closed form", "measuring", "refining"}
    for file in written:
        fit = resume(tiny, open_checkpoint(file))
        finished(fit)
        assert_same(fit, undisturbed)


def test_rows_solved_in_groups_are_those_solved_at_once(
    tiny: Model, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups, whole = begin(tiny, plan_of(text)), begin(tiny, plan_of(text))
    in_groups = [now for now in finished(groups) if now.stage == "closed form"]
    monkeypatch.setattr("lenstui.fitting.closed_form._MEMORY", 3 * ROW)
    at_once = [now for now in finished(whole) if now.stage == "closed form"]
    assert len(in_groups) == len(at_once) + 5  # the five blocks once more, for the third row
    assert_same(groups, whole)


def test_a_fit_that_is_done_stays_done(tiny: Model, text: Path, tmp_path: Path) -> None:
    plan, file = plan_of(text), tmp_path / "fit.checkpoint"
    fit = begin(tiny, plan)
    finished(fit)
    save_checkpoint(file, fit, plan)
    again = resume(tiny, open_checkpoint(file))
    assert [now.stage for now in fit_steps(again)] == ["done"]
    assert_same(again, fit)


def test_epochs_and_where_the_lens_goes_come_back(tiny: Model, text: Path, tmp_path: Path) -> None:
    plan = FitPlan(OPTIONS, Documents((str(text),), min_chars=3, max_samples=15), held_out=0.3, epochs=3)
    fit = begin(tiny, plan)
    assert fit.options.steps == 3 * len(fit.blocks.train) // 3
    assert fit.options.steps != OPTIONS.steps
    save_checkpoint(tmp_path / "fit.checkpoint", fit, plan, save=tmp_path / "lens.pt")
    checkpoint = open_checkpoint(tmp_path / "fit.checkpoint")
    assert checkpoint.save == tmp_path / "lens.pt"
    assert checkpoint.plan == replace(plan, options=fit.options)
    assert resume(tiny, checkpoint).options == fit.options


def test_files_named_from_one_folder_are_found_from_another(
    tiny: Model, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("text.txt", "t*.txt", "./elsewhere/../text.txt"):
        plan = plan_of(Path(name))
        save_checkpoint(Path("fit.checkpoint"), begin(tiny, plan), plan, save=Path("lens.pt"))
        monkeypatch.chdir(elsewhere)
        checkpoint = open_checkpoint(Path("../fit.checkpoint"))
        assert checkpoint.save == tmp_path / "lens.pt"
        assert resume(tiny, checkpoint).data == ("text.txt",)
        monkeypatch.chdir(tmp_path)


def test_the_normal_equations_go_back_to_the_device(tiny: Model, text: Path) -> None:
    state = stopped(tiny, plan_of(text), "closed form").state
    other = FitState.new(replace(tiny, device=torch.device("meta")), OPTIONS)
    other.load_state_dict(state.state_dict())
    assert other.normal is not None
    assert other.normal.gram.device == other.normal.cross.device == other.weights[0].device


# the file


def plain(value: Any) -> Iterator[type]:
    """The types of all that is in it."""
    yield type(value)
    if isinstance(value, dict):
        for key, item in value.items():
            yield from plain(key)
            yield from plain(item)
    elif isinstance(value, list):
        for item in value:
            yield from plain(item)


@pytest.mark.parametrize("way", ["muon", "adam", "sgd"])
def test_it_holds_tensors_and_plain_values_on_the_cpu(
    tiny: Model, text: Path, tmp_path: Path, way: str
) -> None:
    plan, file = plan_of(text, WAYS[way]), tmp_path / "fit.checkpoint"
    for stage, step in (("closed form", 0), ("refining", 2), ("done", STEPS)):
        save_checkpoint(file, stopped(tiny, plan, stage, step), plan, save=tmp_path / "lens.pt")
        content = torch.load(file, weights_only=True)
        kinds = set(plain(content))
        assert kinds <= {dict, list, str, int, float, bool, type(None), torch.Tensor}
        assert torch.Tensor in kinds


def test_the_normal_equations_are_in_it_until_they_are_solved(
    tiny: Model, text: Path, tmp_path: Path
) -> None:
    plan, file = plan_of(text), tmp_path / "fit.checkpoint"
    sizes, normal = {}, {}
    for stage in ("logit lens", "closed form", "measuring"):
        save_checkpoint(file, stopped(tiny, plan, stage), plan)
        sizes[stage] = file.stat().st_size
        normal[stage] = torch.load(file, weights_only=True)["state"]["normal"]
    assert normal["closed form"]["gram"].shape == (2, 33, 33)
    assert normal["logit lens"] is normal["measuring"] is None
    assert sizes["measuring"] <= sizes["closed form"] - 2 * ROW
    # What is left is the lens and little else: no hidden state, no logits.
    assert sizes["measuring"] < 3 * 4 * 33 * 32 + 16_000


def test_a_write_that_fails_leaves_the_old_one(
    tiny: Model, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, folder = plan_of(text), tmp_path / "fits"
    file = folder / "fit.checkpoint"
    save_checkpoint(file, stopped(tiny, plan, "refining", 2), plan)
    before = file.read_bytes()

    def full(content: Any, to: Any) -> None:
        to.write(before[: len(before) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(LensError, match=r"fit\.checkpoint cannot be written: No space left"):
        save_checkpoint(file, stopped(tiny, plan, "refining", 3), plan)
    assert file.read_bytes() == before
    assert list(folder.iterdir()) == [file]
    assert resume(tiny, open_checkpoint(file)).state.step == 2


def test_a_disk_that_is_full_in_the_middle_leaves_the_old_one(
    tiny: Model, text: Path, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource")
    plan, file = plan_of(text), tmp_path / "fit.checkpoint"
    save_checkpoint(file, stopped(tiny, plan, "refining", 2), plan)
    before = file.read_bytes()
    fit = stopped(tiny, plan, "refining", 3)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)  # Python ignores SIGXFSZ: a write fails with EFBIG
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(LensError, match="cannot be written"):
            save_checkpoint(file, fit, plan)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.read_bytes() == before
    assert not list(tmp_path.glob(".*"))


# what is refused


@pytest.fixture
def written(tiny: Model, text: Path, tmp_path: Path) -> Path:
    """A checkpoint of a fit that is refining."""
    plan, file = plan_of(text), tmp_path / "fit.checkpoint"
    save_checkpoint(file, stopped(tiny, plan, "refining", 2), plan)
    return file


def test_another_text_is_refused(tiny: Model, text: Path, written: Path) -> None:
    text.write_text(text.read_text().replace("cat", "cow"))
    with pytest.raises(LensError, match=r"The text has changed since the checkpoint .*text\.txt"):
        resume(tiny, open_checkpoint(written))


def test_a_text_that_is_gone_is_refused(tiny: Model, text: Path, written: Path) -> None:
    text.unlink()
    with pytest.raises(LensError, match=r"text\.txt"):
        resume(tiny, open_checkpoint(written))


def test_a_model_of_another_shape_is_refused(byte_tokenizer: Any, written: Path) -> None:
    config = FAMILIES["GPT-NeoX"].config
    other = type(config)(**{**config.to_dict(), "hidden_size": 16, "num_hidden_layers": 2})
    model = wire("other", random_model(other), byte_tokenizer)
    with pytest.raises(LensError, match=r"tiny \(3 blocks, width 32\).* other \(2 blocks, width 16\)"):
        resume(model, open_checkpoint(written))


def test_a_model_of_the_same_shape_with_other_weights_is_refused(byte_tokenizer: Any, written: Path) -> None:
    model = wire("tiny", random_model(FAMILIES["GPT-NeoX"].config, seed=1), byte_tokenizer)
    with pytest.raises(LensError, match="other weights"):
        resume(model, open_checkpoint(written))


def test_a_model_with_other_blocks_alone_is_refused_and_an_older_file_goes_on_with_a_word(
    tiny: Model, written: Path
) -> None:
    """An embedding and a head that agree prove nothing."""
    checkpoint, weight = open_checkpoint(written), tiny.anatomy.blocks[1].mlp.dense_h_to_4h.weight
    assert doubt(tiny, checkpoint) is None
    older = replace(checkpoint, config={k: v for k, v in checkpoint.config.items() if k != "fingerprint"})
    assert "The checkpoint knows its model by the head alone" in (doubt(tiny, older) or "")
    assert resume(tiny, older).state.tokens > 0
    with torch.no_grad():
        weight += 1.0
    try:
        with pytest.raises(LensError, match=r"other weights than tiny has \(block 1\)"):
            resume(tiny, checkpoint)
    finally:
        with torch.no_grad():
            weight -= 1.0


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(LensError, match=r"There is no checkpoint .*none\.checkpoint"):
        open_checkpoint(tmp_path / "none.checkpoint")
    with pytest.raises(LensError, match="checkpoint"):
        open_checkpoint(tmp_path)


def test_a_lens_is_no_checkpoint(tiny: Model, text: Path, tmp_path: Path) -> None:
    save_lens(fitted_lens(begin(tiny, plan_of(text))), tmp_path / "lens.pt")
    with pytest.raises(LensError, match="is no checkpoint"):
        open_checkpoint(tmp_path / "lens.pt")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_refused(written: Path, share: float) -> None:
    whole = written.read_bytes()
    written.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(LensError, match="damaged or no checkpoint"):
        open_checkpoint(written)


def test_damaged_bytes_are_refused_or_do_not_matter(tiny: Model, written: Path) -> None:
    whole, pick = written.read_bytes(), random.Random(0)
    undamaged = resume(tiny, open_checkpoint(written))
    refused = 0
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[pick.randrange(len(whole))] ^= pick.randrange(1, 256)
        written.write_bytes(damaged)
        try:
            fit = resume(tiny, open_checkpoint(written))
        except LensError as error:
            assert "\n" not in str(error)
            refused += 1
        else:  # a byte between the records
            assert_same(fit, undamaged)
            assert fit.state.position == undamaged.state.position
    assert refused > 100


def changed(file: Path, change: Any) -> None:
    content = torch.load(file, weights_only=True)
    torch.save(change(content) or content, file)


def test_another_version_is_told(written: Path) -> None:
    changed(written, lambda content: content.update(version=2))
    with pytest.raises(LensError, match="version 2; this lenstui reads 1"):
        open_checkpoint(written)


def test_a_file_that_lacks_something_is_refused(tiny: Model, written: Path) -> None:
    whole = torch.load(written, weights_only=True)
    # A checkpoint from before there were adapters has none.
    paths: list[tuple[str, ...]] = [(key,) for key in whole if key != "adapter"]
    paths += [(part, key) for part in ("options", "documents", "state") for key in whole[part]]
    assert len(paths) > 40
    for path in paths:
        content = {key: dict(value) if isinstance(value, dict) else value for key, value in whole.items()}
        holder = content if len(path) == 1 else content[path[0]]
        del holder[path[-1]]
        torch.save(content, written)
        with pytest.raises(LensError):
            resume(tiny, open_checkpoint(written))
            pytest.fail(f"nothing was said of {path}")


@dataclass
class Hostile:
    """Makes a file when it is unpickled."""

    file: str

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(self.file),)


def test_what_is_in_a_file_is_never_run(tmp_path: Path, written: Path) -> None:
    trace = tmp_path / "trace"
    changed(written, lambda content: content.update(text=Hostile(str(trace))))
    with pytest.raises(LensError, match="holds more than plain tensors"):
        open_checkpoint(written)
    assert not trace.exists()
    torch.load(written, weights_only=False)
    assert trace.exists()  # it would have


# the order of the blocks


def test_every_pass_sees_every_block_once_in_an_order_of_its_own() -> None:
    def order(number: int, seed: int, count: int = 50) -> list[int]:
        return [block_at(place, count, seed) for place in range(number * count, (number + 1) * count)]

    orders = [order(number, seed) for number in range(4) for seed in (0, 1, 2, 1 << 33)]
    assert all(sorted(one) == list(range(50)) for one in orders)
    assert len({tuple(one) for one in orders}) == len(orders)
    assert order(0, 0) == order(0, 0)
    assert block_at(7, 1, 0) == 0


def test_where_a_block_comes_depends_on_nothing_that_was_drawn_before() -> None:
    torch.manual_seed(0)
    forwards = [block_at(place, 20, 5) for place in range(100)]
    torch.rand(10)
    backwards = [block_at(place, 20, 5) for place in reversed(range(100))]
    assert forwards == backwards[::-1]
