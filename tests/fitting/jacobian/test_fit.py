"""The fit of a Jacobian lens: what it reaches, where it may be stopped, and which text it takes."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lenstui.fitting.checkpoint import open_checkpoint, resume, save_checkpoint
from lenstui.fitting.driver import begun, resumed
from lenstui.fitting.jacobian.fitted import begin, current_lens, fit_jacobian, fitted_lens, read_text
from lenstui.fitting.jacobian.graph import Derivative, Way, build_graph
from lenstui.fitting.jacobian.loop import jacobian_steps, measure_convergence
from lenstui.fitting.jacobian.prompts import FitPrompts, prompt_of
from lenstui.fitting.jacobian.state import JacobianFit
from lenstui.fitting.jacobian_options import JacobianOptions
from lenstui.fitting.names import claim
from lenstui.fitting.plan import FitPlan
from lenstui.fitting.progress import FitProgress
from lenstui.lens import JacobianLens, LensError, Model, open_lens
from lenstui.texts.documents import Documents
from lenstui.texts.held_out import split_documents

OPTIONS = JacobianOptions(n_prompts=4, seq_len=12, skip_first=3)


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three pieces of work a prompt, the last of which is smaller, however slow the machine is."""
    of_one = 2 * 12 * 32 * 4  # bytes of an output dimension's cotangents, twice
    monkeypatch.setattr("lenstui.fitting.jacobian.ways.COTANGENTS", 13 * of_one)
    monkeypatch.setattr("lenstui.fitting.jacobian.loop._PIECE", math.inf)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    pick = random.Random(0)
    words = ("the", "cat", "dog", "sat", "on", "a", "mat", "and", "ran", "to", "see")
    documents = [" ".join(pick.choices(words, k=8)) for _ in range(16)]
    documents[3:3] = ["too short"]
    file = tmp_path / "text.txt"
    file.write_text("\n\n".join(documents))
    return file


def plan_of(text: Path, options: JacobianOptions = OPTIONS) -> FitPlan:
    return FitPlan(options, Documents((str(text),)), held_out=0.2)


def finished(fit: JacobianFit) -> list[FitProgress]:
    return list(jacobian_steps(fit))


def matrices_of(lens: object) -> Tensor:
    assert isinstance(lens, JacobianLens)
    return torch.stack([lens.matrices[row] for row in sorted(lens.matrices)])


def of_prompts(model: Model, prompts: tuple[Tensor, ...]) -> Tensor:
    """The Jacobians of each, in one piece, `[prompts, rows, d, d]`."""
    rows = range(model.num_blocks)
    way, of = Way(True, True, model.d_model), Derivative(rows, model.num_blocks, OPTIONS.skip_first)
    whole = range(model.d_model)
    return torch.stack([build_graph(model, ids, of, way).jacobian(whole) for ids in prompts])


def assert_near(found: Tensor, wanted: Tensor) -> None:
    """Every row to 1e-5 of its norm."""
    assert found.shape == wanted.shape
    assert bool(((found - wanted).flatten(1).norm(dim=1) < 1e-5 * wanted.flatten(1).norm(dim=1)).all())


def assert_same(fit: JacobianFit, undisturbed: JacobianFit) -> None:
    ours, theirs = fitted_lens(fit), fitted_lens(undisturbed)
    assert torch.equal(matrices_of(ours), matrices_of(theirs))
    assert {**ours.fit, "seconds": 0, "time": ""} == {**theirs.fit, "seconds": 0, "time": ""}
    assert ours.fit["convergence"] is not None


# what it reaches


def test_it_is_the_mean_over_the_prompts(tiny: Model, text: Path) -> None:
    fit = begin(tiny, plan_of(text))
    seen = finished(fit)
    each = of_prompts(tiny, fit.prompts.train)
    lens = fitted_lens(fit)
    assert_near(matrices_of(lens), each.mean(0))
    assert lens.fit["n_prompts"] == seen[-1].step == seen[-1].steps == 4
    assert lens.fit["data"] == ["text.txt"]
    assert lens.fit["target"] == "last"
    assert [now.step for now in seen] == sorted(now.step for now in seen)
    stages = [now.stage for now in seen]
    assert list(dict.fromkeys(stages)) == ["checking", "prompts", "measuring", "done"]
    assert stages.count("prompts") == 4 * 3
    assert seen[-2].eta == 0


