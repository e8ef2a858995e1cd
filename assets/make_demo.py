"""Make the bundled model: tokenizer, training, export.

    export MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000   # 1.3 x on glibc
    python assets/make_demo.py data   --corpora DIR    # tokenizer and token files, a minute
    python assets/make_demo.py train                   # hours on two cores; run it again to go on
    python assets/make_demo.py export                  # assets/demo/: float16 weights, model card, text
    python assets/make_demo.py lens                    # assets/demo/lens.pt

DIR holds `stories.parquet` and `public-domain.parquet`, each with a `text` column. Everything that is not
shipped stays in `assets/.build/`. The learning rate warms up, stays, and falls to zero over the last part
of `--steps`; until it begins to fall a run may be continued with another `--steps`.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast

HERE = Path(__file__).parent
DEMO = HERE / "demo"
BUILD = HERE / ".build"
EOS = "<|endoftext|>"

VOCABULARY = 4096
BLOCK = 256  # tokens of one training block, and the model's context
STORY_BLOCKS, PUBLIC_BLOCKS = 29, 3  # blocks of one step from either source
WARMUP_STEPS = 100
DECAY_SHARE = 0.4  # of all steps, at the end
MUON_LR, ADAM_LR = 6e-3, 4e-3
HELD_OUT_EVERY = 100  # every hundredth document is never trained on
SEED = 20261121

CONFIG = GPTNeoXConfig(
    vocab_size=VOCABULARY,
    hidden_size=192,
    num_hidden_layers=6,
    num_attention_heads=4,
    intermediate_size=768,
    max_position_embeddings=BLOCK,
    bos_token_id=0,
    eos_token_id=0,
    dtype="float32",
)

GREEDY_PROMPTS = (
    "Once upon a time there was a little",
    "The trees are green and the sky is",
    "Tom and Sam went to the park. Tom wanted to play, but Sam",
    "Fellow citizens of the Senate and of the House of",
    "The old captain looked at the sea and",
)


def documents(path: Path) -> tuple[list[str], list[str]]:
    """The texts of one Parquet file, split into trained-on and held-out."""
    texts = [text.strip() for text in pq.read_table(path, columns=["text"]).column("text").to_pylist()]
    held_out = texts[::HELD_OUT_EVERY]
    return [text for i, text in enumerate(texts) if i % HELD_OUT_EVERY], held_out


def make_data(corpora: Path) -> None:
    """Train the tokenizer on both sources and write their token streams, documents closed by EOS."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    BUILD.mkdir(exist_ok=True)
    DEMO.mkdir(exist_ok=True)
    sources = {"stories": documents(corpora / "stories.parquet")}
    sources["public-domain"] = documents(corpora / "public-domain.parquet")

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[EOS], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    # Public-domain prose is a third as long and a good deal richer: as it stands, it gets its share.
    tokenizer.train_from_iterator((text for train, _ in sources.values() for text in train), trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=EOS, eos_token=EOS, unk_token=EOS, model_max_length=BLOCK
    )
    fast.save_pretrained(DEMO)

    for name, parts in sources.items():
        for part, texts in zip(("train", "held-out"), parts, strict=True):
            ids: list[int] = []
            for encoding in tokenizer.encode_batch(texts):
                ids += [*encoding.ids, 0]
            np.save(BUILD / f"{name}.{part}.npy", np.asarray(ids, dtype=np.uint16))
            print(
                f"{name} {part}: {len(texts)} documents, {len(ids)} tokens, {sum(map(len, texts))} characters"
            )


def load_tokens(name: str, part: str) -> np.ndarray:
    return np.load(BUILD / f"{name}.{part}.npy")


def blocks_from(tokens: np.ndarray, first: int, count: int, seed: int) -> np.ndarray:
    """Blocks `first … first+count` of an endless stream of shuffled passes over `tokens`.

    A pass cuts the stream at a random offset, so that no two see the same blocks.

    Returns:
        `[count, BLOCK + 1]` int64: inputs and, shifted by one, targets.
    """
    in_pass = (len(tokens) - 1) // BLOCK - 1  # one block less, for the offset
    rows = []
    for position in range(first, first + count):
        number, index = divmod(position, in_pass)
        rng = np.random.default_rng([seed, number])
        offset = int(rng.integers(BLOCK))
        start = offset + BLOCK * int(rng.permutation(in_pass)[index])
        rows.append(tokens[start : start + BLOCK + 1])
    return np.stack(rows).astype(np.int64)


