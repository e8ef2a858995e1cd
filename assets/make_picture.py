"""Make the moving picture of the README from the real program: `assets/explore.svg`.

    python assets/make_picture.py            # half a minute; needs nothing but lenstui
    python assets/make_picture.py --frames DIR   # each frame as a picture of its own, to look at

The bundled model is opened, the keys of `TOUR` are pressed, and what is then on screen becomes a frame. The
picture is one SVG that moves by CSS alone, so that it works where an image may run no script. A rectangle or
a word that several frames have in common stands in it once, and is visible while one of them is shown.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from xml.etree import ElementTree
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from lenstui.tui.app import LenstuiApp

T = TypeVar("T")

PICTURE = Path(__file__).parent / "explore.svg"
COLUMNS, LINES = 120, 34  # of the terminal
PROMPT = "The trees are green and the sky is"
SVG = "{http://www.w3.org/2000/svg}"
CELL, LINE = 12.2, 24.4  # width and height of a terminal cell in Rich's pictures, pixels
BAR = 46  # height of the bar over the screen, which says what was pressed
EDGE = 8


@dataclass(frozen=True)
class Step:
    """What is done before a frame.

    Attributes:
        keys: the keys to press, as Textual names them.
        cap: the key as a reader knows it.
        caption: what it does.
        seconds: for how long the frame is shown.
    """

    keys: tuple[str, ...]
    cap: str
    caption: str
    seconds: float = 2.0


PIN = (*"Pblue", "enter")
TOUR = (
    Step((), "", "row: a layer · column: a token · cell: what the model would say if it stopped there", 4),
    Step(("j",), "j", "down, a layer earlier", 0.7),
    Step(("j",), "j", "down, a layer earlier", 0.7),
    Step(("j",), "j", "below: the likeliest tokens of the cell, by each lens", 2.5),
    Step(("v",), "v", "colour by the next value: entropy", 2),
    Step(("v",), "v", "colour by the next value: KL from the final distribution", 3),
    Step(("c",), "c", "mark the row from which on the top token stays the final one", 3),
    Step(PIN, "P", "pin a word: its probability and rank in every cell, and a plot by row", 3.5),
    Step(("d",), "d", "the difference: tuned lens minus logit lens", 3),
    Step(("d",), "d", "and back", 0.7),
    Step(("enter",), "Enter", "everything about this cell: rank, id, probability, logit", 3),
    Step(("escape",), "Esc", "back", 0.7),
    Step(("space",), "space", "what can be done here", 3),
    Step(("escape",), "Esc", "back", 0.7),
    Step(("k", "k", "k"), "k", "up to the last row, which is the model itself", 0.7),
    Step(("a",), "a", "append the cell's likeliest token to the prompt", 1.5),
    Step(("a",), "a", "and the next", 2.5),
    Step(("question_mark",), "?", "all keys by topic, and a search", 3.5),
)  # fmt: skip


@dataclass(frozen=True, order=True)
class Block:
    """A filled rectangle of one line: its colour and where it is, pixels."""

    fill: str
    x: float
    y: float
    width: float

    def __str__(self) -> str:
        return (
            f'<rect fill="{self.fill}" x="{self.x:g}" y="{self.y:g}" width="{self.width:g}" height="24.65"/>'
        )


@dataclass(frozen=True, order=True)
class Word:
    """A run of text in one style: its CSS, the text, and where it is, pixels."""

    style: str
    text: str
    x: float
    y: float
    width: float


@dataclass(frozen=True)
class Frame:
    """What one picture of the screen shows."""

    blocks: frozenset[Block]
    words: frozenset[Word]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=PICTURE)
    parser.add_argument(
        "--frames", type=Path, metavar="DIR", help="also write each frame as a picture of its own"
    )
    given = parser.parse_args()
    frames = [frame_of(picture) for picture in asyncio.run(pictures(TOUR))]
    given.output.write_text(moving(frames, TOUR), encoding="utf-8")
    for number, (frame, step) in enumerate(zip(frames, TOUR, strict=True)):
        if given.frames is not None:
            given.frames.mkdir(parents=True, exist_ok=True)
            still = given.frames / f"{number:02}.svg"
            still.write_text(moving([frame], [step]), encoding="utf-8")
    print(f"{given.output}: {len(frames)} frames, {given.output.stat().st_size / 1e3:.0f} kB")


async def pictures(tour: Sequence[Step]) -> list[str]:
    """Run the program on the bundled model, and return a picture of the screen after each step."""
    from textual import constants

    constants.COLOR_SYSTEM = "truecolor"
    with tempfile.TemporaryDirectory() as folder:  # nobody's settings, lenses or sessions
        os.environ.update({f"XDG_{kind}_HOME": folder for kind in ("CONFIG", "DATA", "STATE")})
        from lenstui.support.request import Start
        from lenstui.tui.app import LenstuiApp

        app = LenstuiApp(Start(prompt=PROMPT, demo=True))
        taken = []
        async with app.run_test(size=(COLUMNS, LINES)) as pilot:
            await wait(pilot, lambda: is_read(app))
            app.clear_notifications()
            for step in tour:
                for key in step.keys:
                    await pilot.press(key)
                    await pilot.pause(0.05)
                await pilot.pause(0.4)
                await wait(pilot, lambda: is_read(app))
                await pilot.pause(0.4)
                taken.append(app.export_screenshot())
    return taken


def is_read(app: LenstuiApp) -> bool:
    """Return whether the prompt is read; its frame then says how long that took."""
    return str(app.explore.query_one("PromptBox").border_subtitle or "").endswith(" s")


async def wait(pilot: Pilot[None], is_so: Callable[[], bool]) -> None:
    """Wait until something is so, for a minute at most."""
    for _ in range(1200):
        if is_so():
            return
        await pilot.pause(0.05)
    raise SystemExit("The program did not get there within a minute.")


def frame_of(picture: str) -> Frame:
    """Take one of Rich's pictures apart."""
    root = ElementTree.fromstring(picture)
    styles = dict(style_lines(root.findtext(f"{SVG}style") or ""))
    screen = root.find(f"{SVG}g[@clip-path]")
    assert screen is not None
    blocks = [
        Block(str(each.get("fill")), *(number(each, name) for name in ("x", "y", "width")))
        for each in screen.findall(f"{SVG}rect")
    ]
    words = [
        Word(
            styles[str(each.get("class"))],
            *trimmed(each.text or "", number(each, "x"), number(each, "y"), number(each, "textLength")),
        )
        for each in screen.iter(f"{SVG}text")
    ]
    return Frame(frozenset(joined(blocks)), frozenset(word for word in words if word.text))


