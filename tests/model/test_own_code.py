"""Models that bring Python code of their own, and wrappers around a text model: what is run, and when."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from safetensors.torch import save_file

from lenstui.cli import main
from lenstui.cli.arguments import Parser, add_prompt_and_model, parse, start
from lenstui.lens import LensError, load
from lenstui.model.residual import residual_stream
from lenstui.support.settings import Settings
from tests.tiny.families import FAMILIES, SIZES
from tests.tiny.family import random_model

# Halves its logits, which is how the test knows that it ran; leaves a file behind as soon as it is imported.
CODE = """
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM

Path({ran!r}).touch()

class AcmeConfig(LlamaConfig):
    model_type = "acme"

class AcmeForCausalLM(LlamaForCausalLM):
    config_class = AcmeConfig

    def forward(self, *args, **kwargs):
        output = super().forward(*args, **kwargs)
        output.logits = output.logits / 2
        return output
"""


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """Is there once the model's code was imported."""
    return tmp_path / "ran"


@pytest.fixture
def acme(tmp_path: Path, ran: Path, byte_tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a Llama by another name, which only its own code can read."""
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = tmp_path / "acme"
    random_model(hf.LlamaConfig(**SIZES)).save_pretrained(folder)
    byte_tokenizer.save_pretrained(folder)
    classes = {"AutoConfig": "acme.AcmeConfig", "AutoModelForCausalLM": "acme.AcmeForCausalLM"}
    change_json(
        folder / "config.json", model_type="acme", auto_map=classes, architectures=["AcmeForCausalLM"]
    )
    (folder / "acme.py").write_text(CODE.format(ran=str(ran)))
    return folder


def change_json(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_code_is_not_run_unless_told(acme: Path, ran: Path) -> None:
    with pytest.raises(LensError, match=r"needs Python code of its own .* add --trust-remote-code"):
        load(str(acme), device="cpu")
    assert not ran.exists()


def test_code_that_is_trusted_is_run_and_read_by_value(acme: Path, ran: Path) -> None:
    model = load(str(acme), device="cpu", trust_remote_code=True)
    assert ran.exists()
    assert type(model.module).__name__ == "AcmeForCausalLM"
    assert model.head.linear is not None
    assert model.head.linear.scale == pytest.approx(0.5, rel=1e-6)
    ids = torch.tensor([[3, 9, 27, 81]])
    with torch.no_grad():
        wanted = hf.LlamaForCausalLM.forward(model.module, ids).logits[0] / 2
        ours = model.head(residual_stream(model.module, model.anatomy, ids)[-1, 0])
    torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-5)


def test_code_of_a_model_that_transformers_knows_is_not_run_even_so(acme: Path, ran: Path) -> None:
    change_json(acme / "config.json", model_type="llama", architectures=["LlamaForCausalLM"])
    assert type(load(str(acme), device="cpu", trust_remote_code=True).module) is hf.LlamaForCausalLM
    assert not ran.exists()


def test_code_that_breaks_is_one_clear_line(acme: Path) -> None:
    text = (acme / "acme.py").read_text().replace("output.logits / 2", "output.nothing")
    (acme / "acme.py").write_text(text)
    with pytest.raises(LensError, match=r"cannot be run on a plain text: .*nothing") as caught:
        load(str(acme), device="cpu", trust_remote_code=True)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["json", "csv"])
def test_what_the_code_prints_is_not_in_the_results(
    acme: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        (acme / "acme.py")
        .read_text()
        .replace("        output =", "        print('it runs')\n        output =")
    )
    (acme / "acme.py").write_text(f"print('it is imported')\n{text}")
    words = [
        "read",
        "Hello",
        "--model",
        str(acme),
        "--trust-remote-code",
        "--device",
        "cpu",
        "--format",
        form,
    ]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert out.startswith('{"' if form == "json" else "lens,row,")
    assert "it is imported" in err and "it runs" in err
    assert "it is imported" not in out and "it runs" not in out
    if form == "json":
        assert json.loads(out)["prompt"]


def test_an_encoder_decoder_of_its_own_code_is_refused_before_it_runs(acme: Path, ran: Path) -> None:
    change_json(acme / "config.json", is_encoder_decoder=True)
    with pytest.raises(LensError, match="is an encoder-decoder"):
        load(str(acme), device="cpu", trust_remote_code=True)
    assert not ran.exists()


def test_a_tokenizers_code_is_not_run_unless_told(acme: Path, ran: Path) -> None:
    change_json(acme / "config.json", model_type="llama", architectures=["LlamaForCausalLM"])
    for file in acme.glob("tokenizer*"):
        file.unlink()
    (acme / "tokenizer_config.json").write_text(
        json.dumps(
            {"tokenizer_class": "AcmeTokenizer", "auto_map": {"AutoTokenizer": ["acme.AcmeConfig", None]}}
        )
    )
    with pytest.raises(
        LensError, match=r"tokenizer of .* needs Python code of its own: .*--trust-remote-code"
    ):
        load(str(acme), device="cpu")
    assert not ran.exists()


def asked(*words: str) -> Any:
    parser = Parser("lenstui", "")
    add_prompt_and_model(parser)
    return start(parser, parse(parser, words), 1, Settings(model="acme/large"))


def test_trust_is_for_a_model_that_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert asked("--model", "acme/tiny", "--trust-remote-code").trust_remote_code
    assert not asked("--model", "acme/tiny").trust_remote_code
    for words in (["--trust-remote-code"], ["--demo", "--trust-remote-code"]):
        with pytest.raises(SystemExit):
            asked(*words)
        assert "--trust-remote-code needs --model" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["LLaVA", "Qwen2-VL", "Gemma-3 multimodal"])
def test_a_wrapper_around_a_text_model_loads(name: str, tmp_path: Path, byte_tokenizer: Any) -> None:
    random_model(FAMILIES[name].config).save_pretrained(tmp_path)
    byte_tokenizer.save_pretrained(tmp_path)
    model = load(str(tmp_path), device="cpu")
    assert (model.num_blocks, model.d_model) == (3, 32)
    assert model.anatomy.final_norm is model.module.get_submodule("model.language_model.norm")


def test_a_wrapper_without_its_text_models_weights_is_refused(tmp_path: Path, byte_tokenizer: Any) -> None:
    module = random_model(FAMILIES["LLaVA"].config)
    module.save_pretrained(tmp_path)
    byte_tokenizer.save_pretrained(tmp_path)
    kept = {k: v.clone() for k, v in module.state_dict().items() if "norm" not in k or "language" not in k}
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(LensError, match="weights are missing or of the wrong shape"):
        load(str(tmp_path), device="cpu")
