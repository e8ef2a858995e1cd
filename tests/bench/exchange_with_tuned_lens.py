"""Proof against the real `tuned-lens` library, in an environment of its own. Run by hand.

    python3 -m venv PEER
    PEER/bin/pip install torch==2.13.0 tuned-lens==0.2.0 'transformers<5' 'torchdata<0.10' 'datasets<4' \
        'huggingface-hub<1'
    python tests/bench/exchange_with_tuned_lens.py --peer-python PEER/bin/python [--model FOLDER]

A lens that is written here is loaded there, a lens that the library saves there is opened here, and both
programs read the same ids with both: the logits of every row must agree. So that an agreement means
something, the library's translators are also laid on the neighbouring hidden state, and that must not agree.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor

from lenstui.lens import Model, TunedLens, load, open_lens, wire
from lenstui.lens.compatibility import fit_warning, lens_config
from lenstui.lens.formats.library import save_library_folder
from lenstui.lens.formats.unembed_hash import unembed_hash
from lenstui.model.residual import residual_stream

TOLERANCE = 1e-5  # of the row's largest logit, or of 1 where that is smaller: rounding grows with it
COLUMNS = 24

PEER = """
import json, logging, sys
import torch
from transformers import AutoModelForCausalLM
from tuned_lens.nn.lenses import TunedLens

model_folder, ours, theirs, place, ids_text = sys.argv[1:]
warnings = []
handler = logging.Handler()
handler.emit = lambda record: warnings.append(record.getMessage())
logging.getLogger().addHandler(handler)  # to it the library speaks

model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32).eval()
ids = torch.tensor([json.loads(ids_text)])

def logits(lens):
    h = output.hidden_states
    own = [lens(h[i], i)[0] for i in range(len(lens))]
    neighbour = [lens(h[i + 1], i)[0] for i in range(len(lens) - 1)]  # the last one there is normed
    return torch.stack(own), torch.stack(neighbour)

with torch.inference_mode():
    output = model(ids, output_hidden_states=True)
    loaded = TunedLens.from_model_and_pretrained(model, ours, weights_only=True)
    made = TunedLens.from_model(model)
    torch.manual_seed(2)
    for parameter in made.layer_translators.parameters():
        parameter.normal_(std=0.05)
    made.save(theirs)
    result = {"model": output.logits[0], "ours": logits(loaded), "theirs": logits(made),
              "hash": made.config.unembed_hash, "warnings": warnings}
torch.save(result, place)
"""


class Ids(SimpleNamespace):
    """Stands in for a tokenizer: ids are read, and no text."""

    bos_token_id = None

    def __call__(self, text: str, **_: object) -> dict[str, list[int]]:
        return {"input_ids": [ord(character) for character in text]}

    def __len__(self) -> int:
        return 256

    def get_vocab(self) -> dict[str, int]:
        return {chr(code): code for code in range(256)}

    def decode(self, ids: list[int], **_: object) -> str:
        return "".join(map(chr, ids))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--peer-python", required=True, help="Python of the environment with tuned-lens")
    parser.add_argument("--model", help="a folder that both versions of transformers read")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        return compare(given.peer_python, given.model, Path(temporary))


def compare(peer_python: str, folder: str | None, work: Path) -> int:
    """Exchange lenses in both directions, and print by how much each row is off."""
    model = random_model(work / "model") if folder is None else load(folder, device="cpu")
    torch.manual_seed(1)
    shape = (model.num_blocks, model.d_model, model.d_model)
    lens = TunedLens(0.05 * torch.randn(shape), 0.05 * torch.randn(shape[:2]), config(model))
    save_library_folder(lens, work / "ours")
    ids = torch.randint(model.vocabulary, (COLUMNS,)).tolist()
    folders = [folder or str(work / "model"), str(work / "ours"), str(work / "theirs")]
    command = [peer_python, "-c", PEER, *folders, str(work / "peer.pt"), json.dumps(ids)]
    subprocess.run(command, check=True)
    peer = torch.load(work / "peer.pt", weights_only=True)

    h = residual_stream(model.module, model.anatomy, torch.tensor([ids]))
    with torch.inference_mode():
        worst = off("the model itself", model.head(h[-1, 0])[None], peer["model"][None])
        back = open_lens(work / "ours")
        exact = torch.equal(back.weight, lens.weight) and torch.equal(back.bias, lens.bias)
        worst = max(worst, off("our lens, loaded there", rows(model, lens, h), peer["ours"][0]))
        theirs = open_lens(work / "theirs")
        worst = max(worst, off("their lens, opened here", rows(model, theirs, h), peer["theirs"][0]))
        neighbour = off("laid on the next hidden state", rows(model, theirs, h)[:-1], peer["theirs"][1])
    checks = {
        f"every row within {TOLERANCE:g} (worst: {worst:.1e})": worst <= TOLERANCE,
        "the neighbouring hidden state is far off": neighbour > 100 * TOLERANCE,
        "our folder comes back bit for bit": exact,
        "the hash is the library's": unembed_hash(model) == peer["hash"],
        "the library warns of nothing": not peer["warnings"],
        "we warn of nothing": fit_warning(theirs, model) is None,
    }
    for check, passed in checks.items():
        print(f"{'ok  ' if passed else 'FAIL'} {check}")
    print(*peer["warnings"], sep="\n", end="")
    return 0 if all(checks.values()) else 1


def config(model: Model) -> dict[str, object]:
    return lens_config(model) | {"unembed_hash": unembed_hash(model)}


def rows(model: Model, lens: TunedLens, h: Tensor) -> Tensor:
    """The lens's logits, `[L, columns, vocabulary]`."""
    return torch.stack([model.head(lens.transport(h[row, 0], row)) for row in range(len(lens.weight))])


def off(name: str, ours: Tensor, theirs: Tensor) -> float:
    """Print by how much each row is off, and return the most, relative to the row's largest logit."""
    by_row = (ours - theirs).abs().amax((1, 2))
    largest = theirs.abs().amax((1, 2))
    shown = [f"{row:.1e} of {most:.1f}" for row, most in zip(by_row, largest, strict=True)]
    print(f"{name:30}", *shown, sep="  ")
    return float((by_row / largest.clamp(min=1)).max())


def random_model(folder: Path) -> Model:
    """A small GPT-NeoX with random weights, saved to `folder` for the peer."""
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    torch.manual_seed(0)
    shape = GPTNeoXConfig(
        vocab_size=300,
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=128,
        initializer_range=0.15,
    )
    module = GPTNeoXForCausalLM(shape)
    module.save_pretrained(folder)
    return wire("random GPT-NeoX", module, Ids())


if __name__ == "__main__":
    sys.exit(main())