def test_its_transport_is_its_matrix(tiny: Model, text: Path) -> None:
    fit = begin(tiny, plan_of(text))
    finished(fit)
    lens, h = fitted_lens(fit), torch.randn(5, 32)
    for row in range(3):
        torch.testing.assert_close(lens.transport(h, row), h @ lens.matrices[row].T)


def test_convergence_is_how_many_top_tokens_two_halves_share(tiny: Model, text: Path) -> None:
    fit = begin(tiny, plan_of(text))
    seen = finished(fit)
    each = of_prompts(tiny, fit.prompts.train)
    even, odd = each[0::2].mean(0), each[1::2].mean(0)
    shared: list[list[float]] = [[], [], []]
    for prompt in fit.prompts.held_out:
        h = tiny.stream(prompt[None])[:, 0]  # [L + 1, cols, d]
        for row in range(3):
            for column in range(3, 11):  # neither the first ones nor the last
                tops = []
                for half in (even, odd):
                    with torch.no_grad():
                        logits = tiny.head((half[row] @ h[row, column])[None])[0]
                    tops.append(set(logits.sort(descending=True).indices[:10].tolist()))
                shared[row].append(len(tops[0] & tops[1]) / 10)
    assert len(shared[0]) == seen[-1].measured_tokens
    wanted = [sum(row) / len(row) for row in shared]
    assert fitted_lens(fit).fit["convergence"] == pytest.approx(wanted, abs=0.02)
    assert seen[-1].convergence is not None
    assert 0 < min(wanted) < 1


def test_an_r_lens_is_named_after_what_it_is() -> None:
    assert OPTIONS.preset == "jacobian"
    assert replace(OPTIONS, rule="relp").preset == "r-lens"


def test_the_penultimate_target_has_a_row_less(tiny: Model, text: Path) -> None:
    fit = begin(tiny, plan_of(text, replace(OPTIONS, target="penultimate")))
    finished(fit)
    lens = fitted_lens(fit)
    assert list(lens.matrices) == [0, 1]
    assert lens.fit["target"] == "penultimate"
    lens.check_fits(tiny.num_blocks, tiny.d_model)


def test_of_texts_in_memory_every_tenth_is_held_out(tiny: Model) -> None:
    texts = [f"text number {number} of some length" for number in range(14)]
    seen: list[FitProgress] = []
    lens = fit_jacobian(tiny, texts, replace(OPTIONS, n_prompts=20), on_progress=seen.append)
    assert seen[-1].stage == "done"
    wanted = [prompt_of(tiny.tokenizer, text, 12) for number, text in enumerate(texts) if number != 9]
    each = of_prompts(tiny, tuple(prompt for prompt in wanted if prompt is not None))
    assert lens.fit["n_prompts"] == len(each) == 13
    assert_near(matrices_of(lens), each.mean(0))


# to stop and to go on


@pytest.mark.parametrize("seed", range(3))
def test_stopped_many_times_it_ends_with_the_same_matrices(
    tiny: Model, text: Path, tmp_path: Path, seed: int
) -> None:
    plan = plan_of(text)
    undisturbed = begin(tiny, plan)
    finished(undisturbed)
    file, pick, stage, parts = tmp_path / "fit.checkpoint", random.Random(seed), "", 0
    save_checkpoint(file, begin(tiny, plan), plan)
    while stage != "done":
        fit = resume(tiny, open_checkpoint(file))
        assert isinstance(fit, JacobianFit)
        for now in islice(jacobian_steps(fit), pick.randint(1, 4)):
            stage = now.stage
        save_checkpoint(file, fit, plan)
        parts += 1
    assert parts > 5
    last = resume(tiny, open_checkpoint(file))
    assert isinstance(last, JacobianFit)
    assert_same(last, undisturbed)


