"""A model without its weights: its parts are those that it has with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lenstui.lens import LensError
from lenstui.model.head import head_candidates
from lenstui.model.ndif import Service, check_protocol, difference
from lenstui.model.remote_load import Weightless
from tests.tiny.families import FAMILIES, random_model


@pytest.mark.parametrize("name", ["GPT-NeoX", "GPT-2", "Llama", "Gemma-2", "Cohere", "OPT", "Qwen3"])
def test_the_parts_are_found_without_weights(name: str, byte_tokenizer: Any, tmp_path: Path) -> None:
    family = FAMILIES[name]
    whole = random_model(family.config)
    whole.config.save_pretrained(tmp_path)
    byte_tokenizer.save_pretrained(tmp_path)
    found = Weightless.read(name, tmp_path)
    assert {each.device.type for each in found.module.parameters()} == {"meta"}
    remote = found.at("a service", None, lambda: None)
    assert remote.blocks == tuple(f"{family.blocks}.{number}" for number in range(len(remote.blocks)))
    assert len(remote.blocks) == whole.config.get_text_config().num_hidden_layers
    assert remote.norm == family.norm
    assert torch.equal(whole.get_submodule(remote.matrix).weight, whole.get_output_embeddings().weight)
    assert any(scale == pytest.approx(family.scale) for scale, _ in head_candidates(found.config))


def test_a_head_that_is_more_than_a_matrix_is_refused(byte_tokenizer: Any, tmp_path: Path) -> None:
    random_model(FAMILIES["OPT-350m"].config).config.save_pretrained(tmp_path)
    byte_tokenizer.save_pretrained(tmp_path)
    with pytest.raises(LensError, match="not one matrix behind the final norm"):
        Weightless.read("opt", tmp_path).at("a service", None, lambda: None)


def test_versions_that_matter_are_said() -> None:
    here = {"python": "3.11.7", "torch": "2.13.0"}
    assert difference(here, {"python": "3.11.2", "torch": "2.13.1+cu126", "other": "1"}) is None
    said = difference(here, {"python": "3.12.1", "torch": "2.13.0"})
    assert said == "The service has python 3.12.1; here is python 3.11.7"


def test_another_nnsight_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lenstui.model.ndif.version", lambda package: "0.8.1")
    service = Service("https://a.test", "key")
    for said in ({}, {"nnsight": "0.8.4"}):
        check_protocol(service, said)
    with pytest.raises(LensError, match=r"^NDIF \(a.test\) speaks nnsight 0.6.2, and here is 0.8.1: pip"):
        check_protocol(service, {"nnsight": "0.6.2"})
    assert "key" not in repr(service)
