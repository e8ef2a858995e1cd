"""A GPU whose memory runs out is said in one line, and the program goes on once there is room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lenstui.fitting import driver, kinds, names
from lenstui.fitting.options import preset
from lenstui.fitting.plan import FitPlan
from lenstui.jobs.fit import FitJobs
from lenstui.jobs.fit_messages import FitChanged, FitStatus, Phase
from lenstui.jobs.messages import ReadDone, ReadFailed
from lenstui.jobs.model import ModelJobs
from lenstui.jobs.read import ReadJobs
from lenstui.jobs.read_request import ReadRequest
from lenstui.readout.reading import Reading
from lenstui.support.request import Start
from lenstui.texts.documents import Documents
from tests.cuda.devices import Device

# Bytes that are left: room for CUDA's own pieces of 2 and 20 MB, and for every tensor but the large ones.
LEFT = 26 << 20
SHORT = "a b c " * 20  # 120 columns, whose logits are 31 MB a row
LONG = "a b c " * 680  # 4,080 columns, for which the MLP takes 33 MB


@pytest.fixture(scope="module")
def wide_folder(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> Path:
    """A model that is small, and whose vocabulary, context and MLP are large."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=65536,
        hidden_size=16,
        intermediate_size=2048,
        num_hidden_layers=1,
        num_attention_heads=1,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=1,
    )
    folder = tmp_path_factory.mktemp("models") / "wide"
    LlamaForCausalLM(config).save_pretrained(folder)
    byte_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def posted() -> list[Any]:
    return []


@pytest.fixture
def jobs(device: Device, wide_folder: Path, posted: list[Any]) -> ModelJobs:
    """The jobs of the screen, which have opened the model."""
    jobs = ModelJobs(posted.append)
    jobs.load(Start(model=str(wide_folder), device=device.name, dtype="float32"), lambda: False)
    assert jobs.opened is not None, posted
    assert jobs.opened.model.device.type == "cuda"
    return jobs


@pytest.mark.parametrize("text", [SHORT, LONG], ids=["of the logits", "of the forward pass"])
def test_a_reading_fails_in_one_line_and_the_next_one_does_not(
    device: Device, jobs: ModelJobs, posted: list[Any], text: str
) -> None:
    reading = ReadJobs(jobs)

    def read(serial: int, typed: str) -> list[Any]:
        del posted[:]
        reading.read(ReadRequest(serial, typed, 20, 3, Reading()), posted.append, lambda: False)
        return [message for message in posted if isinstance(message, ReadDone | ReadFailed)]

    with device.short(LEFT):
        (failed,) = read(1, text)
    assert isinstance(failed, ReadFailed), failed
    assert "out of memory" in failed.text.lower() and "\n" not in failed.text and len(failed.text) < 110
    (done,) = read(2, "a b")
    assert isinstance(done, ReadDone), done


def test_a_fit_fails_in_one_line_and_goes_on_from_there(
    device: Device, jobs: ModelJobs, posted: list[Any], tmp_path: Path
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(f"{number} the cat sat on the mat " * 8 for number in range(20)))
    options = preset(
        "quick", steps=2, seq_len=128, tokens_per_step=128, held_out_tokens=128, closed_form_tokens=256
    )
    plan = FitPlan(options, Documents((str(text),)), held_out=0.2)
    assert jobs.opened is not None
    model = jobs.opened.model
    fit = driver.begun(
        model, plan, kinds.read_text(model, plan, lambda: False), names.claim(tmp_path / "lens.pt")
    )
    kept: list[Any] = []
    fits = FitJobs(posted.append, lambda lens, file: kept.append(lens))

    def work(steps: Callable[[], Any]) -> FitStatus:
        for _ in steps():
            pass
        *_, last = (message.status for message in posted if isinstance(message, FitChanged))
        return last

    with device.short(LEFT):
        status = work(lambda: fits.begin(fit, lambda: False))
    assert status.phase is Phase.PAUSED and status.trouble is not None
    assert status.trouble.startswith("The fit failed. Out of memory: choose shorter blocks")
    assert "\n" not in status.trouble
    assert work(lambda: fits.go_on(lambda: False)).phase is Phase.KEPT
    assert (tmp_path / "lens.pt").exists() and len(kept) == 1
