"""The command that repeats a readout: text that a shell reads back exactly, and safe to show."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lenstui.export.shape import ALL_VALUES, ONE_TOKEN, TOP_K, Shape
from lenstui.lens.kinds import JACOBIAN, LOGIT, TUNED
from lenstui.lens.names import is_instant
from lenstui.support.printable import is_hidden, is_unicode, printable, with_marks

if TYPE_CHECKING:
    from lenstui.edits.trace_options import TraceOptions
    from lenstui.export.scan import Found
    from lenstui.export.tidy import Heading
    from lenstui.export.trace import Traced
    from lenstui.export.why import Why
    from lenstui.opening.source import Source
    from lenstui.readout.reading import Reading
    from lenstui.scan.asked_query import AskedQuery
    from lenstui.support.request import Start
    from lenstui.support.turns import Conversation


def command_text(words: Iterable[str]) -> str:
    """Return the words of a command on one line, quoted for bash and zsh."""
    return " ".join(map(_quoted, words))


def resume_command(checkpoint: Path, lens: Path | None = None) -> str:
    """Return the command that resumes a fit.

    Args:
        checkpoint: the checkpoint of the fit.
        lens: the file that the lens is to be saved to; None for the one beside the checkpoint.
    """
    save = [] if lens is None else ["--save", str(lens)]
    return command_text(["lenstui", "train", "--resume", str(checkpoint), *save])


def read_command(
    heading: Heading,
    lens_files: Sequence[Path],
    asked: Start,
    shape: Shape,
    against: Sequence[str] = (),
) -> str:
    """Return the command that repeats a readout, even if the defaults change.

    Args:
        heading: the heading of the readout.
        lens_files: the files of its fitted lenses, without that of one that is opened unnamed.
        asked: the request, which alone has the device and `top_k`.
        shape: the part and form of the readout to write.
        against: from `against_words`, where a second model reads the prompt, too.
    """
    typed = asked.typed if shape.append and asked.typed is not None else heading.prompt.typed
    words = [
        *("lenstui", "read", *_prompt_words(typed)),
        *(["--append", str(shape.append)] if shape.append else []),
        *_model_words(heading.source, lens_files, asked, _as_needed(shape, typed)),
        *against,
    ]
    words += [f"--pin={word}" for word in shape.pins]
    words += _edit_words(shape)
    words += ["--diff"] if shape.diff else []
    words += [] if shape.format in ALL_VALUES or shape.is_of_pins else ["--value", shape.value]
    words += [] if shape.format == "table" else ["--format", shape.format]
    if asked.top_k != TOP_K[shape.format] and shape.format not in ONE_TOKEN:
        words += ["--top-k", str(asked.top_k)]
    if shape.is_of_pins:
        words += ["--figure", shape.figure]
        words += [] if shape.column is None else ["--column", str(shape.column)]
    return command_text([*words, *_output_words(shape)])


def against_words(source: Source, lens_files: Sequence[Path], kinds: Sequence[str]) -> list[str]:
    """Return the options that name the second model of a readout.

    Args:
        source: the source of its numbers.
        lens_files: the files of its fitted lenses, without that of one that is opened unnamed.
        kinds: the kinds of lens that it is read through.
    """
    words = [f"--against-model={source.model}"]
    words += [] if source.revision is None else [f"--against-revision={source.revision}"]
    words += [f"--against-lens={file}" for file in lens_files]
    return [*words, f"--against-lenses={','.join(dict.fromkeys(kinds))}"]


def curve_command(lens: Path, shape: Shape) -> str:
    """Return the command that shows the same curve of a fit.

    Args:
        lens: the file of the lens.
        shape: the form, the file, and how a figure looks.
    """
    words = ["lenstui", "lenses", f"--curve={lens.absolute()}"]
    words += [] if shape.format == "table" else ["--format", shape.format]
    return command_text([*words, *_output_words(shape)])


def scan_command(found: Found, asked: AskedQuery, form: str = "table", output: Path | None = None) -> str:
    """Return the command that finds the same among the records of a scan.

    Args:
        found: what was found.
        asked: the query.
        form: the form that is printed or written.
        output: the file; None for none.
    """
    words = ["lenstui", "scan", str(found.records.folder)]
    words += [] if asked.query is None else ["--query", asked.query]
    words += [] if asked.where is None else ["--where", asked.where]
    words += ["--by", found.matches.lens]
    words += [] if asked.sort is None else ["--sort", asked.sort]
    words += ["--top", str(asked.top)]
    words += [] if form == "table" else ["--format", form]
    return command_text([*words, *([] if output is None else ["-o", str(output)])])


def comparison_command(folder: Path, form: str = "table", output: Path | None = None) -> str:
    """Return the command that compares the two sides of a scan again.

    Args:
        folder: the folder of the records.
        form: the form that is printed or written.
        output: the file; None for none.
    """
    words = ["lenstui", "scan", str(folder), "--comparison"]
    words += [] if form == "table" else ["--format", form]
    return command_text([*words, *([] if output is None else ["-o", str(output)])])


def set_command(
    source: Source, options: Sequence[str], lens_files: Sequence[Path], asked: Start, shape: Shape
) -> str:
    """Return the command that reads the same prompt set again.

    Args:
        source: the source of its numbers.
        options: the options of the set, `--prompts` first.
        lens_files: the files of its fitted lenses.
        asked: the request.
        shape: the part and form of the readout to write.
    """
    words = ["lenstui", "read", *options, *_model_words(source, lens_files, asked, shape)]
    words += _edit_words(shape)
    words += ["--value", shape.value, "--format", shape.format]
    return command_text([*words, *_output_words(shape)])


def why_command(
    why: Why, options: Sequence[str], lens_files: Sequence[Path], asked: Start, shape: Shape
) -> str:
    """Return the command that explains the same cell again.

    Args:
        why: the contributions.
        options: what else was asked for, as options.
        lens_files: the files of the fitted lens, without that of one that is opened unnamed.
        asked: the request.
        shape: the kind of lens, the form and the file.
    """
    of = why.contributions
    words = ["lenstui", "why", *_prompt_words(why.prompt.typed), "--row", of.row, "--column", str(of.column)]
    words += [f"--token=[id {of.token}]", *([f"--minus=[id {of.minus}]"] if of.minus is not None else [])]
    words += [*options, *_edit_words(shape)]
    words += _model_words(why.source, lens_files, asked, _as_needed(shape, why.prompt.typed))
    words += [] if shape.format == "table" else ["--format", shape.format]
    return command_text([*words, *_output_words(shape)])


def _prompt_words(typed: str | Conversation) -> list[str]:
    """Return the options that name a prompt: its text, or its turns as JSON."""
    if isinstance(typed, str):
        return ["-p", typed]
    return ["--turns", typed.json, *_ending_words(typed)]


def _as_needed(shape: Shape, typed: str | Conversation) -> Shape:
    """Return a shape without `--chat` where a prompt is of turns, which are in the chat template anyway."""
    return shape if isinstance(typed, str) else replace(shape, reading=replace(shape.reading, chat=False))


def _ending_words(turns: Conversation) -> list[str]:
    """Return the options that say how turns end."""
    thinking = [] if turns.thinking is None else ["--thinking" if turns.thinking else "--no-thinking"]
    return [*thinking, *(["--closed"] if turns.closed else [])]


def can_be_typed(prompt: str) -> bool:
    """Return whether a command line can hold a prompt."""
    return prompt != "-" and "\0" not in prompt and is_unicode(prompt)


def trace_command(traced: Traced, asked: Start, shape: Shape) -> str:
    """Return the command that makes the same causal trace.

    Args:
        traced: the trace.
        asked: the request.
        shape: the form, the file, and how a figure looks.
    """
    prompts = [prompt.typed for prompt in (traced.clean, traced.corrupted) if prompt is not None]
    words = _trace_words(traced.trace.options, traced.source, asked, shape)
    turns = [typed for typed in prompts if not isinstance(typed, str)]
    if turns:
        named = ["--turns", *(each.json for each in turns), *_ending_words(turns[0])]
        return command_text(["lenstui", "trace", *named, *words])
    return command_text(["lenstui", "trace", *words, "--", *map(str, prompts)])


def set_trace_command(
    options: TraceOptions, source: Source, prompts: Sequence[str], asked: Start, shape: Shape
) -> str:
    """Return the command that makes the same causal traces over a prompt set.

    Args:
        options: what was patched, and how it was measured.
        source: the source of the numbers.
        prompts: the options of the set, `--prompts` first.
        asked: the request.
        shape: the form, the file, and how a figure looks.
    """
    return command_text(["lenstui", "trace", *prompts, *_trace_words(options, source, asked, shape)])


def _trace_words(options: TraceOptions, source: Source, asked: Start, shape: Shape) -> list[str]:
    """Return the options of `lenstui trace`."""
    words = ["--what", options.what, "--metric", options.metric]
    words += [] if options.token is None else [f"--pin=[id {options.token}]"]
    words += [] if options.minus is None else [f"--minus=[id {options.minus}]"]
    words += ["--window", str(options.window)] if options.window > 1 else []
    words += ["--approximate"] if options.approximate else []
    words += [] if options.column is None else ["--column", str(options.column)]
    if options.noise is not None:
        words += ["--noise", options.noise.text]
        words += ["--samples", str(options.samples), "--seed", str(options.seed)]
    form = shape.format
    shape = replace(shape, reading=replace(shape.reading, bos=asked.bos))
    source = replace(source, kinds=(TUNED,))  # a trace has no lens to name
    words += [*_model_words(source, (), asked, shape), *([] if form == "table" else ["--format", form])]
    return [*words, *_output_words(shape)]


def evaluation_command(
    source: Source,
    options: Sequence[str],
    lens_files: Sequence[Path],
    asked: Start,
    shape: Shape,
) -> str:
    """Return the command that makes the same evaluation.

    Args:
        source: the source of its numbers.
        options: the options of the text and of what is shown, `--data` first.
        lens_files: the files of its fitted lenses, without that of one that is opened unnamed.
        asked: the request.
        shape: the form and the file.
    """
    source = replace(source, lenses=())  # an instant lens is named as any other
    if LOGIT not in source.kinds:  # which would be read, too
        shape = replace(shape, lenses=tuple(dict.fromkeys(source.kinds)))
    words = ["lenstui", "eval", *options, *_model_words(source, lens_files, asked, shape)]
    return command_text([*words, "--format", shape.format, *_output_words(shape)])


def _model_words(source: Source, lens_files: Sequence[Path], asked: Start, shape: Shape) -> list[str]:
    """Return the options that open the same model and lens, and read a prompt in the same way."""
    from lenstui.model.name import BUNDLED_MODEL  # late: the import is slow, and not every file has a command

    is_bundled = source.model == BUNDLED_MODEL
    words = ["--demo"] if is_bundled else ["--model", source.model]
    if source.revision is not None:
        words += ["--revision", source.revision]
    if source.adapter is not None:
        words += ["--adapter", source.adapter.name]
    if asked.remote:
        words.append("--remote")
    if asked.trust_remote_code:
        words.append("--trust-remote-code")
    for file in lens_files:
        words += ["--lens", str(file)]
    if any(is_instant(each.card) for each in source.lenses):
        words.append("--instant")
    if shape.lenses is not None:
        words += ["--lenses", ",".join(shape.lenses)]
    elif TUNED not in source.kinds or (is_bundled and JACOBIAN in source.kinds):
        # By then there may be a tuned one; the bundled Jacobian lens opens only where its kind is named.
        words += ["--lenses", ",".join(dict.fromkeys(source.kinds or (LOGIT,)))]
    if not asked.remote:
        words += ["--dtype", source.dtype.partition(" ")[0]]  # behind it may be how it is quantised
    words += ["--device", asked.device] if asked.device != "auto" else []
    words += ["--device-map", asked.device_map] if asked.device_map else []
    words += ["--quantize", asked.quantize] if asked.quantize else []
    reading = shape.reading
    # Sublayer rows have no difference, since a fitted lens does not read them, and no place among the rows.
    if shape.diff or shape.is_of_pins:
        reading = replace(reading, sublayers=False)
    return [*words, *_reading_words(reading)]


def _edit_words(shape: Shape) -> list[str]:
    return [word for edit in shape.edits for word in ("--edit", edit.text)]


def _output_words(shape: Shape) -> list[str]:
    style = shape.style.options if shape.is_figure else []
    return [*style, *(["-o", shape.output.name] if shape.output is not None else [])]


def _reading_words(reading: Reading) -> list[str]:
    """Return the options of `lenstui read` for a reading."""
    words = []
    if reading.bos is not None:
        words.append("--bos" if reading.bos else "--no-bos")
    if reading.chat:
        words.append("--chat")
    if reading.rows.runs is not None:
        words.append(f"--rows={reading.rows.text}")
    elif reading.rows.stride > 1:
        words += ["--stride", str(reading.rows.stride)]
    if not reading.final_norm:
        words.append("--no-final-norm")
    if reading.sublayers:
        words.append("--sublayers")
    if reading.words_only:
        words.append("--words-only")
    return words


def _quoted(word: str) -> str:
    if printable(word) == word:
        return shlex.quote(word)
    return "$'" + "".join(_escaped(character, is_piled) for character, is_piled in with_marks(word)) + "'"


def _escaped(character: str, is_piled: bool) -> str:
    if character in "\\'":
        return f"\\{character}"
    if not (is_piled or is_hidden(character)):
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
