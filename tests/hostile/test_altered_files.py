"""Files of every kind that are read, altered in one place: each is read, or refused in a line."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch

from lenstui.evaluation.word_items import open_items
from lenstui.export.notebook import KeptView, keep, read_notebook
from lenstui.fitting.options import PRESETS
from lenstui.fitting.processes import ALONE
from lenstui.fitting.progress import FitProgress
from lenstui.fitting.progress_file import ProgressFile, read_progress
from lenstui.lens import LensError, Model, TunedLens, open_lens, save_lens, save_library_folder
from lenstui.lens.catalog import list_lenses
from lenstui.lens.compatibility import fit_warning
from lenstui.lens.formats.jacobian import save_reference
from lenstui.lens.jacobian import JacobianLens
from lenstui.readout.sets.prompt_fields import PromptFile
from lenstui.readout.sets.prompts import open_prompts
from lenstui.scan.catalog import list_scans
from lenstui.scan.columns import arrow_type
from lenstui.scan.folder import Manifest, write_manifest, write_part
from lenstui.scan.matches import find_matches, open_records
from lenstui.support import settings
from lenstui.support.request import Start
from lenstui.texts.documents import Documents, read_documents
from lenstui.tui.session.history import History
from lenstui.tui.session.session import Session
from tests.hostile.altered import altered, altered_bytes
from tests.hostile.refusal import is_read

SAMPLE = 2000 if os.environ.get("LENSTUI_HOSTILE") == "all" else 60  # files of a kind

D, BLOCKS = 32, 3


class Form(NamedTuple):
    """How what a file holds is read as plain values, and written again."""

    values: Callable[[Path], Any]
    write: Callable[[Path, Any], object]


TORCH = Form(lambda path: torch.load(path, weights_only=True), lambda path, value: torch.save(value, path))
JSON = Form(
    lambda path: json.loads(path.read_text("utf-8")),
    lambda path, value: path.write_text(json.dumps(value), "utf-8"),
)
LINES = Form(
    lambda path: [json.loads(line) for line in path.read_text("utf-8").splitlines()],
    lambda path, value: path.write_text("\n".join(map(json.dumps, value)), "utf-8"),
)


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        make: writes a good one, and perhaps more, into a folder, and returns it.
        read: reads it as the program does. It raises `LensError` for a bad one.
        form: how its values are altered; None where only its bytes are.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path, Model], object]
    form: Form | None = None


# ── lenses ───────────────────────────────────────────────────────────────────────────────────────────────


def lens_read(path: Path, model: Model) -> object:
    list_lenses(path.parent)
    lens = open_lens(path)
    fit_warning(lens, model)
    return lens


def tuned(folder: Path) -> Path:
    fit = {"held_out_kl": [3.0, 2.0, 1.0], "preset": "quick", "steps": 3, "data": ["a.txt"], "history": []}
    save_lens(TunedLens(0.1 * torch.randn(BLOCKS, D, D), torch.zeros(BLOCKS, D), fit=fit), folder / "a.pt")
    return folder / "a.pt"


def jacobian(folder: Path) -> Path:
    fit = {"target": "last", "n_prompts": 3}
    save_lens(JacobianLens({row: torch.randn(D, D) for row in range(BLOCKS)}, fit=fit), folder / "a.pt")
    return folder / "a.pt"


def reference(folder: Path) -> Path:
    save_reference(JacobianLens({row: torch.randn(D, D) for row in range(1, BLOCKS)}), folder / "a.pt")
    return folder / "a.pt"


def library(folder: Path) -> Path:
    save_library_folder(TunedLens(torch.randn(BLOCKS, D, D), torch.zeros(BLOCKS, D)), folder / "lens")
    return folder / "lens" / "params.pt"


def mlxterp(folder: Path) -> Path:
    arrays: dict[str, Any] = {
        f"translators_{row}_{part}": np.zeros((D, D) if part == "weight" else D)
        for row in range(BLOCKS)
        for part in ("weight", "bias")
    }
    np.savez(folder / "a.npz", **arrays)
    (folder / "a.json").write_text(json.dumps({"num_layers": BLOCKS, "hidden_dim": D}))
    return folder / "a.npz"


# ── texts and tables ─────────────────────────────────────────────────────────────────────────────────────

CASES = [
    {"prompt": "The sky is", "target": " blue", "foil": " red", "group": "a"},
    {"messages": [{"role": "user", "content": "Hi"}], "target": " you", "at": "answer"},
]
ITEMS = {"items": [{"prompt": "The king of", "intermediates": [" France"], "target": " Paris"}], "at": 1}


def written(name: str, content: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        file = folder / name
        file.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        return file

    return make


def parquet(folder: Path) -> Path:
    table = pa.table({"text": ["a story"] * 50, "prompt": ["Once"] * 50, "target": [" upon"] * 50})
    pyarrow.parquet.write_table(table, folder / "a.parquet")
    return folder / "a.parquet"


def prompts_read(path: Path, model: Model) -> object:
    return open_prompts(PromptFile(path))


def text_read(path: Path, model: Model) -> object:
    return list(read_documents(Documents((str(path),))))


# ── what lenstui keeps ───────────────────────────────────────────────────────────────────────────────────

LOOK = {"prompt": "Hello", "lens": "a.pt", "value": "probability", "row": 1, "sides": ["logit", "tuned"]}
SESSION = {
    **{"version": 1, "model": "a/b", "theme": "dark", "models": {"a/b": LOOK}},
    "fit_texts": {"a/b": {"paths": ["a.txt"]}},
}
SETTINGS = """theme = "dark"
model = "a/b"
top_k = 3
threads = 2

[keys]
"explore.pin" = ["p", "ctrl+p"]

