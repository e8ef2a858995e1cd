"""A prompt of turns: its tokens are those of the chat template, and each token knows its turn."""

from __future__ import annotations

import re
import threading
import tracemalloc
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenstui import LensError
from lenstui.model import confined
from lenstui.model.tokens import _BYTES, Prompt, encode
from lenstui.model.turns import end_of_turn
from lenstui.support.turns import Conversation, Turn
from tests.tiny.chat_templates import (
    CHATML,
    GEMMA,
    LLAMA_2,
    LLAMA_3,
    MISTRAL,
    PHI_3,
    QWEN_3,
    TEMPLATES,
    chat_tokenizer_of,
)
from tests.tiny.tiny_tokenizers import KINDS

NONE, SAID = -1, "said"
TEMPLATE = "template"


def turns(*said: str, **more: Any) -> Conversation:
    """Turns from `user: Hi` and the like."""
    pairs = [one.split(": ", 1) for one in said]
    return Conversation(tuple(Turn(role, content) for role, content in pairs), **more)


def pieces(tokenizer: Any, prompt: Prompt) -> list[tuple[str, int, str]]:
    """Runs of columns of one turn that are alike, as text."""
    columns = prompt.turns
    assert columns is not None
    assert columns.unknown == ""
    alike = [
        (turn, TEMPLATE if is_template else SAID)
        for turn, is_template in zip(columns.turns, columns.template, strict=True)
    ]
    return [
        ("".join(tokenizer.decode([prompt.ids[place]]) for place in places), *what)
        for what, group in groupby(range(len(prompt.ids)), key=alike.__getitem__)
        for places in [list(group)]
    ]


def said_in(tokenizer: Any, prompt: Prompt, count: int) -> list[str]:
    """What the columns of each turn say, of a tokenizer with one token a byte."""
    assert prompt.turns is not None
    raw = {tokenizer.convert_tokens_to_ids(piece): bytes([byte]) for piece, byte in _BYTES.items()}
    said = [b""] * count
    for token, turn, is_template in zip(prompt.ids, prompt.turns.turns, prompt.turns.template, strict=True):
        if not is_template:
            said[turn] += raw[token]
    return [text.decode() for text in said]


def test_chatml_with_a_system_prompt_of_its_own() -> None:
    tokenizer = chat_tokenizer_of(CHATML)
    prompt = encode(tokenizer, turns("user: Hi you", "assistant: Oh", "user: So?"))
    assert pieces(tokenizer, prompt) == [
        ("<|im_start|>system\nHelp.<|im_end|>\n", NONE, TEMPLATE),
        ("<|im_start|>user\n", 0, TEMPLATE),
        ("Hi you", 0, SAID),
        ("<|im_end|>\n", 0, TEMPLATE),
        ("<|im_start|>assistant\n", 1, TEMPLATE),
        ("Oh", 1, SAID),
        ("<|im_end|>\n", 1, TEMPLATE),
        ("<|im_start|>user\n", 2, TEMPLATE),
        ("So?", 2, SAID),
        ("<|im_end|>\n", 2, TEMPLATE),
        ("<|im_start|>assistant\n", 3, TEMPLATE),
    ]
    assert prompt.turns is not None
    assert [prompt.turns.role(column) for column in (0, 20, len(prompt.ids) - 1)] == ["", "user", "assistant"]


def test_chatml_with_a_given_system_prompt_and_an_unfinished_answer() -> None:
    tokenizer = chat_tokenizer_of(CHATML)
    prompt = encode(tokenizer, turns("system: Be kind.", "user: Hi ", "assistant: It is "), tail=(40, 1))
    assert pieces(tokenizer, prompt) == [
        ("<|im_start|>system\n", 0, TEMPLATE),
        ("Be kind.", 0, SAID),
        ("<|im_end|>\n", 0, TEMPLATE),
        ("<|im_start|>user\n", 1, TEMPLATE),
        ("Hi ", 1, SAID),
        ("<|im_end|>\n", 1, TEMPLATE),
        ("<|im_start|>assistant\n", 2, TEMPLATE),
        ("It is " + tokenizer.decode([40]), 2, SAID),
        ("<eos>", 2, TEMPLATE),
    ]
    assert prompt.appended == 2


