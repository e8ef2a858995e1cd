"""Make the general sample: a small text of many kinds, to fit lenses on.

    python assets/make_sample.py --corpora DIR    # assets/sample/general.parquet, some seconds

DIR holds `public-domain.parquet` and `stories.parquet`, each with a `text` column. The rest lies in this
project: what was written for the sample in `assets/sample/written/`, and the source of lenstui. The same
inputs give the same file.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).parent
SAMPLE = HERE / "sample"
WRITTEN = SAMPLE / "written"
SOURCE = HERE.parent / "lenstui"

SEED = 20261129
PUBLIC, STORIES, CODE = 380_000, 160_000, 260_000  # characters of each; what was written here is taken whole
EXCERPT = 3_000  # characters of an excerpt of public-domain prose
LEAST_STORY = 900  # characters, so that a story nearly fills a block
CODE_SIZES = range(1_500, 7_500)  # characters of a module
BETWEEN = "\n---\n"  # stands between the texts of one file in `written/`


def excerpt(text: str, rng: random.Random) -> str:
    """Some paragraphs or sentences in a row, from a place by chance."""
    joint = r"\n\n+" if text.count("\n\n") > 5 else r"(?<=[.!?]) +(?=[A-Z])"
    pieces = [match.start() for match in re.finditer(joint, text)]
    starts = [0, *(start for start in pieces if start <= len(text) - EXCERPT)]
    start = rng.choice(starts)
    end = next((end for end in pieces if end - start >= EXCERPT), len(text))
    return text[start:end].strip()


def corpus(path: Path) -> list[str]:
    return [text.strip() for text in pq.read_table(path, columns=["text"]).column("text").to_pylist()]


def some(texts: Iterator[str] | list[str], characters: int) -> Iterator[str]:
    """The texts up to a number of characters, each text once."""
    seen: set[str] = set()
    for text in texts:
        if characters <= 0:
            return
        if text not in seen:
            seen.add(text)
            characters -= len(text)
            yield text


def public_domain(corpora: Path, rng: random.Random) -> Iterator[str]:
    texts = corpus(corpora / "public-domain.parquet")
    rng.shuffle(texts)
    return some((excerpt(text, rng) for text in texts), PUBLIC)


def stories(corpora: Path, rng: random.Random) -> Iterator[str]:
    texts = [text for text in corpus(corpora / "stories.parquet") if len(text) >= LEAST_STORY]
    rng.shuffle(texts)
    return some(texts, STORIES)


def code(rng: random.Random) -> Iterator[str]:
    modules = sorted(SOURCE.rglob("*.py"))
    texts = [text for path in modules if len(text := path.read_text(encoding="utf-8").strip()) in CODE_SIZES]
    rng.shuffle(texts)
    return some(texts, CODE)


def written() -> Iterator[tuple[str, str]]:
    """The texts that were written for this sample, each with its style: the first word of its file's name."""
    for path in sorted(WRITTEN.glob("*.txt")):
        for text in path.read_text(encoding="utf-8").split(BETWEEN):
            yield text.strip(), f"written here: {path.stem.split('-')[0]}"


def documents(corpora: Path) -> list[tuple[str, str]]:
    """Text and source of each document, in an order of which every beginning is a fair mix."""
    rng = random.Random(SEED)
    kinds = [
        [(text, "public domain") for text in public_domain(corpora, rng)],
        [(text, "stories") for text in stories(corpora, rng)],
        [(text, "code: lenstui") for text in code(rng)],
        list(written()),
    ]
    placed = []
    for kind in kinds:
        rng.shuffle(kind)
        placed += [((i + rng.random()) / len(kind), *document) for i, document in enumerate(kind)]
    return [(text, source) for _, text, source in sorted(placed)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpora", type=Path, required=True)
    chosen = documents(parser.parse_args().corpora)
    table = pa.table({"text": [text for text, _ in chosen], "source": [source for _, source in chosen]})
    path = SAMPLE / "general.parquet"
    pq.write_table(table, path, compression="zstd", compression_level=19)
    sizes: dict[str, list[int]] = {}
    for text, source in chosen:
        sizes.setdefault(source, []).append(len(text))
    for source, lengths in sorted(sizes.items()):
        print(f"{source}: {len(lengths):,} documents, {sum(lengths):,} characters")
    characters = sum(map(sum, sizes.values()))
    print(f"{path}: {len(chosen):,} documents, {characters:,} characters, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