[[lens_repositories]]
repository = "a/b"
kind = "tuned"
files = "{name}/*.pt"
"""


def settings_read(path: Path, model: Model) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(path.parents[1]))
        found = settings.load()
    if found.trouble:
        raise LensError(found.trouble)
    return found


def settings_file(folder: Path) -> Path:
    (folder / "lenstui").mkdir()
    return written("config.toml", SETTINGS)(folder / "lenstui")


def session_read(path: Path, model: Model) -> object:
    session = Session(path)
    if session.trouble:
        raise LensError(session.trouble)
    return session.resume(Start()), session.fit_texts.of("a/b"), session.theme(settings.Settings())


def history_read(path: Path, model: Model) -> object:
    return History(path).walked


def progress(folder: Path) -> Path:
    file = ProgressFile(folder / "a.pt", PRESETS["standard"], "a/b", ALONE)
    kl = np.array([2.0, np.nan])
    file.show(FitProgress("refining", 0.1, 100, 1000, 512, seconds=6.0, eta=3.0, held_out_kl=kl))
    return file.file


def view(folder: Path) -> Path:
    keep(
        KeptView(datetime(2026, 1, 1, tzinfo=UTC).astimezone(), "readout", "a", "b\n", "<svg/>", "c"), folder
    )
    return next(folder.glob("*.json"))


def view_read(path: Path, model: Model) -> object:
    found = read_notebook(path.parent)
    if found.damaged:
        raise LensError("damaged")
    return found


def records(folder: Path) -> Path:
    source = {"model": "m", "dtype": "float32"}
    manifest = Manifest({}, source, ("t.txt",), ("emb", "0", "1"), ("logit",), True, None)
    write_manifest(folder, manifest)
    schema = pa.schema([(each.name, arrow_type(each)) for each in manifest.columns])
    values = {"rows": [0.5, 1.5, 2.5], "float": 0.5, "row": 1, "int": 0}
    row = {column.name: values.get(column.type, "a") for column in manifest.columns}
    rows = [row | {"position": at, "column": at} for at in range(20)]
    write_part(folder, 0, [pa.Table.from_pylist(rows, schema)])
    return next(folder.glob("part-*"))


def records_read(path: Path, model: Model) -> object:
    list_scans(path.parents[1])
    return find_matches(open_records(path.parent), "position > 3", lens="logit")


def manifest(folder: Path) -> Path:
    part = records(folder)
    return next(file for file in part.parent.iterdir() if file.suffix == ".json")


CSV = 'prompt,target\n"The ""sky"" is", blue\nOnce, upon\n'
KINDS = {
    "tuned lens": Kind(tuned, lens_read, TORCH),
    "jacobian lens": Kind(jacobian, lens_read, TORCH),
    "reference lens": Kind(reference, lens_read, TORCH),
    "params of a library folder": Kind(library, lambda path, model: lens_read(path.parent, model), TORCH),
    "config of a library folder": Kind(
        lambda folder: library(folder).with_name("config.json"),
        lambda path, model: lens_read(path.parent, model),
        JSON,
    ),
    "npz lens": Kind(mlxterp, lens_read),
    "json of an npz lens": Kind(
        lambda folder: mlxterp(folder).with_suffix(".json"),
        lambda path, model: lens_read(path.with_suffix(".npz"), model),
        JSON,
    ),
    "prompts in JSON lines": Kind(written("a.jsonl", "\n".join(map(json.dumps, CASES))), prompts_read, LINES),
    "prompts in CSV": Kind(written("a.csv", CSV), prompts_read),
    "prompts in TSV": Kind(written("a.tsv", "prompt\ttarget\nThe sky is\t blue\n"), prompts_read),
    "prompts in Parquet": Kind(parquet, prompts_read),
    "lines of prompts": Kind(written("a.txt", "The sky is\nOnce upon a\n"), prompts_read),
    "items": Kind(written("a.json", ITEMS), lambda path, model: open_items(path), JSON),
    "documents in JSON lines": Kind(
        written("a.jsonl", '{"text": "a story"}\n{"text": "b"}\n'), text_read, LINES
    ),
    "documents in Parquet": Kind(parquet, text_read),
    "documents as text": Kind(written("a.txt", "A story.\n\nAnother one.\n"), text_read),
    "settings": Kind(settings_file, settings_read),
    "session": Kind(
        written("session.json", SESSION),
        session_read,
        JSON,
    ),
    "history": Kind(written("history.json", {"version": 1, "prompts": ["a", "b"]}), history_read, JSON),
    "progress": Kind(progress, lambda path, model: read_progress(path).progress, JSON),
    "view": Kind(view, view_read, JSON),
    "records of a scan": Kind(records, records_read),
    "manifest of a scan": Kind(manifest, records_read, JSON),
}


def copies(kind: Kind, good: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Altered copies of a good file: where, and what writes it. Half are of its values, if it has a form."""
    content, of_values = good.read_bytes(), 0
    if (form := kind.form) is not None:
        every = list(altered(form.values(good)))
        of_values = min(len(every), SAMPLE // 2)
        for where, value in random.Random(0).sample(every, of_values):
            yield where, partial(form.write, good, value)
    for where, changed in islice(altered_bytes(content, 0), SAMPLE - of_values):
        yield where, partial(good.write_bytes, changed)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", KINDS)
def test_each_is_read_or_refused_in_a_line(tiny: Model, tmp_path: Path, name: str) -> None:
    kind, count = KINDS[name], 0
    good = kind.make(tmp_path)
    kind.read(good, tiny)
    for where, write in copies(kind, good):
        try:
            write()
        except (RuntimeError, NotImplementedError, UnicodeEncodeError, TypeError, ValueError):
            continue  # what cannot be written so
        is_read(partial(kind.read, good, tiny), where)
        count += 1
    assert count >= SAMPLE // 2
