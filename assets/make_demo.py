"""Make the bundled model: tokenizer, training, export.

    export MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000   # 1.3 x on glibc
    python assets/make_demo.py data   --corpora DIR    # tokenizer and token files, a minute
    python assets/make_demo.py train                   # hours on two cores; run it again to go on
    python assets/make_demo.py export                  # assets/demo/: float16 weights, model card, text
    python assets/make_demo.py lens                    # assets/demo/bundled.pt
    python assets/make_demo.py jacobian                # assets/demo/bundled-jacobian.pt, minutes

DIR holds `stories.parquet` and `public-domain.parquet`, each with a `text` column. Everything that is not
shipped stays in `assets/.build/`. The learning rate warms up, stays, and falls to zero over the last part
of `--steps`; until it begins to fall a run may be continued with another `--steps`.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast

if TYPE_CHECKING:
    from lenstui.lens.jacobian import JacobianLens

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

TEXT_TOKENS = 1_400_000  # of stories in the text that ships; an eighth as many of public-domain prose

CARD = """# The bundled model

A small GPT-NeoX (Pythia's architecture) that comes with lenstui, so that there is something real to look at
without a network: 6 blocks, d 192, 4 heads, {parameters:,} parameters, context 256, byte-level BPE of 4096
entries. Made by `assets/make_demo.py`; the weights are float16.

**Data.** 48 thousand simple English stories (36 million characters, sampled from stories15M, a story model
trained on TinyStories) and public-domain English (State of the Union speeches, Moby Dick; 12 million
characters), nine blocks of stories for each block of the other. Every hundredth document was held out.

**Training.** {steps:,} steps of 8,192 tokens, {tokens:,} tokens in all; Muon for the blocks' matrices,
AdamW for the rest; learning rate constant, then falling linearly to zero; bfloat16 products on two CPU cores.

**Held-out loss**, of the float16 weights read in float32:

| text | nats per token | bits per byte |
|---|---|---|
{table}

**Greedy continuations**, as they are:

{continuations}

`text.parquet` ({text_bytes:,} bytes, column `text`) holds stories and public-domain prose from the training
data, for fitting a lens. The model writes simple stories and nothing else; use it for looking inside only.
MIT licence, like lenstui.
"""

LENS_CARD = """
## Tuned lens

`bundled.pt`, by `lenstui train --demo --preset standard`: the closed form, then {steps:,} steps, {tokens:,}
tokens of `text.parquet` in all. KL(final ‖ lens), nats, mean over {held_out:,} tokens of held-out stories:

| row | logit lens | tuned lens |
|---|---|---|
{table}
"""

JACOBIAN_CARD = """
## Jacobian lens

`bundled-jacobian.pt`, by `lenstui train --demo --kind jacobian --n-prompts {prompts}`: the first {cols}
tokens of {prompts} documents of `text.parquet`, the first {skipped} and the last one of them left out; its
matrices are rounded to float16. Convergence, the share of the top 10 tokens on held-out documents that
lenses of the even and of the odd prompts have in common:

| row | convergence |
|---|---|
{table}
"""


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


def export() -> None:
    """Write the trained model as float16, its text and its model card into `assets/demo/`."""
    state = torch.load(BUILD / "checkpoint.pt", weights_only=True)
    trained = GPTNeoXForCausalLM(CONFIG)
    trained.load_state_dict(state["model"])
    trained.half().save_pretrained(DEMO)
    write_text()

    model = GPTNeoXForCausalLM.from_pretrained(DEMO, dtype=torch.float32).eval()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(DEMO)
    losses = held_out_losses(model, blocks=10_000)
    (DEMO / "README.md").write_text(
        CARD.format(
            parameters=sum(p.numel() for p in model.parameters()),
            steps=state["step"],
            tokens=state["step"] * (STORY_BLOCKS + PUBLIC_BLOCKS) * BLOCK,
            table="\n".join(loss_line(name, loss, tokenizer) for name, loss in losses.items()),
            continuations="\n".join(f"- {continued(model, tokenizer, prompt)}" for prompt in GREEDY_PROMPTS),
            text_bytes=(DEMO / "text.parquet").stat().st_size,
        ),
        encoding="utf-8",
    )


def loss_line(name: str, loss: float, tokenizer: PreTrainedTokenizerFast) -> str:
    """A row of the card's table: nats per token, and bits per byte of the held-out text."""
    tokens = load_tokens(name, "held-out")
    size = len(tokenizer.decode(tokens.tolist(), skip_special_tokens=True).encode())
    return f"| {name} | {loss:.3f} | {loss * len(tokens) / size / math.log(2):.3f} |"


def continued(model: GPTNeoXForCausalLM, tokenizer: PreTrainedTokenizerFast, prompt: str) -> str:
    """A prompt and its greedy continuation by 40 tokens, as Markdown on one line."""
    ids = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
    output = model.generate(**ids, max_new_tokens=40, do_sample=False, pad_token_id=0)[0]
    text = tokenizer.decode(output[ids["input_ids"].shape[1] :], skip_special_tokens=True)
    return f"**{prompt}**{' '.join(text.split(chr(10)))}"


def write_text() -> None:
    """The text that ships: trained-on documents of both sources, for fitting a lens with no download."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(DEMO)
    documents_of = {
        name: tokenizer.decode(load_tokens(name, "train")[:count].tolist()).split(EOS)[:-1]
        for name, count in (("stories", TEXT_TOKENS), ("public-domain", TEXT_TOKENS // 8))
    }
    texts = [text for texts in documents_of.values() for text in texts]
    order = np.random.default_rng(SEED).permutation(len(texts))
    table = pa.table({"text": [texts[i] for i in order]})
    pq.write_table(table, DEMO / "text.parquet", compression="zstd", compression_level=19)


def make_lens() -> None:
    """Fit the bundled lens with the preset `standard`, and judge it on stories that nothing has seen."""
    from lenstui.fitting.fit import FitPlan, begin, fitted_lens
    from lenstui.fitting.loop import fit_steps
    from lenstui.fitting.options import preset
    from lenstui.lens import evaluate, load, save_lens
    from lenstui.texts.documents import Documents

    model = load(str(DEMO))
    fit = begin(model, FitPlan(preset("standard"), Documents((str(DEMO / "text.parquet"),))))
    measured = -1
    for now in fit_steps(fit):
        if now.measured_step > measured and now.held_out_kl is not None:
            measured = now.measured_step
            print(f"step {measured} held-out KL {now.held_out_kl.mean():.3f} {now.seconds:.0f} s", flush=True)
    lens = fitted_lens(fit)  # its config has the model's fingerprint, by which it opens without a word
    lens = replace(lens, config={**lens.config, "base_model_name_or_path": "bundled model"}, name="bundled")
    save_lens(lens, DEMO / "bundled.pt")

    held_out = load_tokens("stories", "held-out").astype(np.int64)[: 64 * BLOCK]
    quality = evaluate(model, torch.from_numpy(held_out).split(BLOCK), lens)
    rows = zip(
        ("emb", *map(str, range(model.num_blocks - 1))),
        quality["logit"].kl,
        quality["tuned"].kl,
        strict=False,
    )
    table = "\n".join(f"| {row} | {logit:.3f} | {tuned:.3f} |" for row, logit, tuned in rows)
    card = (DEMO / "README.md").read_text(encoding="utf-8").partition("\n## Tuned lens")[0]
    section = LENS_CARD.format(
        tokens=lens.fit["tokens"], steps=lens.fit["steps"], held_out=len(held_out), table=table
    )
    (DEMO / "README.md").write_text(card + section, encoding="utf-8")


def make_jacobian_lens() -> None:
    """Fit the bundled Jacobian lens with the defaults."""
    from lenstui.fitting.jacobian.fitted import begin, fitted_lens
    from lenstui.fitting.jacobian.loop import jacobian_steps
    from lenstui.fitting.jacobian_options import JacobianOptions
    from lenstui.fitting.plan import FitPlan
    from lenstui.lens import load
    from lenstui.texts.documents import Documents

    plan = FitPlan(JacobianOptions(), Documents((str(DEMO / "text.parquet"),)))
    fit = begin(load(str(DEMO)), plan)
    measured = 0
    for now in jacobian_steps(fit):
        if now.measured_step > measured and now.convergence is not None:
            measured = now.measured_step
            print(f"prompt {measured} convergence {now.convergence.round(2)} {now.seconds:.0f} s", flush=True)
    store_jacobian_lens(fitted_lens(fit))


def store_jacobian_lens(lens: JacobianLens) -> None:
    """Write a Jacobian lens of the bundled model as float16, and its section of the model card."""
    from lenstui.lens import save_lens
    from lenstui.model.rows import Row

    lens = replace(
        lens,
        matrices={row: matrix.half() for row, matrix in lens.matrices.items()},
        config={**lens.config, "base_model_name_or_path": "bundled model"},
    )
    save_lens(lens, DEMO / "bundled-jacobian.pt")
    rows = zip(lens.matrices, lens.fit["convergence"], strict=True)
    section = JACOBIAN_CARD.format(
        prompts=lens.fit["n_prompts"],
        cols=lens.fit["seq_len"],
        skipped=lens.fit["skip_first"],
        table="\n".join(f"| {Row(row).label} | {share:.3f} |" for row, share in rows),
    )
    card = (DEMO / "README.md").read_text(encoding="utf-8").partition("\n## Jacobian lens")[0]
    (DEMO / "README.md").write_text(card + section, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("data").add_argument("--corpora", type=Path, required=True)
    trainer = parts.add_parser("train")
    trainer.add_argument("--steps", type=int, default=4400)
    trainer.add_argument("--checkpoint-every", type=int, default=200)
    parts.add_parser("export")
    parts.add_parser("lens")
    parts.add_parser("jacobian")
    arguments = parser.parse_args()
    if arguments.part == "data":
        make_data(arguments.corpora)
    elif arguments.part == "train":
        train(arguments.steps, arguments.checkpoint_every)
    elif arguments.part == "export":
        export()
    elif arguments.part == "lens":
        make_lens()
    else:
        make_jacobian_lens()


if __name__ == "__main__":
    main()
