"""Small tokenizers of every kind that models come with, made in memory from a few sentences."""

from __future__ import annotations

from functools import cache
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

SENTENCES = [
    "the sky is blue and the sea is blue",
    "a zebra is running in the unbelievable rain",
    "naïve café, 日本 😀",
    "don't stop: it's the end of the 1234 lines\n\nand the next",
    "Running zebras, RUNNING far; the blues",
] * 4

# As tiktoken's pattern for GPT-4 splits a text.
TIKTOKEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
    r"\s+(?!\S)|\s+"
)


def _fast(tokenizer: Tokenizer, **special: Any) -> Any:
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def _trained(tokenizer: Tokenizer, trainer: Any) -> Tokenizer:
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return tokenizer


def _behind(tokenizer: Tokenizer, template: str) -> None:
    """Special tokens that the tokenizer puts around a text: `<s> $A`."""
    names = [name for name in template.split() if name != "$A"]
    special = [(name, tokenizer.token_to_id(name)) for name in names]
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=special)


def byte_level(*, prefix_space: bool = False) -> Any:
    """GPT-2's kind: no BOS unless told."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    _trained(
        tokenizer,
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=["<|endoftext|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    return _fast(tokenizer, bos_token="<|endoftext|>", eos_token="<|endoftext|>")


def tiktoken() -> Any:
    """Llama-3's and Qwen's kind: tiktoken's split, forced BOS, reserved special tokens."""
    special = ["<|begin_of_text|>", "<|end_of_text|>", "<|reserved_0|>"]
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(TIKTOKEN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    _trained(
        tokenizer,
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        ),
    )
    _behind(tokenizer, "<|begin_of_text|> $A")
    return _fast(tokenizer, bos_token=special[0], eos_token=special[1])


def _metaspace(tokenizer: Tokenizer, scheme: str) -> None:
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme, split=True)
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.ByteFallback(),
            decoders.Metaspace(replacement="▁", prepend_scheme=scheme),
            decoders.Fuse(),
        ]
    )


_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def unigram(*, scheme: str = "always") -> Any:
    """SentencePiece's unigram model with byte fallback, forced BOS."""
    learned = Tokenizer(models.Unigram())
    learned.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme, split=True)
    _trained(
        learned,
        trainers.UnigramTrainer(
            vocab_size=90, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False
        ),
    )
    vocabulary_learned = learned.get_vocab()
    pieces = sorted(vocabulary_learned, key=vocabulary_learned.__getitem__)
    pieces = [piece for piece in pieces if piece not in "日本😀"]
    vocabulary = [(piece, 0.0) for piece in pieces[:3]] + [(byte, 0.0) for byte in _BYTES]
    vocabulary += [(piece, -float(3 + i / 10)) for i, piece in enumerate(pieces[3:])]
    vocabulary += [("▁blue", -1.0), ("blue", -1.5), ("▁", -4.0)]
    vocabulary = list(dict(vocabulary).items())
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0, byte_fallback=True))
    _metaspace(tokenizer, scheme)
    _behind(tokenizer, "<s> $A")
    return _fast(tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def word_piece(*, cased: bool = False) -> Any:
    """BERT's kind: `##` goes on with a word; a text stands between two special tokens."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=not cased)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    _trained(
        tokenizer, trainers.WordPieceTrainer(vocab_size=150, special_tokens=special, show_progress=False)
    )
    _behind(tokenizer, "[CLS] $A [SEP]")
    return _fast(
        tokenizer,
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        mask_token="[MASK]",
    )


def word_end() -> Any:
    """GPT-1's kind: `</w>` ends a word."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    _trained(
        tokenizer,
        trainers.BpeTrainer(
            vocab_size=200, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False
        ),
    )
    return _fast(tokenizer, unk_token="<unk>")


def added() -> Any:
    """Byte-level BPE with tokens added later: one swallows the spaces around it, two are plain text."""
    tokenizer = byte_level()
    tokenizer.add_tokens(
        [
            AddedToken("<|end|>", special=True, lstrip=True, rstrip=True),
            AddedToken("<think>", special=False, normalized=False),
            AddedToken("    ", special=False, normalized=False),
        ]
    )
    return tokenizer


KINDS = {
    "byte-level BPE": byte_level,
    "byte-level BPE, space in front": lambda: byte_level(prefix_space=True),
    "tiktoken": tiktoken,
    "unigram": unigram,
    "unigram, first": lambda: unigram(scheme="first"),
    "unigram, never": lambda: unigram(scheme="never"),
    "WordPiece": word_piece,
    "WordPiece, cased": lambda: word_piece(cased=True),
    "word end": word_end,
    "added tokens": added,
}


@cache
def tiny_tokenizer(kind: str) -> Any:
    return KINDS[kind]()
