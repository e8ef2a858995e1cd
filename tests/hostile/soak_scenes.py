"""What a person does with the program, scene by scene, for `tests.hostile.soak`.

A scene begins on Explore and ends there, with what it changed put back. It looks on screen for what it did,
and is missed where that does not show.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.programs.fresh import Fresh
from tests.programs.pty_terminal import ENTER, ESC, TAB, Terminal

UP, DOWN, RIGHT, LEFT, HOME, END, BACK_TAB = (f"\x1b[{key}" for key in "ABCDHFZ")
CLEAR = "\x15"  # Ctrl+U
WORDS = ("the", "little", "dog", "saw", "a", "big", "red", "ball", "in", "park", "and", "she", "was", "happy")
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
SIZE = (120, 40)
KEPT = 12  # lenses, records and exports that are left lying about: who works for a week tidies up
_DIALOG = re.compile(r"[^\n╮]╭─ ")


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
        text = self.terminal.text
        return "╭─ prompt" in text and " q Quit" in text and _DIALOG.search(text) is None

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


# ── the prompt ───────────────────────────────────────────────────────────────────────────────────────────


def prompt(user: User) -> None:
    """A few words, read, and some steps of the cursor."""
    user.read(user.words(user.pick.randrange(3, 14)))
    user.press(*user.pick.choices((UP, DOWN, LEFT, RIGHT, HOME, END), k=12))


def long_prompt(user: User) -> None:
    """Some hundred words, and pages of columns."""
    user.read(user.words(user.pick.randrange(60, 250)))
    user.press("}", "}", "{", HOME, END)
    user.read(user.words(5))


def history(user: User) -> None:
    """The prompt before this one."""
    earlier, later = user.words(4), user.words(4)
    user.read(earlier)
    user.read(later)
    user.press("i", UP)
    user.see(f"│ {earlier} ")
    user.press(ENTER)


def growth(user: User) -> None:
    """Tokens appended, generated, and taken back."""
    user.read(user.words(4))
    before = int(user.see(r"\d+(?= tokens ·)"))
    user.press("a")
    user.see(rf"\b{before + 1} tokens")
    user.press("G")
    user.see("─ generate ─")
    user.press(ENTER)
    user.gone("─ generate ─")
    user.terminal.until(lambda: int(user.see(r"\d+(?= tokens)")) > before + 2)
    user.terminal.calm()
    user.press("U", "U")
    user.read(user.words(3))


def turns(user: User) -> None:
    """The prompt as turns of a chat."""
    said = user.words(4)
    user.read(said)
    user.press("I")
    user.see(rf"0 +user +{said}")
    user.press("a")
    user.terminal.calm()
    user.type(user.words(3))
    user.press(ENTER)
    user.see(r"╭─ prompt · .*turns.*─╮", r"\d tokens · \d")
    user.press("z", "z", "I", "i")
    user.terminal.calm()
    user.press(END, CLEAR)
    user.type(said)
    user.press(ENTER)
    user.see("╭─ prompt ─", r"\d tokens · \d")


# ── how it looks ─────────────────────────────────────────────────────────────────────────────────────────


def values(user: User) -> None:
    """Every value that cells show, there and back."""
    seen = set()
    for key in [*"v" * 9, *"V" * 9]:
        user.press(key)
        user.terminal.calm()
        seen.add(user.see(r"╭─ logit lens · [^─╮]+"))
    assert len(seen) > 4, seen


def looks(user: User) -> None:
    """Heights and order of rows, numbers, marks, words only, rows of components."""
    for key, shows in (("s", r"\d\.mlp"), ("f", "words only"), ("c", ""), ("D", ""), ("r", ""), ("#", "")):
        user.press(key)
        if shows:
            user.see(shows)
        user.terminal.calm()
        user.press(key)
        if shows:
            user.gone(shows)
            user.terminal.calm()
    user.press("#", "]", "]", "[", "[")


def cell(user: User) -> None:
    """A cell in full, and those beside it."""
    user.press(ENTER)
    user.see("1000|sum|rank")
    user.terminal.until(lambda: not user.is_home)
    user.press("h", "j", "k", "l", DOWN, DOWN, END, HOME, ESC)


def pins(user: User) -> None:
    """A token pinned, a word pinned, the plots, the list, and unpinned."""
    user.press("P")
    user.see("Esc|esc closes")
    user.type("happy")
    user.press(ENTER)
    user.see(r"(?m)^ *pins ")
    for _ in range(3):
        user.press("R", UP)
        user.terminal.calm()
    user.unpin()


def places(user: User) -> None:
    """A column by its token, a column by its number, the first row of a word."""
    user.read("the dog saw a ball and the dog was happy")
    for key, typed in (("/", "dog"), ("g", "3"), ("F", "")):
        user.press(key)
        user.terminal.until(lambda: not user.is_home)
        user.type(typed)
        user.press(ENTER)
        user.home()
    user.press("n", "N")


def helps(user: User) -> None:
    """The list of keys, a search in it, the menu."""
    user.press("?")
    user.see("─ keys ─")
    user.type("csv")
    user.see("Export|export")
    user.press(ESC, ESC)
    user.home()
    user.press(" ")
    user.terminal.until(lambda: not user.is_home)
    user.press(ESC)


def theme(user: User) -> None:
    """Another theme, by the command palette, and the first one again."""
    for name in ("light", "dark"):
        user.press(":")
        user.see("Search for actions")
        user.type("Theme")
        user.terminal.calm()
        user.press(ENTER)
        user.see("Search for themes")
        user.type(name)
        user.terminal.calm()
        user.press(ENTER)
        user.home()


def sizes(user: User) -> None:
    """The window, larger and smaller."""
    for width, height in user.pick.sample(((200, 50), (80, 24), (60, 18), (160, 60), (20, 5)), k=3):
        user.terminal.resize(width, height)
        user.terminal.program.send(signal.SIGWINCH)
        user.terminal.calm()
        if width >= 80:
            user.see("╭─ prompt", "─╯")
    user.terminal.resize(*SIZE)
    user.terminal.program.send(signal.SIGWINCH)
    user.terminal.calm()
    user.see("╭─ prompt", " q Quit")


def mouse(user: User) -> None:
    """Clicks on cells, and the wheel."""
    for _ in range(8):
        user.terminal.click(user.pick.randrange(8, 50), user.pick.randrange(7, 15))
        user.terminal.read(0.1)
    user.press("\x1b[<65;30;12M", "\x1b[<64;30;12M")


# ── sides ────────────────────────────────────────────────────────────────────────────────────────────────


def sides(user: User) -> None:
    """Another lens on a side, the difference, one more side, and a second prompt."""
    user.press("L")
    user.terminal.calm()
    user.press("d")
    user.see(" − ")
    user.press("d", TAB, "+")
    user.terminal.calm()
    user.press("-")
    beside = user.words(4)
    user.press("B")
    user.see("─ second prompt ─")
    user.press(CLEAR, END, CLEAR)
    user.type(beside)
    user.press(ENTER)
    user.see("beside: ")
    user.restored()


def beside(user: User) -> None:
    """The model in another dtype on a side, and taken off again."""
    user.press("M")
    user.see("a model beside", "where +size")
    user.type(str(user.model))
    user.terminal.calm()
    user.press(BACK_TAB, ENTER)
    user.gone("─ a model beside")
    user.see("beside: ")
    user.terminal.calm()
    user.press("d", "v", "d")
    user.restored()


def edits(user: User) -> None:
    """An edit, its effect, and without it again."""
    user.press("W")
    user.see("─ edits of")
    user.type(user.pick.choice(("ablate 3.mlp", "ablate 2.1", 'patch 1.attn "a big dog"', "cut 4.7 2<-1")))
    user.press(ENTER)
    user.see("● (ablate|patch|cut)")
    user.home()
    user.see("edited")
    user.press("d")
    user.see("edited − clean| − logit lens")
    user.press("d")
    user.restored()


# ── why ──────────────────────────────────────────────────────────────────────────────────────────────────


def why(user: User) -> None:
    """Why a cell says so, part by part, and with a part taken away."""
    user.read(user.words(6))
    user.press("w")
    user.see("the strongest", "direct effects")
    user.press(DOWN, DOWN, TAB, DOWN, RIGHT, TAB, "a")
    user.see("✗")
    user.press(ESC)
    user.home()
    user.restored()


def trace(user: User) -> None:
    """A causal trace of two prompts, of two kinds of part."""
    user.read("the dog saw a big ball")
    user.press("T")
    user.see("─ causal trace ─")
    user.type("the dog was a very")
    user.press(ENTER)
    user.gone("─ causal trace ─")
    user.see(r"rows? in|clean")
    user.terminal.calm()
    user.press("p")
    user.terminal.calm()
    user.press("v", "f")
    user.terminal.calm()
    user.press(ESC)


# ── texts and sets ───────────────────────────────────────────────────────────────────────────────────────


def prompt_set(user: User) -> None:
    """The examples, read, sorted, plotted, and one of them opened."""
    user.press("e")
    user.see("(?m)^ file")
    user.press("f", CLEAR, END, CLEAR, ENTER)
    user.terminal.calm()  # the table takes keys once the file is open
    user.see(r"50 prompts · \d")
    user.press("c", "c", "r", "v", "v", "R", DOWN, DOWN, DOWN, DOWN, DOWN)
    user.terminal.calm()
    user.press(ENTER)
    user.terminal.until(lambda: user.is_home)
    user.see(r"\d tokens · \d")
    user.terminal.calm()
    user.unpin()


def evaluation(user: User) -> None:
    """The lenses on a text."""
    user.press("E")
    user.terminal.until(lambda: not user.is_home)
    user.terminal.calm()
    if "─ evaluate lenses" not in user.terminal.text:
        user.press("e")
    user.see("─ evaluate lenses")
    user.press(ENTER)
    user.gone("─ evaluate lenses")
    user.see(r"[\d,]+ tokens in [\d.]+ s")
    user.press("v", "v", RIGHT, RIGHT, "V", "q")


def scan(user: User) -> None:
    """A text scanned, its records searched, and a position opened."""
    user.press("C")
    user.see("known-and-lost")
    user.press("n")
    user.see("─ scan a text")
    user.press(DOWN, CLEAR, END, CLEAR)
    user.type(str(user.pick.randrange(1500, 3000)))
    user.press(DOWN, DOWN, END, CLEAR)
    user.type("scan-" + user.words(0))
    user.press(ENTER)
    user.gone("─ scan a text")
    user.terminal.calm()
    for key in "12340":
        user.press(key)
        user.terminal.calm()
    for key in "vvvvcr":
        user.press(key)
        user.terminal.calm()
    user.press("V", "V", "V", "V", ENTER)
    user.see("tokens as")
    user.press(ESC)
    user.see("known-and-lost")
    user.press("q")
    user.home()
    user.read(user.words(4))


# ── lenses ───────────────────────────────────────────────────────────────────────────────────────────────


def form(user: User, kind: str) -> None:
    """Go to the form of a fit, of a kind of lens."""
    user.press("t")
    user.terminal.until(lambda: not user.is_home)
    user.terminal.calm()
    if "n another fit" in user.terminal.text.lower():
        user.press("n")
    user.see("kind of lens", "Start")
    user.press(DOWN, DOWN)  # from the button over the end to the kind of lens
    user.see("⏎ Start")
    user.press(RIGHT if kind == "Jacobian" else LEFT)
    user.see(f"train a {kind} lens")


def tuned(user: User) -> None:
    """A tuned lens, fitted and kept."""
    form(user, "tuned")
    user.press(ENTER)
    user.see("done .*100%|─ a worse lens")
    user.terminal.calm()
    if "─ a worse lens" in user.terminal.text:
        user.press("y")
        user.see("done .*100%")


def jacobian(user: User) -> None:
    """A Jacobian lens of a few prompts, fitted and kept."""
    form(user, "Jacobian")
    user.press(DOWN, DOWN, CLEAR, END, CLEAR)
    user.type(str(user.pick.randrange(5, 12)))
    user.press(ENTER, ENTER)
    user.see("done .*100%")


def discarded(user: User) -> None:
    """A fit begun, paused, watched from Explore, and discarded."""
    form(user, "tuned")
    user.press(ENTER)
    user.gone("kind of lens")
    user.press("p")
    user.see("paused")
    user.press(ESC)
    user.home()
    user.press("t")
    user.see("paused +━")
    user.press("x")
    user.see("discard the lens")
    user.press("y")
    user.see("discarded|kind of lens")


def lenses(user: User) -> None:
    """The list of lenses and their cards; another one put to use."""
    user.press("o")
    user.see("─ lenses · KL", "─ card: ")
    user.press(DOWN, DOWN, DOWN, UP, "K", "K", TAB, DOWN, TAB)
    user.terminal.calm()
    user.press(HOME, ENTER)
    user.home()


def instant(user: User) -> None:
    """An instant lens."""
    user.press("O")
    user.terminal.calm()


# ── models ───────────────────────────────────────────────────────────────────────────────────────────────


def again(user: User) -> None:
    """The same model opened again."""
    user.restored()


def other_model(user: User) -> None:
    """The bundled model, and back."""
    user.open("the bundled")
    user.see("lenstui  bundled model", r"\d tokens · \d")
    user.press("v", "V", UP, LEFT)
    user.restored()


def no_model(user: User) -> None:
    """A name that is no model."""
    user.open("no-such/model-" + user.words(0))
    user.see("(?i)not|no ")
    user.terminal.calm()
    user.restored()


# ── what is taken away ───────────────────────────────────────────────────────────────────────────────────


def export(user: User) -> None:
    """One of the forms, to a file or the clipboard; of the notebook, too, which has something then."""
    user.press("K")
    user.see("(?i)kept")
    user.press("x")
    user.see("─ export ─")
    for _ in range(user.pick.randrange(15)):
        user.press("j")
    user.press(ENTER)
    user.gone("─ export ─")
    user.terminal.calm()


def kept(user: User) -> None:
    """A view into the notebook, and texts into the clipboard."""
    user.press("K")
    user.see("(?i)kept")
    user.press("y", "Y")


def second_terminal(user: User) -> None:
    """The program once more in another terminal, with the same folders, and quit."""
    other = start(user.folder, user.model)
    try:
        other.until(other.is_taken)
        other.until(" q Quit")
        other.calm()
        other.press("q")
        assert other.end() == 0
    finally:
        other.kill()


def start(folder: Path, model: Path, *words: str) -> Terminal:
    """Start the program in a folder that has all that it keeps and writes."""
    (folder / "tmp").mkdir(exist_ok=True)
    width, height = SIZE
    environment = {"HOME": str(folder), "TMPDIR": str(folder / "tmp"), "COLUMNS": "", "LINES": ""}
    words = (*words, "--model", str(model))
    return Terminal(Fresh(folder), [*words], folder, width=width, height=height, environment=environment)


SCENES: Mapping[Callable[[User], None], int] = {
    prompt: 6, long_prompt: 2, history: 2, growth: 3, turns: 1,
    values: 4, looks: 3, cell: 3, pins: 3, places: 2, helps: 2, theme: 1, sizes: 2, mouse: 2,
    sides: 2, beside: 1, edits: 2, why: 2, trace: 2,
    prompt_set: 2, evaluation: 2, scan: 2,
    tuned: 3, jacobian: 1, discarded: 1, lenses: 3, instant: 1,
    again: 2, other_model: 1, no_model: 1,
    export: 3, kept: 2, second_terminal: 1,
}  # fmt: skip
"""The scenes, and how often each is played in a round."""
