"""What is drawn in a figure: texts, cells and colours of an SVG, found by their places."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass

SVG = "{http://www.w3.org/2000/svg}"
DC = "{http://purl.org/dc/elements/1.1/}"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_ROW_HEIGHT = 9.07  # points: 3.4 mm less a slit of 0.2


@dataclass(frozen=True)
class Text:
    """A text with the point at which its line begins, in points from the upper left corner."""

    text: str
    x: float
    y: float
    ink: str


@dataclass(frozen=True)
class Box:
    """A filled rectangle."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    edge: str

    def holds(self, text: Text) -> bool:
        return self.x <= text.x <= self.x + self.width and self.y <= text.y <= self.y + self.height


def root(svg: bytes | str) -> ET.Element:
    return ET.fromstring(svg)


def _style(element: ET.Element) -> dict[str, str]:
    pairs = (part.split(":", 1) for part in element.get("style", "").split(";") if ":" in part)
    return {name.strip(): value.strip() for name, value in pairs}


def texts(svg: bytes | str) -> list[Text]:
    """Every text, in the order of the file."""
    found = []
    for each in root(svg).iter(f"{SVG}text"):
        x, y = float(each.get("x", "nan")), float(each.get("y", "nan"))
        found.append(Text(each.text or "", x, y, _style(each).get("fill", "#000000")))
    return found


def said(svg: bytes | str) -> list[str]:
    return [each.text for each in texts(svg)]


def boxes(svg: bytes | str) -> list[Box]:
    """Every rectangle of the figure, but for its ground, in the order of the file."""
    return list(_boxes(root(svg)))


def _boxes(svg: ET.Element) -> Iterator[Box]:
    for group in svg.iter(f"{SVG}g"):
        if not group.get("id", "").startswith("PolyCollection"):
            continue
        for path in group.iter(f"{SVG}path"):
            points = list(map(float, _NUMBER.findall(path.get("d", ""))))
            xs, ys = points[::2], points[1::2]
            style = _style(path)
            yield Box(
                min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys),
                style.get("fill", "#000000"), style.get("stroke", "none"),
            )  # fmt: skip


def cells(svg: bytes | str) -> list[tuple[str, str, str]]:
    """Fill, ink and text of every cell, in reading order, without the legend and the bars of cells."""
    *_, legend = [box.y for box in boxes(svg)]
    rows = [
        box
        for box in boxes(svg)
        if abs(box.height - _ROW_HEIGHT) < 0.05 and box.width > 3 and box.y < legend - 1
    ]
    words = texts(svg)
    rows.sort(key=lambda box: (round(box.y, 1), box.x))
    found = []
    for box in rows:
        inside = [text for text in words if box.holds(text)]
        assert len(inside) <= 1
        text = inside[0] if inside else Text("", 0, 0, "")
        found.append((box.fill, text.ink, text.text))
    return found


def bars(svg: bytes | str) -> list[Box]:
    """The narrow bars at the left of cells."""
    return [box for box in boxes(svg) if box.width <= 3 and box.edge == "none"]


def description(svg: bytes | str) -> str:
    return root(svg).findtext(f".//{DC}description") or ""


def title(svg: bytes | str) -> str:
    return root(svg).findtext(f"{SVG}title") or ""


def size_mm(svg: bytes | str) -> tuple[float, float]:
    of = root(svg)
    width, height = (float(of.attrib[name].removesuffix("pt")) for name in ("width", "height"))
    return width / 72 * 25.4, height / 72 * 25.4


def pdf_size_mm(pdf: bytes) -> tuple[float, float]:
    found = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", pdf)
    assert found is not None
    return float(found[1]) / 72 * 25.4, float(found[2]) / 72 * 25.4


def lines(svg: bytes | str, axes: str) -> list[list[tuple[float, float]]]:
    """The points of every curve of a plot, by the name of its axes; a curve is drawn through rows alone."""
    (group,) = (each for each in root(svg).iter(f"{SVG}g") if each.get("id") == axes)
    found = []
    for path in group.findall(f"{SVG}g/{SVG}path"):
        style = _style(path)
        if style.get("fill") == "none" and style.get("stroke-width") == "0.9":
            numbers = list(map(float, _NUMBER.findall(path.get("d", ""))))
            found.append(list(zip(numbers[::2], numbers[1::2], strict=True)))
    return found
