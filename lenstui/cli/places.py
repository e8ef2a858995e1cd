"""`lenstui paths`: print the places of all files."""

from __future__ import annotations

from collections.abc import Sequence

from lenstui.cli.arguments import Parser
from lenstui.support.printable import printable


def run(words: Sequence[str]) -> int:
    """Print every place that lenstui reads or writes."""
    from lenstui.model.hub import hub_cache
    from lenstui.support.paths import listing

    Parser("lenstui paths", "Show where lenstui keeps its files.").parse_args(words)
    places = {**listing(), "model cache": hub_cache()}
    width = max(map(len, places))
    for name, path in places.items():
        print(f"{name:{width}}  {printable(str(path))}")
    return 0
