"""Memory that runs out in the middle of any work: one line that says what to do, and all else goes on."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.programs.calls import status

SAID = (
    "CUDA out of memory. Tried to allocate 64.00 MiB. GPU 0 has a total capacity of 79.11 GiB of which 17.88 "
    "MiB is free. If reserved but unallocated memory is large try setting PYTORCH_ALLOC_CONF."
)
PROMPT, BLOCKS = "Try a shorter prompt.", "Try a smaller --seq-len."
FIT = "choose a smaller --seq-len, --dtype bfloat16 or another --device."


@pytest.fixture
def text(tmp_path: Path) -> Path:
    pick, file = random.Random(0), tmp_path / "text.txt"
    file.write_text("\n\n".join(" ".join(pick.choices(("the", "cat", "sat"), k=20)) for _ in range(60)))
    return file


@pytest.fixture
def short_of_memory(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Have every pass of a model fail, once one is open."""
    from transformers.models.gpt_neox.modeling_gpt_neox import GPTNeoXModel

    from lenstui.opening import opened

    forward, open_model = GPTNeoXModel.forward, opened.open_model
    failing: list[BaseException] = []
    is_open = False

    def no_room(*arguments: Any, **options: Any) -> Any:
        if is_open:
            raise failing[0]
        return forward(*arguments, **options)

    def opened_then(*arguments: Any, **options: Any) -> Any:
        nonlocal is_open
        found = open_model(*arguments, **options)
        is_open = True
        return found

    monkeypatch.setattr(GPTNeoXModel, "forward", no_room)
    monkeypatch.setattr(opened, "open_model", opened_then)
    return failing.append


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (("read", "the cat"), PROMPT),
        (("why", "the cat"), PROMPT),
        (("trace", "the cat", "the dog", "--metric", "kl"), PROMPT),
        (("eval",), BLOCKS),
        (("scan", "records"), BLOCKS),
        (("train", "--save", "lens.pt"), FIT),
        (("train", "--kind", "jacobian", "--seq-len", "20", "--skip-first", "4", "--save", "lens.pt"), FIT),
    ],
)
@pytest.mark.parametrize("kind", ["torch", "MemoryError"])
def test_a_command_says_what_to_do(
    words: tuple[str, ...],
    advice: str,
    kind: str,
    neox_folder: Path,
    text: Path,
    short_of_memory: Callable[[BaseException], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from torch import OutOfMemoryError

    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    short_of_memory(MemoryError() if kind == "MemoryError" else OutOfMemoryError(SAID))
    of_text = () if words[0] in {"read", "why", "trace"} else ("--data", text)
    assert status(*words, *of_text, "--model", neox_folder) == 1
    captured = capsys.readouterr()
    last = captured.err.splitlines()[-1].partition(" To go on: ")[0]
    assert last.startswith("lenstui: ")
    assert last.endswith(advice)
    assert "memory" in last.lower()
    assert "PYTORCH_ALLOC_CONF" not in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert [path for path in Path().rglob("*") if path.suffix in {".pt", ".parquet"}] == []
