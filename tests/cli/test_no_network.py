"""Nothing goes over the network unless it is asked for: whoever opens a socket is refused, and noted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.programs import ROOT
from tests.programs.fake_hub import fake, own_cache

__all__ = ["fake", "own_cache"]

# In every process that it starts, too: Python imports a module of this name first.
REFUSING = """
import os, socket
def refused(*words, **named):
    with open(os.environ["ASKED_FOR"], "a") as file:
        file.write(f"{words!r}\\n")
    raise OSError("no network")
class Closed(socket.socket):
    def connect(self, place):
        return super().connect(place) if self.family == socket.AF_UNIX else refused(place)
    connect_ex = connect
socket.socket, socket.getaddrinfo, socket.create_connection = Closed, refused, refused
"""
RUN = """
import json, sys
from lenstui.cli import main
sys.exit(max(main(words) for words in json.loads(sys.argv[1])))
"""


def asked_for(folder: Path, commands: list[list[str]]) -> tuple[int, str]:
    """Run commands without a network; the highest status, and what was asked of the network."""
    (folder / "refusing").mkdir()
    (folder / "refusing" / "sitecustomize.py").write_text(REFUSING)
    asked = folder / "asked"
    environment = {**os.environ, "ASKED_FOR": str(asked), "PYTHONPATH": f"{folder / 'refusing'}:{ROOT}"}
    for offline in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        environment.pop(offline, None)
    words = [sys.executable, "-c", RUN, json.dumps(commands)]
    done = subprocess.run(words, env=environment, cwd=folder, check=False, stdout=subprocess.DEVNULL)
    return done.returncode, asked.read_text() if asked.exists() else ""


def test_a_model_in_a_folder_is_worked_with_alone(neox_folder: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(f"the cat number {number} sat on the mat of a dog" for number in range(60)))
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "the cat sat"}\n')
    model, small = ["--model", str(neox_folder)], ["--max-tokens", "256"]
    lens = str(tmp_path / "a.pt")
    commands = [
        ["read", "the cat sat", *model],
        ["train", *model, "--data", str(text), "--steps", "2", "--seq-len", "32", "--save", lens],
        ["read", "--prompts", str(prompts), *model, "--lens", lens],
        ["eval", "--data", str(text), *model, "--lens", lens, *small],
        ["scan", str(tmp_path / "scan"), "--data", str(text), *model, *small],
        ["why", "the cat sat", *model],
        ["lenses"],
        ["paths"],
    ]
    assert asked_for(tmp_path, commands) == (0, "")


def test_the_bundled_model_is_there(tmp_path: Path) -> None:
    assert asked_for(tmp_path, [["read", "--demo", "Once upon a time"]]) == (0, "")
