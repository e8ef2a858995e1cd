"""Arguments that commands share, and the answer to a wrong call."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from lenstui.cli.stderr import say
from lenstui.cli.stdin import standard_input
from lenstui.cli.turns import add_turns, check_alone, conversation
from lenstui.model.name import split_revision
from lenstui.support.device_names import DEVICE_MAPS, DEVICES, DTYPES, QUANTIZATIONS, is_device_name
from lenstui.support.errors import LensError
from lenstui.support.printable import is_unicode, printable
from lenstui.support.request import Start
from lenstui.support.settings import Settings, load
from lenstui.support.threads import prepare_threads
from lenstui.support.typed_number import whole_number
from lenstui.support.typed_path import expanded

if TYPE_CHECKING:  # else by whoever adds such an argument: the screen does not wait for what it does not take
    from lenstui.edits.edit import Edit
    from lenstui.texts.documents import Documents

REVISION = "a branch, tag or commit of --model on the hub"  # the help of --revision

ADAPTER = (  # the help of --adapter
    "a LoRA adapter for the model, or ID@REVISION (needs peft); without --model its base is opened with it"
)
NO_BASE = "--adapter needs --model; an adapter alone goes with --model, which opens its base with it"


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` whose error message is one line that is safe to show."""

    def __init__(self, prog: str, description: str, **options: str) -> None:
        super().__init__(
            prog,
            description=description,
            allow_abbrev=False,  # an abbreviation may become ambiguous with a new option
            formatter_class=argparse.RawDescriptionHelpFormatter,
            **options,  # type: ignore[arg-type]
        )

    def error(self, message: str) -> NoReturn:
        """Report a wrong call and exit with status 2."""
        say(f"{message} (see {self.prog} --help)")
        raise SystemExit(2)


def add_prompt_and_model(parser: Parser) -> None:
    """Add the arguments of every command that reads a prompt, which may be turns."""
    prompt = parser.add_argument_group("prompt")
    prompt.add_argument("word", nargs="?", metavar="PROMPT", help="the text to read; - reads standard input")
    prompt.add_argument(
        "-p", "--prompt", metavar="PROMPT", help="the same, for a text that looks like a command or an option"
    )
    special = prompt.add_mutually_exclusive_group()
    special.add_argument(
        "--bos",
        action=argparse.BooleanOptionalAction,
        help="begin with the BOS token or not (default: as the tokenizer does it)",
    )
    special.add_argument(
        "--chat",
        action="store_true",
        help="put the prompt into the tokenizer's chat template, as what the user says",
    )
    add_turns(parser)
    add_model(parser)


def add_model(parser: Parser, *, lens: bool = True) -> None:
    """Add the arguments for a model, the way to run it and, if wanted, its lens."""
    model = parser.add_argument_group("model")
    which = model.add_mutually_exclusive_group()
    which.add_argument(
        "--model",
        type=given_name,
        metavar="ID|FOLDER|GGUF",
        help="a model on the Hugging Face hub (ID@REVISION for a revision of it), a folder or a GGUF file",
    )
    which.add_argument("--demo", action="store_true", help="the small model that comes with lenstui")
    model.add_argument("--revision", help=REVISION)
    model.add_argument("--adapter", metavar="ID|FOLDER", type=given_name, help=ADAPTER)
    if lens:
        model.add_argument(
            "--lens",
            metavar="FILE|FOLDER",
            type=named_path,
            action="append",
            default=[],
            help="a tuned or Jacobian lens for this model; may be given several times",
        )
    else:
        parser.set_defaults(lens=[])
    model.add_argument("--device", type=_device, help=f"{DEVICES} (default: auto)")
    model.add_argument(
        "--device-map",
        choices=DEVICE_MAPS,
        help="spread the blocks over all devices, the main memory among them (needs accelerate)",
    )
    model.add_argument(
        "--quantize", choices=QUANTIZATIONS, help="load the blocks in 8 or 4 bits (needs bitsandbytes)"
    )
    model.add_argument(
        "--dtype",
        choices=DTYPES,
        help="auto (the default) is float32 on the CPU, the checkpoint's own elsewhere",
    )
    model.add_argument(
        "--threads",
        metavar="N",
        type=positive,
        help="threads of the processor (default: the cores that this process may use)",
    )
    model.add_argument(
        "--trust-remote-code",
        action="store_true",
        help="run the Python code that --model brings, where transformers does not know it: that code can do "
        "whatever you can, so read it first; without this no such code is even fetched",
    )


