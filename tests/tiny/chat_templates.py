"""Chat templates in the shapes of known models' families, and tokenizers that have them.

Each tokenizer has one token for each byte, and one for each special token of its template.
"""

from __future__ import annotations

import re
from typing import Any

from tests.tiny.byte_level import byte_level_tokenizer

# Each turn between the same two marks; a system prompt of its own where none is given.
CHATML = """\
{% if messages[0].role != 'system' %}<|im_start|>system
Help.<|im_end|>
{% endif %}{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}\
{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

# BOS once; what is said is trimmed.
LLAMA_3 = """\
{{ bos_token }}{% for m in messages %}\
{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim + '<|eot_id|>' }}\
{% endfor %}\
{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"""

# BOS and EOS around each pair of turns; the system prompt within the first of the user; roles must alternate.
LLAMA_2 = """\
{% if messages[0].role == 'system' %}{% set rest = messages[1:] %}{% set system = messages[0].content %}\
{% else %}{% set rest = messages %}{% set system = '' %}{% endif %}\
{% for m in rest %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}\
{{ raise_exception('Roles must alternate: user/assistant/user/…\\nSee the README.') }}{% endif %}\
{% if loop.first and system %}{% set said = '<<SYS>>\\n' + system + '\\n<</SYS>>\\n\\n' + m.content %}\
{% else %}{% set said = m.content %}{% endif %}\
{% if m.role == 'user' %}{{ bos_token + '[INST] ' + said | trim + ' [/INST]' }}\
{% else %}{{ ' ' + said | trim + ' ' + eos_token }}{% endif %}{% endfor %}"""

# No system prompt; the assistant is called `model`.
GEMMA = """\
{{ bos_token }}\
{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}\
{% for m in messages %}{% set role = 'model' if m.role == 'assistant' else m.role %}\
{{ '<start_of_turn>' + role + '\\n' + m.content | trim + '<end_of_turn>\\n' }}{% endfor %}\
{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"""

# The system prompt within the last turn of the user.
MISTRAL = """\
{% if messages[0].role == 'system' %}{% set system = messages[0].content %}{% set rest = messages[1:] %}\
{% else %}{% set system = '' %}{% set rest = messages %}{% endif %}{{ bos_token }}\
{% for m in rest %}{% if m.role == 'user' %}[INST] \
{{ system + '\\n\\n' if loop.last and system else '' }}{{ m.content }}[/INST]\
{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"""

# Reasoning of earlier turns is dropped; the last turn of the assistant has a place for it; a thinking switch.
QWEN_3 = """\
{% for m in messages %}{% if m.role == 'assistant' %}{% set reason = '' %}{% set said = m.content %}\
{% if '</think>' in said %}{% set reason = said.split('</think>')[0].split('<think>')[-1].strip('\\n') %}\
{% set said = said.split('</think>')[-1].lstrip('\\n') %}{% endif %}<|im_start|>assistant
{% if loop.last %}<think>
{{ reason }}
</think>

{% endif %}{{ said }}{% else %}{{ '<|im_start|>' + m.role + '\\n' + m.content }}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking is defined and enable_thinking is false %}<think>

</think>

{% endif %}{% endif %}"""

# EOS behind all where nothing is begun.
PHI_3 = """\
{% for m in messages %}{{ '<|' + m.role + '|>\\n' + m.content + '<|end|>\\n' }}{% endfor %}\
{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}"""

TEMPLATES = {
    "ChatML": CHATML,
    "Llama 3": LLAMA_3,
    "Llama 2": LLAMA_2,
    "Gemma": GEMMA,
    "Mistral": MISTRAL,
    "Qwen 3": QWEN_3,
    "Phi 3": PHI_3,
}
_SPECIAL = re.compile(r"<\|\w+\|>|<(?:start|end)_of_turn>")


def chat_tokenizer_of(template: str) -> Any:
    """Return a tokenizer with a template, whose special tokens are one token each."""
    tokenizer = byte_level_tokenizer()
    roles = [f"<|{role}|>" for role in ("system", "user", "assistant")] if "'<|' + m.role" in template else []
    tokenizer.add_special_tokens({"additional_special_tokens": [*_SPECIAL.findall(template), *roles]})
    tokenizer.chat_template = template
    return tokenizer