def learning_rate_factor(step: int, steps: int) -> float:
    decay_from = steps * (1 - DECAY_SHARE)
    return min(1.0, (step + 1) / WARMUP_STEPS, max(0.0, (steps - step) / (steps - decay_from)))


def make_optimizers(model: GPTNeoXForCausalLM) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices, AdamW for embeddings, head, norms and biases."""
    matrices, rest = [], []
    for name, parameter in model.named_parameters():
        (matrices if parameter.ndim == 2 and ".layers." in name else rest).append(parameter)
    return [
        torch.optim.Muon(matrices, lr=MUON_LR, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=ADAM_LR, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
    ]


def mean_loss(model: GPTNeoXForCausalLM, ids: torch.Tensor, *, backward: bool) -> float:
    """Mean cross-entropy in nats of `ids` `[blocks, BLOCK + 1]`; the head goes 1024 positions at a time."""
    inputs, targets = ids[:, :-1], ids[:, 1:].flatten()
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.gpt_neox(inputs, use_cache=False).last_hidden_state
        leaf = hidden.detach().requires_grad_(backward)
        total = 0.0
        for h, y in zip(leaf.flatten(0, 1).split(1024), targets.split(1024), strict=True):
            loss = F.cross_entropy(model.lm_head(h).float(), y, reduction="sum") / len(targets)
            if backward:
                loss.backward()
            total += loss.item()
    if backward:
        hidden.backward(leaf.grad)
    return total


@torch.no_grad()
def held_out_losses(model: GPTNeoXForCausalLM, blocks: int) -> dict[str, float]:
    """Nats per token on the first `blocks` held-out blocks of each source."""
    losses = {}
    for name in ("stories", "public-domain"):
        tokens = load_tokens(name, "held-out").astype(np.int64)
        count = min(blocks, (len(tokens) - 1) // BLOCK)
        ids = np.stack([tokens[i * BLOCK : i * BLOCK + BLOCK + 1] for i in range(count)])
        parts = [
            (len(part), mean_loss(model, torch.from_numpy(part), backward=False)) for part in chunks(ids, 32)
        ]
        losses[name] = sum(n * loss for n, loss in parts) / count
    return losses


def chunks(array: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(array), size):
        yield array[start : start + size]


def train(steps: int, checkpoint_every: int) -> None:
    """Train, or go on from the last checkpoint, to `steps` steps."""
    torch.manual_seed(SEED)
    model = GPTNeoXForCausalLM(CONFIG)
    optimizers = make_optimizers(model)
    checkpoint = BUILD / "checkpoint.pt"
    step = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        step = state["step"]
        model.load_state_dict(state["model"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        print(f"going on from step {step}", flush=True)

    stories, public = load_tokens("stories", "train"), load_tokens("public-domain", "train")
    started, average = time.monotonic(), float("nan")
    first = step
    while step < steps:
        factor = learning_rate_factor(step, steps)
        for optimizer, rate in zip(optimizers, (MUON_LR, ADAM_LR), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        batch = np.concatenate(
            [
                blocks_from(stories, step * STORY_BLOCKS, STORY_BLOCKS, SEED),
                blocks_from(public, step * PUBLIC_BLOCKS, PUBLIC_BLOCKS, SEED),
            ]
        )
        loss = mean_loss(model, torch.from_numpy(batch), backward=True)
        if not math.isfinite(loss):
            raise SystemExit(f"loss {loss} at step {step}: the last checkpoint stands")
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        average = loss if math.isnan(average) else 0.98 * average + 0.02 * loss
        step += 1
        if step % 20 == 0:
            rate = (step - first) * batch[:, 1:].size / (time.monotonic() - started)
            print(f"step {step} loss {average:.4f} lr x {factor:.3f} {rate:.0f} tokens/s", flush=True)
        if step % checkpoint_every == 0 or step == steps:
            print(f"step {step} held out {held_out_losses(model, 64)}", flush=True)
            state = {
                "step": step,
                "model": model.state_dict(),
                "optimizers": [o.state_dict() for o in optimizers],
            }
            torch.save(state, checkpoint.with_suffix(".tmp"))
            checkpoint.with_suffix(".tmp").replace(checkpoint)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("data").add_argument("--corpora", type=Path, required=True)
    trainer = parts.add_parser("train")
    trainer.add_argument("--steps", type=int, default=4400)
    trainer.add_argument("--checkpoint-every", type=int, default=200)
    arguments = parser.parse_args()
    if arguments.part == "data":
        make_data(arguments.corpora)
    elif arguments.part == "train":
        train(arguments.steps, arguments.checkpoint_every)


if __name__ == "__main__":
    main()
