"""`lenstui read`: the contract of its JSON, and every number against a naive computation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lenstui import __version__
from tests.programs.calls import status
from tests.programs.forked import Forked

STORY = "Once upon a time there was a little girl named"


@pytest.fixture(scope="session")
def story(shared: Path, programs: Forked) -> dict[str, Any]:
    """The contract of section 10, for a trained model."""
    folder = shared / "models" / "stories15M"
    if not folder.is_dir():
        pytest.skip("stories15M is not here")
    program = programs.start("read", STORY, "--model", folder, "--format", "json", "--device", "cpu")
    assert (program.status(), program.err) == (0, "")
    content: dict[str, Any] = json.loads(program.out)
    return content


def test_json_says_what_was_read(story: dict[str, Any], shared: Path) -> None:
    assert story["model"] == str(shared / "models" / "stories15M")
    assert (story["version"], story["lenstui"]) == (1, __version__)
    assert (story["dtype"], story["revision"], story["lens"], story["pins"]) == ("float32", None, None, [])
    assert story["prompt"] == STORY
    assert story["tokens"] == ["<s>", *("·" + word for word in STORY.split())]
    assert story["rows"] == ["emb", "0", "1", "2", "3", "4", "5"]
    assert story["lenses"]["tuned"] is None


def test_json_has_the_shape_of_the_contract(story: dict[str, Any]) -> None:
    rows, columns = len(story["rows"]), len(story["token_ids"])
    logit = story["lenses"]["logit"]
    for name in ("entropy", "kl", "js", "final_rank", "next_logprob", "next_rank"):
        assert [len(row) for row in logit[name]] == [columns] * rows
    for name in ("top_ids", "top_tokens", "top_logits", "top_probs"):
        assert [[len(cell) for cell in row] for row in logit[name]] == [[3] * columns] * rows
    assert [row[-1] for name in ("next_logprob", "next_rank") for row in logit[name]] == [None] * (2 * rows)
    assert None not in [number for name in ("next_logprob", "next_rank") for number in logit[name][0][:-1]]


def test_json_equals_a_naive_computation(story: dict[str, Any], shared: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(shared / "models" / "stories15M", dtype=torch.float32)
    ids = torch.tensor(story["token_ids"])
    last: list[torch.Tensor] = []
    model.model.norm.register_forward_pre_hook(lambda norm, args: last.append(args[0][0]))
    with torch.no_grad():
        output = model(ids[None], output_hidden_states=True)
        h = torch.stack([*(state[0] for state in output.hidden_states[:-1]), last[0]])
        logits = model.lm_head(model.model.norm(h))  # [rows, cols, vocabulary]
    own = output.logits[0].log_softmax(-1)
    compare(story["lenses"]["logit"], logits, own, ids, story["rows"])


def compare(shown: dict[str, Any], logits: Any, own: Any, ids: Any, rows: list[str]) -> None:
    """Hold one lens against naive logits `[rows, cols, vocabulary]`; `own`: the model's log-probabilities."""
    import torch

    def close(name: str, wanted: torch.Tensor) -> None:
        torch.testing.assert_close(torch.tensor(shown[name]), wanted, atol=1e-4, rtol=1e-4, msg=name)

    log_probs = logits.log_softmax(-1)
    top_ids = torch.tensor(shown["top_ids"])
    close("top_logits", logits.topk(top_ids.shape[-1]).values)
    close("top_logits", logits.gather(-1, top_ids))
    close("top_probs", log_probs.gather(-1, top_ids).exp())
    close("entropy", -(log_probs.exp() * log_probs).sum(-1))
    close("kl", (own.exp() * (own - log_probs)).sum(-1))
    # The last row is the model's own output.
    torch.testing.assert_close(
        torch.tensor(shown["top_probs"][-1]), own.gather(-1, top_ids[-1]).exp(), atol=1e-5, rtol=1e-5
    )
    assert max(shown["kl"][-1]) < 1e-5
    assert set(shown["final_rank"][-1]) == {0}

    following = ids[1:].expand(len(rows), -1)[..., None]
    next_logprob = log_probs[:, :-1].gather(-1, following)[..., 0]
    shown["next_logprob"] = [row[:-1] for row in shown["next_logprob"]]
    close("next_logprob", next_logprob)

    # Ranks may move where two logits are equal up to rounding.
    def check_rank(name: str, tokens: torch.Tensor) -> None:
        rank = torch.tensor([row[: tokens.shape[1]] for row in shown[name]])
        reached = logits[:, : tokens.shape[1]]
        own_logit = reached.gather(-1, tokens)
        assert ((reached > own_logit + 1e-4).sum(-1) <= rank).all()
        assert (rank <= (reached > own_logit - 1e-4).sum(-1)).all()

    check_rank("final_rank", own.argmax(-1).expand(len(rows), -1)[..., None])
    check_rank("next_rank", following)

    for column, label in enumerate(shown["crystallization"]):
        settled = [row[column][0] == shown["top_ids"][-1][column][0] for row in shown["top_ids"]]
        first = rows.index(label)
        assert all(settled[first:])
        assert first == 0 or not settled[first - 1]


def test_both_lenses_in_json_equal_a_naive_computation(neox_folder: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    lens_file, file = neox_folder.parent / "mine.pt", tmp_path / "out.json"
    words = (
        "read",
        "naive?",
        "--model",
        str(neox_folder),
        "--lens",
        str(lens_file),
        "--top-k",
        "5",
        "-o",
        str(file),
    )
    assert status(*words) == 0
    content = json.loads(file.read_bytes())
    assert (content["lens"], content["rows"]) == ("mine.pt", ["emb", "0", "1"])

    model = AutoModelForCausalLM.from_pretrained(neox_folder, dtype=torch.float32)
    state = torch.load(lens_file, weights_only=True)["state_dict"]
    ids = torch.tensor(content["token_ids"])
    last: list[torch.Tensor] = []
    model.gpt_neox.final_layer_norm.register_forward_pre_hook(lambda norm, args: last.append(args[0][0]))
    with torch.no_grad():
        output = model(ids[None], output_hidden_states=True)
        h = torch.stack([*(state[0] for state in output.hidden_states[:-1]), last[0]])
        translated = torch.stack(
            [*(h[i] + h[i] @ state[f"{i}.weight"].T + state[f"{i}.bias"] for i in range(2)), h[2]]
        )
        own = output.logits[0].log_softmax(-1)
        for name, stream in (("logit", h), ("tuned", translated)):
            logits = model.get_output_embeddings()(model.gpt_neox.final_layer_norm(stream))
            compare(content["lenses"][name], logits, own, ids, content["rows"])
