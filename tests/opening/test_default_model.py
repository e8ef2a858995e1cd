"""Which model opens when none is named, on a Hugging Face cache made for the test, without a network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

PYTHIA = "EleutherAI/pythia-14m"
COMMIT = "f33025648652797a390d8c54835273845b437161"
NOWHERE = "http://127.0.0.1:9"  # nothing listens there


@pytest.fixture(scope="module")
def pythia_home(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A HF_HOME that holds a random model of pythia-14m's exact shape, with Pythia's real tokenizer."""
    import torch
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    home = tmp_path_factory.mktemp("hf")
    repository = home / "hub" / f"models--{PYTHIA.replace('/', '--')}"
    snapshot = repository / "snapshots" / COMMIT
    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=50304,
        hidden_size=128,
        num_hidden_layers=6,
        num_attention_heads=4,
        intermediate_size=512,
        max_position_embeddings=2048,
        bos_token_id=0,
        eos_token_id=0,
    )
    GPTNeoXForCausalLM(config).half().save_pretrained(snapshot)
    for file in (shared / "tokenizers" / "pythia").iterdir():
        shutil.copy(file, snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    return home


def read(home: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`lenstui read` with that HF_HOME and no network."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGINGFACE_"))}
    return subprocess.run(
        [sys.executable, "-m", "lenstui", "read", "The trees are green and the sky is", *words],
        capture_output=True,
        text=True,
        env=own | {"HF_HOME": str(home), "HF_ENDPOINT": NOWHERE} | environment,
        timeout=120,
        check=False,
    )


def test_the_cached_default_model_opens_without_a_network(pythia_home: Path) -> None:
    done = read(pythia_home, "--format", "json")
    assert done.returncode == 0, done.stderr
    readout = json.loads(done.stdout)
    assert readout["model"] == PYTHIA
    assert readout["rows"] == ["emb", "0", "1", "2", "3", "4", "5"]
    assert readout["tokens"] == ["The", "·trees", "·are", "·green", "·and", "·the", "·sky", "·is"]
    assert readout["dtype"] == "float32"
    assert done.stderr == ""


def test_with_neither_cache_nor_network_the_bundled_model_opens_and_says_why(tmp_path: Path) -> None:
    done = read(tmp_path, "--format", "json")
    assert done.returncode == 0, done.stderr
    readout = json.loads(done.stdout)
    assert readout["model"] == "bundled model"
    assert readout["lenses"]["tuned"] is not None
    assert "This is the bundled model: EleutherAI/pythia-14m is not in the cache" in done.stderr


def test_a_named_model_that_is_nowhere_fails_fast_and_says_what_to_do(tmp_path: Path) -> None:
    began = time.monotonic()
    done = read(tmp_path, "--model", "EleutherAI/pythia-70m", HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    assert time.monotonic() - began < 20  # torch is never waited for; the rest is a busy machine
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "HF_HUB_OFFLINE" in done.stderr
    assert "--demo" in done.stderr