def test_llama_3_trims_what_is_said_and_has_bos_once() -> None:
    tokenizer = chat_tokenizer_of(LLAMA_3)
    prompt = encode(tokenizer, turns("user: \n Hi \n\n", closed=True))
    assert pieces(tokenizer, prompt) == [
        ("<bos>", NONE, TEMPLATE),
        ("<|start_header_id|>user<|end_header_id|>\n\n", 0, TEMPLATE),
        ("Hi", 0, SAID),
        ("<|eot_id|>", 0, TEMPLATE),
    ]


def test_llama_2_has_the_system_prompt_within_the_users_turn() -> None:
    tokenizer = chat_tokenizer_of(LLAMA_2)
    said = turns("system: Be kind.", "user: Hi", "assistant: Oh", "user: [INST]?")
    assert pieces(tokenizer, encode(tokenizer, said)) == [
        ("<bos>[INST] <<SYS>>\n", 0, TEMPLATE),
        ("Be kind.", 0, SAID),
        ("\n<</SYS>>\n\n", NONE, TEMPLATE),
        ("Hi", 1, SAID),
        (" [/INST]", 1, TEMPLATE),
        (" ", 2, TEMPLATE),
        ("Oh", 2, SAID),
        (" <eos>", 2, TEMPLATE),
        ("<bos>[INST] ", 3, TEMPLATE),
        ("[INST]?", 3, SAID),
        (" [/INST]", 3, TEMPLATE),
    ]


def test_gemma_calls_the_assistant_model() -> None:
    tokenizer = chat_tokenizer_of(GEMMA)
    assert pieces(tokenizer, encode(tokenizer, turns("user: Hi", "assistant: Oh", closed=True))) == [
        ("<bos>", NONE, TEMPLATE),
        ("<start_of_turn>user\n", 0, TEMPLATE),
        ("Hi", 0, SAID),
        ("<end_of_turn>\n", 0, TEMPLATE),
        ("<start_of_turn>model\n", 1, TEMPLATE),
        ("Oh", 1, SAID),
        ("<end_of_turn>\n", 1, TEMPLATE),
    ]


def test_mistral_has_the_system_prompt_within_the_last_turn_of_the_user() -> None:
    tokenizer = chat_tokenizer_of(MISTRAL)
    said = turns("system: Be kind.", "user: Hi", "assistant: Oh", "user: So?")
    assert pieces(tokenizer, encode(tokenizer, said)) == [
        ("<bos>", NONE, TEMPLATE),
        ("[INST] ", 1, TEMPLATE),
        ("Hi", 1, SAID),
        ("[/INST]", 1, TEMPLATE),
        (" ", 2, TEMPLATE),
        ("Oh", 2, SAID),
        ("<eos>", 2, TEMPLATE),
        ("[INST] ", 0, TEMPLATE),
        ("Be kind.", 0, SAID),
        ("\n\n", NONE, TEMPLATE),
        ("So?", 3, SAID),
        ("[/INST]", 3, TEMPLATE),
    ]


def test_qwen_3_drops_earlier_reasoning_and_has_a_place_for_the_last() -> None:
    tokenizer = chat_tokenizer_of(QWEN_3)
    thought = "assistant: <think>\nHm, I\n</think>\n\nOh so"
    earlier = encode(tokenizer, turns("user: Hi", thought, "user: So?"))
    assert pieces(tokenizer, earlier) == [
        ("<|im_start|>user\n", 0, TEMPLATE),
        ("Hi", 0, SAID),
        ("<|im_end|>\n", 0, TEMPLATE),
        ("<|im_start|>assistant\n", 1, TEMPLATE),
        ("Oh so", 1, SAID),
        ("<|im_end|>\n", 1, TEMPLATE),
        ("<|im_start|>user\n", 2, TEMPLATE),
        ("So?", 2, SAID),
        ("<|im_end|>\n", 2, TEMPLATE),
        ("<|im_start|>assistant\n", 3, TEMPLATE),
    ]
    assert pieces(tokenizer, encode(tokenizer, turns("user: Hi", thought)))[3:] == [
        ("<|im_start|>assistant\n", 1, TEMPLATE),
        ("<think>\nHm, I\n</think>\n\nOh so", 1, SAID),
    ]
    off = encode(tokenizer, turns("user: Hi", thinking=False))
    assert pieces(tokenizer, off)[-1] == ("<|im_start|>assistant\n<think>\n\n</think>\n\n", 1, TEMPLATE)


