"""`lenstui scan`: a record of every position of a text, and queries over the records."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lenstui.cli.against import OPTIONS, add_against, asked_against
from lenstui.cli.arguments import (
    Parser,
    add_model,
    add_text,
    model_start,
    named_path,
    positive,
    text_documents,
)
from lenstui.cli.block_size import add_block_size, block_size
from lenstui.cli.output import add_output, output_format
from lenstui.cli.scan_query import FORMATS, show_comparison, show_matches
from lenstui.cli.scan_text import AskedScan, scan_text
from lenstui.scan.asked_query import TOP, AskedQuery
from lenstui.scan.queries import NAMED_QUERIES, QUERY_NAMES

_PART_SECONDS = 60.0

# Options, by their names in the code, that only a scan of a text takes.
_OF_TEXT = (
    *("text_column", "max_samples", "min_chars", "max_tokens", "seq_len", "resume", "part_every"),
    *("model", "demo", "revision", "lens", "device", "device_map", "quantize", "dtype", "trust_remote_code"),
    "adapter",
    *OPTIONS,
)


def run(words: Sequence[str]) -> int:
    """Parse the arguments of `lenstui scan` and run the command."""
    parser = _parser()
    given = parser.parse_args(words)
    form = output_format(parser, given, FORMATS)
    query = AskedQuery(given.query, given.where, given.by, given.sort, given.top or TOP)
    asks_for_matches = any(each is not None for each in (given.query, given.where, given.sort))
    if given.comparison and asks_for_matches:
        parser.error("--comparison is of all positions: leave --query, --where and --sort out")
    if given.data is None:
        for name in _OF_TEXT:
            if getattr(given, name):
                parser.error(f"--{name.replace('_', '-')} is for reading a text: name one with --data FILE")
        if given.comparison:
            return show_comparison(given.folder, form, given.output)
        return show_matches(given.folder, query, form, given.output)
    asked = model_start(parser, given)
    size = block_size(parser, given)
    every = _PART_SECONDS if given.part_every is None else given.part_every
    against = asked_against(parser, given, asked)
    if given.comparison and against is None:
        parser.error("--comparison needs --against-model or --against-lens")
    text = AskedScan(given.folder, text_documents(given), size, given.resume, every, against)
    status = scan_text(asked, text, query.check)
    if status == 0 and against is not None and not asks_for_matches:
        return show_comparison(given.folder, form, given.output)
    is_asked = asks_for_matches or given.output is not None
    return show_matches(given.folder, query, form, given.output) if is_asked and status == 0 else status


def _parser() -> Parser:
    named = {
        compares: "\n".join(
            f"  {query.name:<18} {query.title}" for query in NAMED_QUERIES if bool(query.needs) is compares
        )
        for compares in (False, True)
    }
    parser = Parser(
        "lenstui scan",
        "Find the places of a text where a model knew the answer and lost it, settled\n"
        "late, or was sure and wrong. With --data every position of a text gets a record,\n"
        "in a folder of Parquet files; a scan that was ended goes on with --resume.\n"
        "Without --data the records of a folder are searched.\n\n"
        "With --against-model, --against-revision or --against-lens the records compare two\n"
        "models, revisions or lenses: how far apart they are by row, and where they part.",
        usage="lenstui scan FOLDER --data FILE… [options]\n       lenstui scan FOLDER [--query NAME] "
        "[--where CONDITION] [options]",
        epilog=f"queries:\n{named[False]}\n\nqueries of a comparison:\n{named[True]}\n\n"
        "Ctrl+C keeps the blocks that were read.",
    )
    parser.add_argument("folder", metavar="FOLDER", type=named_path, help="the folder of the records")
    text = add_text(parser)
    add_block_size(text, positive)
    text.add_argument(
        "--resume", action="store_true", help="go on with the scan in FOLDER, or begin one if there is none"
    )
    text.add_argument(
        "--part-every",
        metavar="SECONDS",
        type=_seconds,
        help=f"write a file of records so often (default: {_PART_SECONDS:.0f}), or after 16384 records",
    )
    search = parser.add_argument_group("search")
    search.add_argument("--query", choices=QUERY_NAMES, help="a query by its name, below")
    search.add_argument(
        "--where",
        metavar="CONDITION",
        help="a condition over the columns, such as 'next_rank > 0 and final_prob >= 0.9'",
    )
    search.add_argument(
        "--by", metavar="LENS", help="the lens of queries and counts (default: tuned, or else logit)"
    )
    search.add_argument(
        "--sort", metavar="COLUMN", help="the column to sort by; 'COLUMN desc': the greatest first"
    )
    search.add_argument("--top", metavar="N", type=positive, help=f"show N matches (default: {TOP})")
    add_model(parser)
    group = add_against(parser)
    group.add_argument(
        "--comparison",
        action="store_true",
        help="show how far the two are apart by row, in place of matches",
    )
    add_output(parser, FORMATS)
    return parser


def _seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of seconds from 0 on, not {text!r}")
    return number