def test_in_the_middle_of_a_piece_a_fit_can_be_left_too(
    tiny: Model, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = begin(tiny, plan_of(text))
    finished(undisturbed)
    monkeypatch.setattr("lenstui.fitting.jacobian.loop._PIECE", 0.0)
    fit = begin(tiny, plan_of(text))
    shares = [now.share for now in islice(jacobian_steps(fit), 100) if now.stage == "prompts"]
    assert len(set(shares)) > 50 and shares == sorted(shares)
    assert 0 < shares[0] < 1 / 12 / 4  # several in a piece
    finished(fit)  # by a loop that knows only what is in the state
    assert_same(fit, undisturbed)


def test_what_is_kept_in_the_middle_of_a_prompt_is_a_mean_too(tiny: Model, text: Path) -> None:
    """Each output dimension is the mean over as many prompts as it has seen."""
    fit = begin(tiny, plan_of(text))
    next(now for now in jacobian_steps(fit) if fit.state.prompts == 2 and fit.state.dims == 11)
    each = of_prompts(tiny, fit.prompts.train)
    found = matrices_of(current_lens(fit))
    assert_near(found[:, :11], each[:3, :, :11].mean(0))
    assert_near(found[:, 11:], each[:2, :, 11:].mean(0))
    assert [now.stage for now in measure_convergence(fit)][-1] == "done"
    assert fitted_lens(fit).fit["convergence"] is not None


def test_before_the_first_prompt_is_done_there_is_nothing_to_keep(tiny: Model, text: Path) -> None:
    fit = begin(tiny, plan_of(text))
    next(now for now in jacobian_steps(fit) if fit.state.dims)
    assert not fit.state.has_learned
    with pytest.raises(LensError, match="No prompt is done yet"):
        fitted_lens(fit)


def test_the_driver_keeps_it_and_goes_on_from_a_checkpoint(
    tiny: Model, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(text)
    driver = begun(tiny, plan, read_text(tiny, plan), claim(tmp_path / "whole.pt"), 0)
    list(driver.steps())
    kept = driver.keep()
    assert kept.file == tmp_path / "whole.pt"
    whole = open_lens(kept.file)
    assert isinstance(whole, JacobianLens)
    assert whole.config["fingerprint"] is not None
    assert whole.fit["convergence"] == kept.lens.fit["convergence"]

    errors = [ZeroDivisionError("no")]

    def until_it_fails(fit: JacobianFit) -> Iterator[FitProgress]:
        for progress in jacobian_steps(fit):
            if progress.step == 2 and errors:
                raise errors.pop()
            yield progress

    monkeypatch.setattr("lenstui.fitting.kinds.jacobian_steps", until_it_fails)
    failed = begun(tiny, plan, read_text(tiny, plan), claim(tmp_path / "failed.pt"), 0)
    with pytest.raises(ZeroDivisionError):
        list(failed.steps())
    assert failed.checkpoint_step == 2
    failed.release()
    again = resumed(tiny, open_checkpoint(failed.checkpoint_file), claim(tmp_path / "failed.pt"))
    assert again.checkpoint_step == 2
    list(again.steps())
    assert torch.equal(matrices_of(again.keep().lens), matrices_of(whole))


def test_a_checkpoint_of_another_shape_is_refused(tiny: Model, text: Path, tmp_path: Path) -> None:
    plan, file = plan_of(text), tmp_path / "fit.checkpoint"
    save_checkpoint(file, begin(tiny, plan), plan)
    checkpoint = open_checkpoint(file)
    assert checkpoint.plan.options == OPTIONS
    wrong = {**checkpoint.state, "sums": torch.zeros(2, 32, 32)}
    with pytest.raises(LensError, match="does not fit this model"):
        resume(tiny, replace(checkpoint, state=wrong))
    for name in checkpoint.state.keys() - {"step"}:
        lacking = {key: value for key, value in checkpoint.state.items() if key != name}
        with pytest.raises(LensError, match=f"its state has no {name}"):
            resume(tiny, replace(checkpoint, state=lacking))


# the text


def test_a_prompt_is_the_beginning_of_a_document_as_a_prompt_begins(chat_tokenizer: object) -> None:
    """Whose tokenizer puts BOS (0) in front."""
    wanted = chat_tokenizer("hello there")["input_ids"]  # type: ignore[operator]
    found = prompt_of(chat_tokenizer, "hello there", 6)
    assert found is not None
    assert found.tolist() == wanted[:6]
    assert wanted[0] == 0
    assert prompt_of(chat_tokenizer, "hello there", len(wanted)) is not None
    assert prompt_of(chat_tokenizer, "hello there", len(wanted) + 1) is None


def test_a_long_document_has_the_prompt_of_the_whole(byte_tokenizer: object) -> None:
    long = "a long tale " * 1000
    assert torch.equal(prompt_of(byte_tokenizer, long, 5), prompt_of(byte_tokenizer, long[:20], 5))  # type: ignore[arg-type]


def test_documents_are_taken_in_order_the_short_ones_passed_over_and_some_held_out(
    tiny: Model, text: Path
) -> None:
    documents = text.read_text().split("\n\n")
    split = split_documents(documents, 0.2)
    assert split is not None
    wanted = [prompt_of(tiny.tokenizer, each, 12) for each in documents if not split.holds_out(each)]
    found = read_text(tiny, plan_of(text))
    kept = [prompt for prompt in wanted if prompt is not None][:4]
    assert [prompt.tolist() for prompt in found.prompts.train] == [prompt.tolist() for prompt in kept]
    held_out = [prompt_of(tiny.tokenizer, each, 12) for each in documents if split.holds_out(each)]
    assert [prompt.tolist() for prompt in found.prompts.held_out] == [
        prompt.tolist() for prompt in held_out if prompt is not None
    ]
    assert found.prompts.passed_over == 1
    assert len(documents[3]) < 12


def test_fewer_prompts_than_were_asked_for_are_said_and_too_few_refused(tiny: Model, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("a document of some length\n\nshort\n\nanother one of some length")
    found = read_text(tiny, plan_of(file))
    assert found.options.n_prompts == len(found.prompts.train) == len(found.prompts.held_out) == 1
    fit = begin(tiny, plan_of(file), found)
    finished(fit)
    assert fitted_lens(fit).fit["convergence"] is None  # there are no halves
    with pytest.raises(LensError, match="0 of 3 documents have 50 tokens"):
        read_text(tiny, plan_of(file, replace(OPTIONS, seq_len=50)))
    file.write_text("the only document, in a single piece")
    with pytest.raises(LensError, match="1 of 1 documents have 12 tokens"):
        read_text(tiny, plan_of(file))


def test_prompts_are_no_longer_than_the_context(tiny: Model, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("\n\n".join(f"{number} {'word ' * 40}" for number in range(4)))
    found = read_text(tiny, plan_of(file, replace(OPTIONS, seq_len=128)))
    assert tiny.context == found.options.seq_len == len(found.prompts.train[0]) == 64


def test_options_that_leave_no_column_are_refused() -> None:
    with pytest.raises(LensError, match="seq_len must be at least 18"):
        JacobianOptions(seq_len=17).check()
    with pytest.raises(LensError, match="n_prompts must be at least 1"):
        JacobianOptions(n_prompts=0).check()


def test_matrices_that_memory_has_no_room_for_are_refused(
    tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lenstui.fitting.jacobian.state.free_memory", lambda: 2 * 4 * 3 * 32 * 32 - 1)
    prompts = FitPrompts((torch.arange(12),), (torch.arange(12),))
    with pytest.raises(LensError, match="The Jacobians of 3 rows of width 32"):
        JacobianFit.new(tiny, prompts, OPTIONS)


def test_a_long_document_is_tokenized_as_far_as_a_prompt_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of few tokens, too, whose beginning does not have enough of them."""
    read: list[int] = []

    def few_ids(tokenizer: object, text: str) -> list[int]:
        read.append(len(text))
        return [7] * (len(text) // 100)

    monkeypatch.setattr("lenstui.fitting.jacobian.prompts.plain_ids", few_ids)
    monkeypatch.setattr("lenstui.model.tokenization.LONGEST_TEXT", 400)
    prompt = prompt_of(None, "a" * 10_000, 5, [])
    assert prompt is not None
    assert prompt.tolist() == [7] * 5
    assert read == [160, 400, 400]
    assert prompt_of(None, "a" * 480, 5, []) is None
