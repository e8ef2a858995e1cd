"""For all tests: the shared folder, the real small models in it, and a tokenizer made in memory."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from tests.programs.forked import Forked, forked
from tests.programs.own_settings import without_instant_lens
from tests.tiny.byte_level import byte_level_tokenizer
from tests.tiny.folders import CONTEXT, llama_in, neox_in

if TYPE_CHECKING:
    from lenstui.lens import Model

ROOT = Path(__file__).parents[1]

# Tests run side by side, and most of their models are tiny: one thread each, in child processes too.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is slow, which is no failure.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing that the user keeps, and nothing that a test writes, gets in the way of the other."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in ("DATA", "CONFIG", "STATE", "CACHE"):
            patch.setenv(f"XDG_{kind}_HOME", str(tmp_path_factory.mktemp(kind.lower())))
        without_instant_lens(Path(os.environ["XDG_CONFIG_HOME"]))
        # Where a lens goes that cannot be saved, in this program and in those that are started.
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("temporary")))
        patch.setattr(tempfile, "tempdir", None)
        patch.delenv("COLUMNS", raising=False)  # which would say how wide tables are
        yield


@pytest.fixture(scope="session", autouse=True)
def lazy_collector() -> None:
    """An app is many objects, and none of them is garbage before its test has ended."""
    gc.set_threshold(100_000, 5, 2)


@pytest.fixture(scope="module", autouse=True)
def frozen_heap() -> None:
    """The collector never again looks at what outlives a module, above all the code that was imported."""
    gc.collect()
    gc.freeze()


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
def smollm2(shared: Path) -> Path:
    """SmolLM2-135M-Instruct as GGUF, where it is in the shared models or the hub's cache."""
    gguf = "SmolLM2-135M*.gguf"
    cache = Path("~/.cache/huggingface/hub").expanduser()
    found = [*(shared / "models").rglob(gguf), *cache.glob(f"models--*/snapshots/*/{gguf}")]
    if not found:
        pytest.skip(f"no {gguf} is in the shared models or the hub's cache")
    return found[0]


@pytest.fixture(scope="session")
def byte_tokenizer() -> Any:
    """`<bos>` 0, `<eos>` 1, then one id per byte, 258 in all."""
    return byte_level_tokenizer()


CHAT_TEMPLATE = """\
{{ bos_token }}{% for message in messages %}{% if 'refuse' in message.content %}\
{{ raise_exception('I will not.\\x1b[2J') }}{% endif %}<{{ message.role }}>{{ message.content }}{% endfor %}\
{% if add_generation_prompt %}<assistant>{% endif %}"""


@pytest.fixture(scope="session")
def chat_tokenizer(byte_tokenizer: Any) -> Any:
    """The same with a chat template, which fails where the user says `refuse`; and BOS before every text."""
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    fast = type(byte_tokenizer.backend_tokenizer).from_str(byte_tokenizer.backend_tokenizer.to_str())
    fast.post_processor = TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 0)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=fast, bos_token="<bos>", eos_token="<eos>")
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


@pytest.fixture(scope="session")
def tiny(byte_tokenizer: Any) -> Model:
    """A random GPT-NeoX: 3 blocks, d 32, vocabulary 272."""
    from lenstui.lens import wire
    from tests.tiny.families import FAMILIES, random_model

    return wire("tiny", random_model(FAMILIES["GPT-NeoX"].config), byte_tokenizer)


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> Path:
    """A random Llama with one token per byte, 64 columns."""
    return llama_in(tmp_path_factory.mktemp("models") / "tiny", byte_tokenizer)


@pytest.fixture(scope="session")
def neox_folder(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> Path:
    """Folder of a random GPT-NeoX of two blocks that reads bytes, with a random tuned lens beside it."""
    import torch

    from lenstui.lens import TunedLens, save_lens

    folder = tmp_path_factory.mktemp("models") / "tiny"
    neox_in(folder, byte_tokenizer, blocks=2, heads=2, context=CONTEXT)
    save_lens(TunedLens(torch.randn(2, 32, 32) / 20, torch.randn(2, 32) / 20), folder.parent / "mine.pt")
    return folder


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Iterator[Forked]:
    """`lenstui` as processes of their own that start at once, and have fitted a lens before."""
    folder = tmp_path_factory.mktemp("programs")
    text = folder / "text.txt"
    text.write_text("\n\n".join(f"the cat number {number} sat on the mat" for number in range(100)))
    with forked(folder) as programs:
        programs.warm(
            *("train", "--model", tiny_folder, "--data", text, "--save", folder / "lens.pt"), "--steps", 2
        )
        yield programs


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"{folder.name} is not here: set LENSTUI_SHARED to the folder of shared models")
    return folder


def _load(folder: Path) -> Model:
    from lenstui.lens import load

    return load(str(_existing(folder)), device="cpu")
