"""A model whose tokens, name and chat template would take a terminal over, and a lens and files like it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

# What a terminal would act on, show in another place, or not at all; and what a spreadsheet would run.
HOSTILE = (
    "\x1b[2J",
    "\x1b]0;owned\x07",
    "\x1b]52;c;aGk=\x07",
    "\x1b]8;;http://example.org\x1b\\here",
    "\x1bPq#0\x1b\\",
    "\x1b[6n",
    "\x9b31m",
    "\x9d0;owned\x9c",
    "\x00\x07\x08\x7f",
    "\r\nnew\x0b\x0c\x85",
    "\u2028\u2029",
    "\u202eevil",
    "\u2066\u2069\u061c\u200e\u200f",
    "\u200b\u2060\ufeff\xad\u180e",
    "a\u200db",
    "\u3164\u115f\u034f\ufe0f",
    "\U000e0041\U000e007f",
    "\ue000\uffff\U0001d173",
    "\u0301" * 50,
    "e" + "\u0301" * 50,
    "[red]no[/red]",
    "=cmd|' /C calc'!A0",
    "日本\u0301",
    "\U0001f469\u200d\U0001f680",
)
REMARK = "".join(HOSTILE[:7]) + "\u202e\u200b" + HOSTILE[-5]
NAME = "m\x1b]0;owned\x07\x9b31m\u202e\u200bd"
# What the name of a file or folder may hold, much of it invisible; the last is a space that is none.
FILE = "f\x1b]52;c;aGk=\x07\u202e\u200b\u3164e" + "\u0301" * 12 + "\x9b2J\xa0"
COPIES = 4
PLAIN = ("<s>", "</s>", "<unk>", "the", "cat", "mat")
WORDS = (*PLAIN, *(f"{text}{copy}" for copy in range(COPIES) for text in HOSTILE))
PROMPT = " ".join(["the", *WORDS[len(PLAIN) : len(PLAIN) + len(HOSTILE)], "cat"])
# It refuses in the words that the user gave it, and more.
TEMPLATE = (
    "{% for m in messages %}{% if 'refuse' in m.content %}"
    "{{ raise_exception('no \x1b]52;c;aGk=\x07\u202e' ~ m.content) }}"
    "{% endif %}{{ m.role }} {{ m.content }} \x1b]0;owned\x07 {% endfor %}"
)


def hostile_model_in(place: Path) -> Path:
    """Write a random Llama, whose tokens are words, into a folder with a hostile name, and return that."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    ids = {word: number for number, word in enumerate(WORDS)}
    fast = Tokenizer(models.WordLevel(vocab=ids, unk_token="<unk>"))
    fast.pre_tokenizer = pre_tokenizers.CharDelimiterSplit(" ")
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_object=fast, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=64,
    )
    folder = place / NAME
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def hostile_lens_in(place: Path) -> Path:
    """Write a lens with hostile remarks and a hostile name into a folder, and return its path."""
    import torch

    from lenstui.lens import TunedLens, save_lens

    file = place / f"l{REMARK[:12]}\u202e.pt"
    fit = {"preset": REMARK, "data": [REMARK], REMARK: 1}
    save_lens(TunedLens(torch.zeros(2, 32, 32), torch.zeros(2, 32), remarks=(REMARK,), fit=fit), file)
    return file


def hostile_place_in(place: Path) -> Path:
    """Fill a folder with the model, its lens, a table of prompts, turns and a text, and return it."""
    hostile_model_in(place)
    (place / "lenstui" / "lenses").mkdir(parents=True)
    hostile_lens_in(place / "lenstui" / "lenses")
    with (place / "prompts.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["prompt", "target", "group", f"x{REMARK}"])
        lines.writerows(
            [f"the {text}0 cat", WORDS[9], f"of {HOSTILE[at % 2]}\u202e", "y"]
            for at, text in enumerate(HOSTILE[:7])
        )
    turns = [
        {"role": "system", "content": PROMPT},
        {"role": "user", "content": f"the {REMARK}"},
        {"role": "assistant", "content": f"{HOSTILE[11]} cat {HOSTILE[15]}"},
    ]
    (place / "turns.json").write_text(json.dumps(turns))
    for name in ("text\x1b[2J.txt", f"{FILE}.txt"):
        (place / name).write_text("\n\n".join([f"{PROMPT} " * 2] * 20))
    return place
