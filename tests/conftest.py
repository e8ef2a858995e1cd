"""For all tests: the shared folder, the real small models in it, and a tokenizer made in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lenstui.lens import Model

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing that the user keeps, and nothing that a test writes, gets in the way of the other."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in ("DATA", "CONFIG", "STATE"):
            patch.setenv(f"XDG_{kind}_HOME", str(tmp_path_factory.mktemp(kind.lower())))
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real models, tokenizers and texts, beside the repository or where LENSTUI_SHARED says."""
    folder = Path(os.environ.get("LENSTUI_SHARED", ROOT.parent / "shared"))
    return _existing(folder)


@pytest.fixture(scope="session")
def stories15m(shared: Path) -> Model:
    """A trained Llama that writes stories: 6 blocks, d 288, vocabulary 32000."""
    return _load(shared / "models" / "stories15M")


@pytest.fixture(scope="session")
def stories260k(shared: Path) -> Model:
    """The same, much smaller: 5 blocks, d 64, vocabulary 512."""
    return _load(shared / "models" / "stories260K")


@pytest.fixture(scope="session")
def byte_tokenizer() -> Any:
    """Byte-level BPE without merges: `<bos>` 0, `<eos>` 1, then one id per byte, 258 in all."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: i for i, piece in enumerate(["<bos>", "<eos>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>")


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"{folder.name} is not here: set LENSTUI_SHARED to the folder of shared models")
    return folder


def _load(folder: Path) -> Model:
    import torch

    from lenstui.lens import load

    torch.set_num_threads(2)
    return load(str(_existing(folder)), device="cpu")