def number(element: ElementTree.Element, name: str) -> float:
    return round(float(element.get(name, "nan")), 2)


def style_lines(style: str) -> Iterator[tuple[str, str]]:
    """Yield the name of each class of colours, with its CSS."""
    for line in style.splitlines():
        name, brace, css = line.strip().partition(" { ")
        if brace and css.startswith("fill"):
            yield name.removeprefix("."), css.removesuffix(" }").replace(" ", "").rstrip(";")


def trimmed(text: str, x: float, y: float, width: float) -> tuple[str, float, float, float]:
    """Return a text without the spaces around it, and where the rest of it is."""
    before, after = (len(text) - len(part) for part in (text.lstrip(), text.rstrip()))
    return text.strip(), round(x + before * CELL, 2), y, round(width - (before + after) * CELL, 2)


def joined(blocks: Sequence[Block]) -> Iterator[Block]:
    """Yield rectangles, those side by side in one colour as one."""
    for y, line in groupby(sorted(blocks, key=lambda block: (block.y, block.x)), key=lambda block: block.y):
        for fill, run in groupby(line, key=lambda block: block.fill):
            parts = list(run)
            end = parts[-1].x + parts[-1].width
            yield Block(fill, parts[0].x, y, round(end - parts[0].x, 2))


def moving(frames: Sequence[Frame], tour: Sequence[Step]) -> str:
    """Return an SVG that shows one frame after the other, again and again."""
    width, height = COLUMNS * CELL + 2 * EDGE, LINES * LINE + BAR + EDGE
    background = Counter(block.fill for frame in frames for block in frame.blocks).most_common(1)[0][0]
    names = {style: f"s{i}" for i, style in enumerate(sorted({w.style for f in frames for w in f.words}))}
    blocks = shown_in([[b for b in frame.blocks if b.fill != background] for frame in frames])
    words = shown_in([frame.words for frame in frames])
    captions = {frozenset({i}): [caption(step)] for i, step in enumerate(tour)}
    times = Times(tour)
    drawn = {
        "blocks": {when: list(map(str, sorted(of))) for when, of in blocks.items()},
        "words": {when: [word_text(word, names) for word in sorted(of)] for when, of in words.items()},
    }
    layers = [groups(drawn["blocks"], times), groups(drawn["words"], times)]
    bar = groups(captions, times)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}">',
            "<title>lenstui: a prompt, layer by layer, through the logit lens and the tuned lens</title>",
            f"<style>{css(names, times)}</style>",
            f'<rect fill="#292929" width="{width:g}" height="{height:g}" rx="8"/>',
            *bar,
            f'<g transform="translate({EDGE} {BAR})">',
            f'<rect fill="{background}" width="{COLUMNS * CELL:g}" height="{LINES * LINE:g}"/>',
            '<g shape-rendering="crispEdges">',
            *layers[0],
            "</g>",
            *layers[1],
            "</g>",
            "</svg>",
            "",
        ]
    )


