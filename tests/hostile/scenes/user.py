"""Who sits before the program: what they press, what they wait for, and how all is as at first again."""

from __future__ import annotations

import json
import random
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tests.hostile.on_screen import is_home
from tests.programs.fresh import Fresh
from tests.programs.pty_terminal import ENTER, ESC, TAB, Terminal

UP, DOWN, RIGHT, LEFT, HOME, END, BACK_TAB = (f"\x1b[{key}" for key in "ABCDHFZ")
CLEAR = "\x15"  # Ctrl+U
WORDS = ("the", "little", "dog", "saw", "a", "big", "red", "ball", "in", "park", "and", "she", "was", "happy")
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
SIZE = (120, 40)


def model_for(folder: Path, model: Path) -> Path:
    """Return a copy of a model in a folder, with a chat template, so that it can be asked in turns."""
    copy = folder / "stories"
    shutil.copytree(model, copy)
    copy.chmod(0o755)
    settings = copy / "tokenizer_config.json"
    said = {**json.loads(settings.read_text()), "chat_template": TEMPLATE}
    settings.unlink()
    settings.write_text(json.dumps(said))
    return copy


def start(folder: Path, model: Path, *words: str) -> Terminal:
    """Start the program in a folder that has all that it keeps and writes."""
    (folder / "tmp").mkdir(exist_ok=True)
    width, height = SIZE
    environment = {"HOME": str(folder), "TMPDIR": str(folder / "tmp"), "COLUMNS": "", "LINES": ""}
    words = (*words, "--model", str(model))
    return Terminal(Fresh(folder), [*words], folder, width=width, height=height, environment=environment)


@dataclass
class User:
    """Who sits before the program.

    Attributes:
        terminal: where the program runs.
        model: the folder of the model that scenes begin with.
        folder: where the program keeps and writes everything.
        pick: what is chosen by chance.
    """

    terminal: Terminal
    model: Path
    folder: Path
    pick: random.Random
    _serial: int = field(default=0, init=False)

    def press(self, *keys: str) -> None:
        """Press keys, looking at the screen after each."""
        for key in keys:
            self.terminal.press(key)
            self.terminal.read(0.1)

    def type(self, text: str) -> None:
        """Type, or paste where it is long, a text."""
        content = f"\x1b[200~{text}\x1b[201~" if len(text) > 200 else text
        for begin in range(0, len(content), 512):
            self.press(content[begin : begin + 512])

    def see(self, *texts: str) -> str:
        """Wait until all texts, regular expressions, are on screen at once; the last one's match."""

        def found() -> list[re.Match[str] | None]:
            shown = self.terminal.text
            return [re.search(text, shown) for text in texts]

        self.terminal.until(lambda: all(found()))
        last = found()[-1]
        return "" if last is None else last.group()

    def gone(self, text: str) -> None:
        """Wait until a text, a regular expression, is not on screen."""
        self.terminal.until(lambda: re.search(text, self.terminal.text) is None)

    @property
    def is_home(self) -> bool:
        """Whether Explore is in front, and nothing before it."""
        return is_home(self.terminal.text)

    def home(self) -> None:
        """Go back to Explore."""
        for _ in range(8):
            self.terminal.calm()
            if self.is_home:
                return
            self.press(ESC)
        self.terminal.until(lambda: self.is_home)

    def words(self, count: int) -> str:
        """Some words that no scene has typed before."""
        self._serial += 1
        return " ".join([*self.pick.choices(WORDS, k=count), str(self._serial)])

    def read(self, text: str) -> None:
        """Have a prompt read."""
        self.press("i", END, CLEAR)
        self.type(text)
        self.press(ENTER)
        self.see(r"\d tokens · \d", rf"\b{text.rsplit(maxsplit=1)[-1]} *│\n")

    def open(self, name: str, *before: str) -> None:
        """Open the model of a name."""
        self.press("m")
        self.see("open a model", "where +size")
        self.type(name)
        self.press(*before)
        self.terminal.calm()
        self.press(ENTER)
        self.gone("open a model")

    @property
    def panes(self) -> list[str]:
        """What the panes are of: lens, prompt, model or edits."""
        edges = [line for line in self.terminal.text.splitlines() if line.startswith("╭─")]
        return re.findall(r"╭─ (.*?) ─*(?=╮)", edges[1])

    def alone(self) -> None:
        """Leave one side."""
        for _ in range(6):
            if len(self.panes) > 1:
                before = len(self.panes)
                self.press("-")
                self.terminal.calm()
                if len(self.panes) == before:  # the open model is on the first side, and stays there
                    self.press(TAB)

    def restored(self) -> None:
        """Open the model that scenes begin with, through logit and tuned lens side by side, as at first."""
        for _ in range(6):
            if "edited" not in self.terminal.calm():
                break
            self.press("W")
            self.see("─ edits of")
            self.press(TAB, "x", "x", ESC)
            self.home()
            self.press(TAB)  # it may be another side
        self.alone()
        self.open(str(self.model))
        self.see("lenstui  stories · .*wiring ok", r"\d tokens · \d")
        self.alone()
        for kind in ("logit", "tuned"):
            for _ in range(6):
                if self.panes[-1].startswith(f"{kind} lens"):
                    break
                self.press("L")
                self.terminal.calm()
            if kind == "logit":
                self.press("+")
                self.terminal.until(lambda: len(self.panes) == 2)
                self.terminal.calm()
        assert "beside: " not in self.terminal.text, self.terminal.text

    def plain(self) -> None:
        """Read the prompt as at first, which the frame of the prompt would say."""
        for said, key in (("sublayers", "s"), ("words only", "f")):
            if said in self.terminal.calm():
                self.press(key)

    def unpin(self) -> None:
        """Unpin everything."""
        while re.search(r"^ *pins ", self.terminal.calm(), re.MULTILINE):
            self.press("u", "x", ESC)
