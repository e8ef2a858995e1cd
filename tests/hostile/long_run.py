"""What the scripts that are run by hand for minutes or hours have in common."""

from __future__ import annotations

from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path


def parser(description: str | None) -> ArgumentParser:
    """Return a parser for a model, and for the seed that all chance follows from."""
    words = ArgumentParser(description=description, formatter_class=RawDescriptionHelpFormatter)
    words.add_argument("model", type=lambda name: Path(name).resolve(), help="its folder")
    words.add_argument("--seed", type=int, default=0)
    return words


def failures(folder: Path) -> str:
    """What the program's log has: nothing, if nothing failed."""
    logs = [*folder.rglob("lenstui.log*")]
    return "\n".join(log.read_text() for log in logs)