def add_remote(parser: Parser) -> None:
    """Add the argument for a model whose weights are on NDIF."""
    parser.add_argument(
        "--remote",
        action="store_true",
        help="read --model on NDIF, where its weights stay; NDIF_API_KEY holds your key (needs nnsight)",
    )


def check_remote(parser: Parser, given: argparse.Namespace, *more: str) -> None:
    """Refuse what does not go with `--remote`: the weights are not here, and are as the service has them.

    Args:
        parser: reports a wrong call.
        given: the parsed arguments.
        more: the names of further ones.
    """
    if not given.remote:
        return
    if given.model is None:
        parser.error("--remote needs --model: OWNER/NAME as on the hub")
    names = ("adapter", "device", "device_map", "quantize", "dtype", "trust_remote_code", *more)
    if name := next((name for name in names if getattr(given, name)), None):
        parser.error(f"--{name.replace('_', '-')} is not for --remote: leave one out")


def add_text(parser: Parser, default: str = "") -> argparse._ArgumentGroup:
    """Add the arguments for documents, and return their group, to which more may be added.

    Args:
        parser: of the command.
        default: what is read where no file is named, to stand in the help.
    """
    from lenstui.texts.documents import COLUMN

    text = parser.add_argument_group("text")
    text.add_argument(
        "--data",
        type=given_name,
        metavar="FILE",
        nargs="+",
        action="extend",
        help="Parquet, JSON lines, or plain text between blank lines; globs such as 'data/*.parquet' too"
        + (f" (default: {default})" if default else ""),
    )
    text.add_argument(
        "--text-column", metavar="NAME", help=f"column or field of the text (default: {COLUMN})"
    )
    text.add_argument("--max-samples", metavar="N", type=positive, help="read at most N documents")
    text.add_argument(
        "--min-chars", metavar="N", type=positive, help="pass over documents of fewer characters"
    )
    return text


def add_lenses(group: argparse._ArgumentGroup, option: str = "--lenses", does: str = "") -> None:
    """Add the argument for the kinds of lens that are read.

    Args:
        group: the group of arguments.
        option: its name.
        does: its help; empty for that of `--lenses`.
    """
    from lenstui.lens.kinds import lens_kinds

    kinds = ", ".join(kind.key for kind in lens_kinds())
    every = f"one or several of {kinds} (default: all there are, but not the Jacobian lens of --demo)"
    group.add_argument(
        option,
        type=_lenses,
        metavar="LENS,…",
        help=does or every,
    )


def _lenses(text: str) -> tuple[str, ...]:
    from lenstui.lens.kinds import lens_kinds

    names, kinds = text.split(","), [kind.key for kind in lens_kinds()]
    if unknown := [name for name in names if name not in kinds]:
        raise argparse.ArgumentTypeError(f"unknown lens {unknown[0]!r}: {', '.join(kinds)}")
    return tuple(dict.fromkeys(names))


def check_lens_is_of_use(parser: Parser, given: argparse.Namespace) -> None:
    """Refuse a lens file where all chosen lenses need none."""
    from lenstui.lens.kinds import made_lens

    if given.lens and given.lenses and all(made_lens(kind) is not None for kind in given.lenses):
        parser.error(f"--lens is of no use with --lenses {','.join(given.lenses)}: leave one out")


def add_edits(group: argparse._ArgumentGroup, more: str = "") -> None:
    """Add the argument for edits of the forward pass.

    Args:
        group: of the command.
        more: what else is done with edits, to stand at the end of the help.
    """
    group.add_argument(
        "--edit",
        metavar="EDIT",
        type=_edit,
        action="append",
        default=[],
        help="change the forward pass: 'ablate 4.attn @3', 'patch row 2 \"another prompt\"'; may be given "
        f"several times{more}",
    )


def _edit(text: str) -> Edit:
    from lenstui.edits.language import parse_edit

    try:
        return parse_edit(text)
    except LensError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from error


