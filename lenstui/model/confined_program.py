"""What runs in the child process of `lenstui.model.confined`: chat templates, and tries of tokenizers.

It takes an order a line, as JSON, and answers each with a line: `{"result"}`, or `{"error"}`, a clause. It
ends with its input, and by itself where an order takes too much time of the processor.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lenstui.support.errors import first_clause

MEGABYTES = 512  # that an order may take
_SECONDS = 10  # of the processor for an order; the parent has less patience, but may be gone
_LONGEST = 16 << 20  # characters of a text that a template makes


def render(order: dict[str, Any]) -> str:
    """Return the text that a chat template makes of messages, as transformers has it.

    Args:
        order: the `template`, the `messages`, what the template may name (`names`), whether the answer is
            begun (`begins_answer`) or the last message goes on (`goes_on`).
    """
    from transformers.utils.chat_template_utils import render_jinja_template

    (text,), _ = render_jinja_template(
        conversations=[order["messages"]],
        chat_template=order["template"],
        add_generation_prompt=order["begins_answer"],
        continue_final_message=order["goes_on"],
        **order["names"],
    )
    if len(text) > _LONGEST:
        raise ValueError(f"it makes more than {_LONGEST >> 20} million characters of it")
    return str(text)


def tokenize(order: dict[str, Any]) -> None:
    """Read a tokenizer's file, and cut texts into tokens and back.

    Args:
        order: the path of the `file`, and the `texts`.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(order["file"])
    for text in order["texts"]:
        tokenizer.decode(tokenizer.encode(text).ids)


_ORDERS: dict[str, Callable[[dict[str, Any]], Any]] = {"render": render, "tokenize": tokenize}


def answer(order: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to an order: its result, or why there is none."""
    try:
        return {"result": _ORDERS[order["do"]](order) if order else None}
    except MemoryError:
        return {"error": f"it took more than {MEGABYTES} MB of memory"}
    except RecursionError:
        return {"error": "it is nested too deep"}
    except BaseException as error:  # panics of Rust are no `Exception`; the parent's message says what failed
        return {"error": first_clause(error)}


def _hold_memory() -> None:
    """Have the system refuse memory beyond what is in use and `MEGABYTES`; macOS does not do so."""
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
        most = pages * resource.getpagesize() + (MEGABYTES << 20)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _hold_time() -> None:
    """Have the system end this process if the next order takes more than its time of the processor."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    most = int(used.ru_utime + used.ru_stime) + 1 + _SECONDS
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (most, hard))


def main() -> None:
    """Answer orders until the parent closes the input."""
    answers, sys.stdout = sys.stdout, sys.stderr  # a library may print
    # Imported before memory is held: what they take is theirs.
    import tokenizers  # noqa: F401
    import transformers.utils.chat_template_utils  # noqa: F401

    _hold_memory()
    for line in sys.stdin.buffer:
        _hold_time()
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