def test_phi_3_ends_with_eos_only_where_nothing_is_begun() -> None:
    tokenizer = chat_tokenizer_of(PHI_3)
    assert pieces(tokenizer, encode(tokenizer, turns("user: Hi")))[1:] == [
        ("Hi", 0, SAID),
        ("<|end|>\n", 0, TEMPLATE),
        ("<|assistant|>\n", 1, TEMPLATE),
    ]
    closed = encode(tokenizer, turns("system: Be", "user: Hi", closed=True))
    assert pieces(tokenizer, closed)[-1] == ("<|end|>\n<eos>", 1, TEMPLATE)


OF_CHATS = {
    "one": (("user", "Hi you"),),
    "answered": (("user", "Hi <b>you</b>"), ("assistant", "Oh, no.")),
    "three": (("user", " Hi\n"), ("assistant", "<think>\nHm\n</think>\n\nOh"), ("user", "naïve 日本 😀")),
    "system": (("system", "Be kind."), ("user", "Hi you")),
    "all": (("system", "Be <i>kind</i>."), ("user", "Hi"), ("assistant", "Oh"), ("user", "So?")),
}
HAS_NO_SYSTEM = {"Gemma"}


@pytest.mark.parametrize("family", TEMPLATES)
@pytest.mark.parametrize("chat", OF_CHATS)
@pytest.mark.parametrize("ending", ["open", "closed"])
@pytest.mark.parametrize("thinking", [None, True, False])
def test_the_tokens_are_those_of_the_template(
    family: str, chat: str, ending: str, thinking: bool | None
) -> None:
    tokenizer, said = chat_tokenizer_of(TEMPLATES[family]), OF_CHATS[chat]
    conversation = Conversation(tuple(Turn(*each) for each in said), thinking, ending == "closed")
    if thinking is not None and family != "Qwen 3":
        with pytest.raises(LensError, match="has no thinking switch"):
            encode(tokenizer, conversation)
        return
    if family in HAS_NO_SYSTEM and said[0][0] == "system":
        with pytest.raises(LensError, match=r"cannot be applied: System role not supported\.$"):
            encode(tokenizer, conversation)
        return
    goes_on = ending == "open" and said[-1][0] == "assistant"
    theirs = tokenizer.apply_chat_template(
        [{"role": role, "content": content} for role, content in said],
        add_generation_prompt=ending == "open" and not goes_on,
        continue_final_message=goes_on,
        return_dict=False,
        **({} if thinking is None else {"enable_thinking": thinking}),
    )
    prompt = encode(tokenizer, conversation)
    assert list(prompt.ids) == theirs
    assert prompt.ids.count(0) == prompt.text.count("<bos>")
    for turn, content in enumerate(said_in(tokenizer, prompt, len(said))):
        assert content.strip() in said[turn][1]
        assert said[turn][1].split("</think>")[-1].strip() in content


# Words with tags, spaces and what templates write themselves.
CONTENTS = st.lists(
    st.sampled_from(["a", "user", "Be", " ", "\n", "\n\n", "<b>", "</think>", "<think>", "[INST]", "é", "]"]),
    min_size=1,
    max_size=8,
).map("".join)