class Times:
    """Which class shows a thing in some of the frames, and the CSS of all such classes."""

    def __init__(self, tour: Sequence[Step]) -> None:
        self._seconds = [step.seconds for step in tour]
        self._names: dict[frozenset[int], str] = {}

    def name(self, when: frozenset[int]) -> str:
        """Return the class of what these frames show; empty for what is in all of them."""
        if len(when) == len(self._seconds):
            return ""
        return self._names.setdefault(when, f"t{len(self._names)}")

    def css(self) -> Iterator[str]:
        """Yield the rules. Where nothing moves, or may, the first frame is shown."""
        total = sum(self._seconds)
        for when, name in self._names.items():
            at, steps, was = 0.0, [], None
            for i, seconds in enumerate(self._seconds):
                if (i in when) is not was:
                    was = i in when
                    steps.append(f"{at / total:.3%}{{visibility:{'visible' if was else 'hidden'}}}")
                at += seconds
            hidden = "" if 0 in when else ";visibility:hidden"
            yield f"@keyframes {name}{{{''.join(steps)}}}"
            yield f".{name}{{animation:{name} {total:g}s step-end infinite{hidden}}}"
        if self._names:
            yield "@media (prefers-reduced-motion:reduce){g{animation:none!important}}"


def css(names: Mapping[str, str], times: Times) -> str:
    rules = [
        "text{font:20px 'Fira Code','DejaVu Sans Mono',Menlo,Consolas,monospace}",
        *(f".{name}{{{style}}}" for style, name in names.items()),
        *times.css(),
    ]
    return "\n".join(rules)


def shown_in(frames: Sequence[Collection[T]]) -> Mapping[frozenset[int], list[T]]:
    """Return everything that is in some frame, by the numbers of the frames that it is in."""
    numbers: dict[T, set[int]] = defaultdict(set)
    for i, frame in enumerate(frames):
        for each in frame:
            numbers[each].add(i)
    found: dict[frozenset[int], list[T]] = defaultdict(list)
    for each, when in numbers.items():
        found[frozenset(when)].append(each)
    return found


def groups(drawn: Mapping[frozenset[int], Sequence[str]], times: Times) -> list[str]:
    """Return a group of elements for each set of frames that shows them."""
    made = []
    for when, elements in sorted(drawn.items(), key=lambda item: sorted(item[0])):
        name = times.name(when)
        made.append(f'<g class="{name}">{"".join(elements)}</g>' if name else f"<g>{''.join(elements)}</g>")
    return made


def word_text(word: Word, names: Mapping[str, str]) -> str:
    place = f'x="{word.x:g}" y="{word.y:g}" textLength="{word.width:g}"'
    return f'<text class="{names[word.style]}" {place}>{escape(word.text)}</text>'


def caption(step: Step) -> str:
    """Return the bar over the screen: a key cap, and what the key does."""
    y, x, cap = 30, EDGE + 14, ""
    if step.cap:
        wide = len(step.cap) * CELL + 20
        cap = (
            f'<rect x="{x}" y="8" width="{wide:g}" height="31" rx="5" fill="#6fb7c4"/>'
            f'<text x="{x + 10}" y="{y}" fill="#000" font-weight="bold">{escape(step.cap)}</text>'
        )
        x += round(wide) + 14
    return f'{cap}<text x="{x}" y="{y}" fill="#e4e6ee">{escape(step.caption)}</text>'


if __name__ == "__main__":
    main()
