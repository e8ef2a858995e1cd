"""What a model's files have a library do: no template and no tokenizer takes time or memory without end."""

from __future__ import annotations

import json
import resource
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lenstui.lens import LensError, load
from lenstui.model import confined
from lenstui.model.chat_template import templated
from lenstui.model.tokenizer_file import MOST, growth, is_usual
from lenstui.support.errors import LONGEST_MESSAGE
from tests.tiny.chat_templates import TEMPLATES, chat_tokenizer_of
from tests.tiny.folders import llama_in
from tests.tiny.tiny_tokenizers import KINDS, TIKTOKEN, tiny_tokenizer

SAID = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "you"}]
DOUBLED = "{% set n = namespace(x='abc') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}"


@pytest.fixture(autouse=True)
def little_is_taken() -> Iterator[None]:
    """In this process; what a child takes is its own."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB


# ── chat templates ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("family", TEMPLATES)
def test_a_template_says_in_the_child_what_it_says_here(family: str) -> None:
    tokenizer = chat_tokenizer_of(TEMPLATES[family])
    for answer, said in ((True, SAID[:1]), (False, SAID)):
        theirs = tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=answer)
        assert templated(tokenizer, said, begins_answer=answer) == theirs
    theirs = tokenizer.apply_chat_template(SAID, tokenize=False, continue_final_message=True)
    assert templated(tokenizer, SAID, goes_on=True) == theirs


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ 'x' * 10 ** 10 }}", "more than 512 MB of memory"),
        ("{{ '%10000000000d' % 1 }}", "more than 512 MB of memory"),
        ("{{ [0] * 10 ** 9 }}", "more than 512 MB of memory"),
        (DOUBLED, "more than 512 MB of memory"),
        ("{{ 'x' * 20000000 }}", "more than 16 million characters"),
        ("{{" * 100_000, "nested too deep"),
        ("{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(1) }}", "nested too deep"),
        ("{{ raise_exception('\x1b[2J\u202e' ~ 'a' * 100000) }}", r"\x1b[2J\u202eaaa"),
        ("{{ lipsum(10 ** 9) }}", "longer than 1 s"),
    ],
    ids=["product", "format", "list", "doubled", "long", "deep", "endless", "refusal", "slow"],
)
def test_a_template_that_would_take_all(template: str, why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A busy machine is no failure.
    monkeypatch.setattr(confined, "SECONDS", 1.0 if "longer than" in why else 60.0)
    tokenizer = chat_tokenizer_of(template)
    with pytest.raises(LensError, match="cannot be applied") as refused:
        templated(tokenizer, SAID)
    assert why in str(refused.value)
    assert len(str(refused.value)) <= LONGEST_MESSAGE
    monkeypatch.undo()
    tokenizer.chat_template = "{{ messages[0].content }}"
    assert templated(tokenizer, SAID) == "Hi"


def test_another_child_is_started_where_one_was_ended() -> None:
    tokenizer = chat_tokenizer_of("{{ messages[0].content }}")
    assert templated(tokenizer, SAID) == "Hi"
    process = confined._child._process
    assert process is not None
    process.kill()
    process.wait()
    assert templated(tokenizer, SAID) == "Hi"
    assert confined._child._process is not process


# ── tokenizers ───────────────────────────────────────────────────────────────────────────────────────────


def replaced(pattern: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"String": pattern}, "content": content}


def split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


GROWING = {"type": "Sequence", "normalizers": [replaced("a", "aa")] * 30}
ADDED = {"id": 300, "content": "a", "normalized": True, "special": False} | dict.fromkeys(
    ("single_word", "lstrip", "rstrip"), False
)
BYTES = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"normalizer": GROWING}, "may make a text 3e+09 times as long"),
        # The library writes its added tokens as the normalizer has them, when it reads the file.
        ({"normalizer": GROWING, "added_tokens": [ADDED]}, "may make a text 3e+09"),
        ({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [BYTES] * 20}}, "may make a text 3e+09"),
        ({"decoder": {"type": "Sequence", "decoders": [replaced("a", "aa")] * 30}}, "may make a token 1e+09"),
        ({"pre_tokenizer": split(r"(a+)+$")}, "has a pattern that was tried on 1000 equal characters"),
    ],
    ids=["normalizer", "added token", "bytes of bytes", "decoder", "pattern"],
)
def test_a_tokenizer_that_would_take_all(
    byte_tokenizer: Any, tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    folder = llama_in(tmp_path / "model", byte_tokenizer)
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | changes | {"added_tokens": changes.get("added_tokens", [])}))
    began = time.monotonic()
    with pytest.raises(LensError) as refused:
        load(folder)
    assert time.monotonic() - began < 30
    assert why in str(refused.value)
    shutil.copy(file, folder / "tokenizer.4.0.json")
    file.write_text(json.dumps(content))
    with pytest.raises(LensError, match=r"tokenizer\.4\.0\.json"):
        load(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_steps_of_known_kinds_are_far_from_the_limit(kind: str) -> None:
    content = json.loads(tiny_tokenizer(kind).backend_tokenizer.to_str())
    steps = growth(content["normalizer"]) * growth(content["pre_tokenizer"]), growth(content["decoder"])
    assert max(steps) * 20 < MOST


def test_growth_is_no_less_than_what_the_library_makes() -> None:
    from tokenizers import normalizers

    steps: list[tuple[dict[str, Any], str]] = [
        (replaced("ab", "abcdef"), "abab"),
        (replaced("", "xy"), "abc"),
        ({"type": "Replace", "pattern": {"Regex": "q*"}, "content": "xy"}, "abc"),
        ({"type": "Replace", "pattern": {"Regex": "[a-c]{2,}"}, "content": "xyzxyz"}, "ababqba"),
        ({"type": "Prepend", "prepend": "▁"}, "a"),
        ({"type": "NFKD"}, "\ufdfa"),
        ({"type": "Lowercase"}, "İȺ"),
        ({"type": "ByteLevel"}, "é\xff"),
    ]
    for step, text in steps:
        made = getattr(normalizers, step["type"])(*_arguments(step)).normalize_str(text)
        assert len(made.encode()) <= growth(step) * len(text.encode()), step


def _arguments(step: dict[str, Any]) -> list[Any]:
    from tokenizers import Regex

    if step["type"] == "Replace":
        pattern = step["pattern"]
        return [Regex(pattern["Regex"]) if "Regex" in pattern else pattern["String"], step["content"]]
    return [step["prepend"]] if step["type"] == "Prepend" else []


@pytest.mark.parametrize(
    ("pattern", "usual"),
    [
        (TIKTOKEN, True),
        (r"'s|'t| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", True),
        (r" ?[^(\s|[.,!?])]+", True),
        (" {2,}", True),
        (r"(a+)+$", False),
        (r"(?:a|aa){2,}", False),
        (r"a*a*[|]a*b", False),
        (r"(a*|b*)(a*|c*)", False),
        (r"(a)\1", False),
        (r"a{1,}a{2,}a{3,}b", False),
    ],
)
def test_which_patterns_are_tried(pattern: str, usual: bool) -> None:
    assert is_usual(pattern) is usual