@pytest.mark.parametrize("family", TEMPLATES)
@given(contents=st.lists(CONTENTS.filter(str.strip), min_size=1, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
def test_what_is_said_is_found_whatever_it_is(family: str, contents: list[str]) -> None:
    tokenizer = chat_tokenizer_of(TEMPLATES[family])
    said = tuple(Turn(("user", "assistant")[turn % 2], content) for turn, content in enumerate(contents))
    prompt = encode(tokenizer, Conversation(said, closed=True))
    assert prompt.turns is not None
    if prompt.turns.unknown:
        assert any("think>" in content for content in contents)  # only there a template looks into turns
        return
    for whole, content in zip(said_in(tokenizer, prompt, len(said)), contents, strict=True):
        if "think>" in content:
            rest = iter(content)  # a part may be dropped, and spaces and tags be the template's
            assert all(letter in rest for letter in re.sub(r"\s|</?think>", "", whole))
        else:
            assert whole.strip() == content.strip()
            assert whole in content


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tokenizer_says_where_its_tokens_are(kind: str) -> None:
    tokenizer = KINDS[kind]()
    tokenizer.chat_template = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
    prompt = encode(tokenizer, turns("user: the sky is blue", "assistant: it is the rain", closed=True))
    assert prompt.turns is not None
    assert prompt.turns.unknown == ""
    for turn, content in enumerate(("the sky is blue", "it is the rain")):
        ids = [
            token
            for token, of, is_template in zip(
                prompt.ids, prompt.turns.turns, prompt.turns.template, strict=True
            )
            if of == turn and not is_template
        ]
        assert "".join(tokenizer.decode(ids).split()).lower() == content.replace(" ", "")


def test_a_template_that_looks_into_turns_leaves_them_unknown() -> None:
    tokenizer = chat_tokenizer_of(
        "{% for m in messages %}{{ m.content | upper }}{{ '!' if 'Hi' in m.content }}{% endfor %}"
    )
    prompt = encode(tokenizer, turns("user: Hi"))
    assert prompt.text == "HI!"
    assert prompt.turns is not None
    assert (prompt.turns.turns, prompt.turns.template) == ((), ())
    assert prompt.turns.unknown == "the chat template changes the turns, or looks into them"
    assert prompt.turns.role(3) == ""


def test_a_tokenizer_without_places_leaves_turns_unknown() -> None:
    tokenizer = chat_tokenizer_of(CHATML)

    class Slow:
        is_fast = False

        def __getattr__(self, name: str) -> Any:
            return getattr(tokenizer, name)

        def __call__(self, text: str, **more: Any) -> Any:
            assert not more.pop("return_offsets_mapping")
            return tokenizer(text, **more)

    prompt = encode(Slow(), turns("user: Hi"))
    assert prompt.ids == encode(tokenizer, turns("user: Hi")).ids
    assert prompt.turns is not None
    assert prompt.turns.unknown == "this tokenizer does not say where in a text its tokens are"


def test_the_oldest_turns_go_where_the_context_is_shorter() -> None:
    tokenizer = chat_tokenizer_of(CHATML)
    said = ("system: Be.", "user: one", "assistant: two", "user: three", "assistant: four", "user: five")
    whole = encode(tokenizer, turns(*said))
    for kept in ((0, 3, 4, 5), (0, 5)):
        shorter = turns(*[said[turn] for turn in kept])
        theirs = encode(tokenizer, shorter).ids
        cut = encode(tokenizer, turns(*said), context=len(theirs) + 2, tail=(7, 8))
        assert cut.ids == (*theirs, 7, 8)
        assert cut.dropped == len(whole.ids) - len(theirs)
        assert cut.turns is not None
        assert cut.turns.left_out == tuple(turn for turn in range(6) if turn not in kept)
        assert cut.turns.conversation == turns(*said)
        assert {*cut.turns.turns} == {*kept, 6}
    with pytest.raises(LensError, match=rf"alone makes {len(theirs)} tokens, and the model reads 20"):
        encode(tokenizer, turns(*said), context=20)
    with pytest.raises(LensError, match="alone makes"):
        encode(tokenizer, turns("user: one"), context=5)


def test_a_chat_of_many_turns_is_cut_in_little_memory() -> None:
    """Each choice of turns was listed: 8 GB for 20,000."""
    tokenizer = chat_tokenizer_of(CHATML)
    said = turns(*["user: a"] * 3000)
    tracemalloc.start()
    cut = encode(tokenizer, said, context=200)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 16 << 20
    assert cut.turns is not None
    assert len(cut.turns.left_out) == 3000 - len({*cut.turns.turns} - {NONE, 3000})


def test_a_pair_that_belongs_together_stays_so() -> None:
    tokenizer = chat_tokenizer_of(LLAMA_2)  # which does not begin with the assistant
    said = ("user: one", "assistant: two", "user: three", "assistant: fo")
    cut = encode(tokenizer, turns(*said), context=len(encode(tokenizer, turns(*said)).ids) - 1)
    assert cut.turns is not None
    assert cut.turns.left_out == (0, 1)
    assert cut.ids == encode(tokenizer, turns(*said[2:])).ids


def test_a_template_that_refuses_says_why_on_one_line() -> None:
    tokenizer = chat_tokenizer_of(LLAMA_2)
    with pytest.raises(LensError, match=r"cannot be applied: Roles must alternate: user/assistant/user/…\.$"):
        encode(tokenizer, turns("user: Hi", "user: you"))
    broken = chat_tokenizer_of("{% for m in messages %}")
    with pytest.raises(LensError, match=r"cannot be applied: \w") as refused:
        encode(broken, turns("user: Hi"))
    assert "\n" not in str(refused.value)
    with pytest.raises(LensError, match="no chat template"):
        encode(chat_tokenizer_of(""), turns("user: Hi"))
    with pytest.raises(LensError, match="BOS is as the template has it"):
        encode(tokenizer, turns("user: Hi"), bos=True)


@pytest.mark.parametrize("in_thread", [False, True])
def test_a_template_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch, in_thread: bool) -> None:
    monkeypatch.setattr(confined, "SECONDS", 0.5)
    many = "{% for a in range(99999) %}" * 4 + "{% set b = a %}" + "{% endfor %}" * 4
    tokenizer = chat_tokenizer_of(f"{{{{ messages[0].content }}}}{many}")
    refused: list[str] = []

    def ask() -> None:
        with pytest.raises(LensError, match="cannot be applied: it took longer than") as error:
            encode(tokenizer, turns("user: Hi"))
        refused.append(str(error.value))

    if in_thread:
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    else:
        ask()
    assert len(refused) == 1


@pytest.mark.parametrize(
    ("family", "end"),
    [
        ("ChatML", "<|im_end|>"),
        ("Llama 3", "<|eot_id|>"),
        ("Llama 2", "</s>"),
        ("Gemma", "<end_of_turn>"),
        ("Mistral", "</s>"),
        ("Qwen 3", "<|im_end|>"),
        ("Phi 3", "<|end|>"),
    ],
)
@pytest.mark.parametrize("said", [("user: Hi",), ("user: Hi", "assistant: Oh")], ids=["begins", "goes on"])
def test_a_turn_ends_with_eos_or_the_templates_own_token(
    family: str, end: str, said: tuple[str, ...]
) -> None:
    tokenizer = chat_tokenizer_of(TEMPLATES[family])
    eos = tokenizer.eos_token_id
    own = eos if end == "</s>" else tokenizer.convert_tokens_to_ids(end)
    assert end_of_turn(tokenizer, turns(*said)) == {eos, own}


def test_smollm2_has_its_own_system_prompt(smollm2: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smollm2.parent, gguf_file=smollm2.name)
    said = turns("user: What is the capital of France?", "assistant: The capital")
    prompt = encode(tokenizer, said)
    theirs = tokenizer.apply_chat_template(said.messages, continue_final_message=True, return_dict=False)
    assert list(prompt.ids) == theirs
    (own, turn, what), *rest = pieces(tokenizer, prompt)
    assert own.startswith("<|im_start|>system\nYou are")
    assert (turn, what) == (NONE, TEMPLATE)
    assert rest == [
        ("<|im_start|>user\n", 0, TEMPLATE),
        ("What is the capital of France?", 0, SAID),
        ("<|im_end|>\n", 0, TEMPLATE),
        ("<|im_start|>assistant\n", 1, TEMPLATE),
        ("The capital", 1, SAID),
    ]