def text_documents(given: argparse.Namespace, usual: Path | None = None) -> Documents:
    """Return the documents that the arguments of `add_text` name, or those of a file where they name none."""
    from lenstui.texts.documents import Documents

    paths = tuple(given.data or ([] if usual is None else [str(usual)]))
    return Documents(paths, given.text_column, given.min_chars or 1, given.max_samples)


def parse(parser: Parser, words: Sequence[str]) -> argparse.Namespace:
    """Parse the words of a command, taking whatever follows `-p` for the prompt, even `--demo`."""
    bound: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            bound += [word, *rest]
        elif word in {"-p", "--prompt"} and (prompt := next(rest, None)) is not None:
            bound.append(f"--prompt={prompt}")
        else:
            bound.append(word)
    return parser.parse_args(bound)


def heeded() -> Settings:
    """Return the user's settings, and report on stderr what is wrong with their file."""
    settings = load()
    if settings.trouble is not None:
        say(settings.trouble)
    return settings


def start(parser: Parser, given: argparse.Namespace, top_k: int, settings: Settings | None = None) -> Start:
    """Return the request of the shared arguments, with a prompt of `-` read from standard input."""
    model = model_start(parser, given, settings)
    prompt = _prompt(parser, given)
    check_alone(parser, given, prompt=prompt)
    turns = None if given.turns is None else conversation(parser, given, given.turns)
    return replace(model, prompt=prompt, turns=turns, top_k=top_k, bos=given.bos, chat=given.chat)


def model_start(parser: Parser, given: argparse.Namespace, settings: Settings | None = None) -> Start:
    """Return the request of the arguments of `add_model`, without a prompt; settings fill in the rest.

    The number of threads is settled here, as PyTorch asks for it when it is imported.
    """
    if given.trust_remote_code and given.model is None:
        parser.error("--trust-remote-code needs --model: it is for a model that you name and know")
    settings = settings or heeded()
    prepare_threads(given.threads or settings.threads)
    usual = None if given.demo or given.adapter is not None else settings.model
    model, revision = named_model(parser, given, usual)
    return Start(
        model=model,
        revision=revision,
        demo=given.demo,
        lenses=tuple(dict.fromkeys(given.lens)),
        device=given.device or settings.device,
        dtype=given.dtype or settings.dtype,
        device_map=given.device_map,
        quantize=given.quantize,
        trust_remote_code=given.trust_remote_code,
        adapter=given.adapter,
        remote=getattr(given, "remote", False),
    )


def named_model(
    parser: Parser, given: argparse.Namespace, usual: str | None = None
) -> tuple[str | None, str | None]:
    """Return name and revision of the model, which may be typed as `OWNER/NAME@REVISION`.

    Args:
        parser: reports a wrong call.
        given: the parsed arguments, with `model` and `revision`.
        usual: the model where none is given.
    """
    if given.revision is not None and given.model is None:
        parser.error("--revision needs --model")
    if (named := given.model or usual) is None:
        return None, None
    model, revision = split_revision(named)
    if revision is not None and given.revision not in {None, revision}:
        parser.error(f"--model names the revision {revision}, --revision {given.revision}: leave one out")
    return model, revision or given.revision


def given_name(text: str) -> str:
    """Return a name that is not empty, as that of a variable that is not set would be, for argparse."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty")
    return text


def named_path(text: str) -> Path:
    """Return the path of a name that is not empty, `~` being a home folder, for argparse."""
    return expanded(given_name(text))


def positive(text: str) -> int:
    """Return a whole number of at least 1, for argparse."""
    if not (number := whole_number(text)):
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on, not {text!r}")
    return number


def _device(text: str) -> str:
    if not is_device_name(text):
        raise argparse.ArgumentTypeError(f"unknown device {text!r}: {DEVICES}")
    return text


def _prompt(parser: Parser, given: argparse.Namespace) -> str | None:
    if given.word is not None and given.prompt is not None:
        parser.error("two prompts are given: leave one out")
    text: str | None = given.word if given.prompt is None else given.prompt
    if text == "-":
        text = standard_input()
    if text == "":
        parser.error("the prompt is empty")
    if text is not None and not is_unicode(text):
        parser.error(f"the prompt is not valid UTF-8: {printable(text)}")
    return text
