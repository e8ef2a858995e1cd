"""A race to a lens as good as the real `tuned-lens` command's, which `lenstui train` is to win. Run by hand.

    python3 -m venv PEER
    PEER/bin/pip install torch==2.13.0 tuned-lens==0.2.0 'transformers<5' 'torchdata<0.10' 'datasets<4' \
        'huggingface-hub<1'
    python tests/bench/race_tuned_lens.py --peer PEER/bin/python [--rounds 3] [--keep-peer FOLDER]

The claim: `lenstui train --preset quick` comes to the mean KL that `tuned_lens train` comes to in 250 steps
of 512 tokens, in at most 1/20 of its time. Both get the same documents, just enough for those 128,000 tokens
(of which lenstui holds a tenth out), and the same two cores, one after the other. `lenstui eval` judges both
lens files on a text that neither saw; the mean is over the rows that have a translator.

The peer's own command runs with its defaults, but for the 512 tokens a step and blocks as long as the model's
context. That leaves one block at a time, two of them a step (two at a time are slower), and `--precision
auto`, the checkpoint's own; --peer-precision asks for another. Three times are taken of each program:

- fitting. Peer: from the end of its setup to where it begins to save: its training loop and nothing else; it
  measures nothing on held-out text. lenstui: "seconds" of its JSON, its held-out measurements included.
- loaded: from the model and the tokenizer loaded to the lens saved, so reading and tokenizing the text too
  (and printing the result, in lenstui's case).
- command: the whole process, imports and all.

The verdict is by the first two, the median of our rounds against the peer's fastest. Before the race both
programs take a few steps that do not count: memory that the machine has not handed out for a while is slow to
touch for the first time. "others" is how many cores were busy with other programs meanwhile (on Linux): with
more than 0.1 during a run there is no PASS, because the peer loses more to them than its share. What it would
have taken at the pace of the fastest tenth of its steps is printed beside.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoTokenizer

from lenstui.texts.blocks import token_blocks
from lenstui.texts.documents import Documents, read_documents

SHARED = Path(__file__).resolve().parents[3] / "shared"
STEPS, TOKENS_PER_STEP = 250, 512
SPARE_BLOCKS = 4  # the peer throws away the last block of every 2048 documents
JUDGED_TOKENS = 16384
TIMES = 20
BUSY = 0.1  # cores that other programs may take meanwhile

STAMPS = """
import json, sys, time

times, returned, every = {}, {}, {}

def stamp(name, owner, attribute):
    inner = getattr(owner, attribute)
    def stamped(*arguments, **named):
        began = time.perf_counter()
        returned[name] = inner(*arguments, **named)
        times[name] = began, time.perf_counter()
        every.setdefault(name, []).append(began)
        return returned[name]
    setattr(owner, attribute, stamped)

place, *words = sys.argv[1:]

def report(**more):
    with open(place, "w") as file:
        json.dump(more, file)
"""

PEER = f"""
{STAMPS}
from importlib.metadata import version
from tuned_lens import TunedLens
from tuned_lens.__main__ import main
from tuned_lens.scripts import ingredients
from tuned_lens.scripts.train_loop import Train

stamp("load", ingredients.Model, "load")
stamp("data", ingredients.Data, "load")
stamp("setup", Train, "setup")
stamp("step", Train, "_log")  # called once a step, with nothing to log to
stamp("save", TunedLens, "save")
main(words)
state, _, blocks_per_step = returned["setup"]  # the state goes on counting
report(
    loaded=times["save"][1] - times["load"][1],
    fitting=times["save"][0] - times["setup"][1],
    data=times["data"][1] - times["data"][0],
    steps=state.step,
    each_step=[after - before for before, after in zip(every["step"], every["step"][1:])],
    blocks_per_step=blocks_per_step,
    dtype=str(next(state.lens.parameters()).dtype),
    versions={{name: version(name) for name in ("tuned-lens", "torch", "transformers")}},
)
"""

OURS = f"""
{STAMPS}
from lenstui.opening import opened
from lenstui.cli import main

stamp("load", opened, "open_model")
if main(words):
    sys.exit(1)
report(loaded=time.perf_counter() - times["load"][1])
"""


@dataclass(frozen=True, slots=True)
class Seconds:
    """What a run took, and how many cores other programs kept busy meanwhile."""

    fitting: float
    loaded: float
    command: float
    others: float


@dataclass(frozen=True, slots=True)
class Race:
    """What both programs are given.

    Attributes:
        model: a folder.
        data: the corpus.
        documents: how many of it, the first ones.
        context: tokens of a block.
        preset: ours.
        precision: the peer's.
        work: a folder for whatever is written on the way.
    """

    model: Path
    data: Path
    documents: int
    context: int
    preset: str
    precision: str
    work: Path

    def texts(self) -> list[str]:
        return list(read_documents(Documents((str(self.data),), max_samples=self.documents)))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", required=True, help="Python of the environment with tuned-lens")
    parser.add_argument("--model", type=Path, default=SHARED / "models" / "stories15M")
    parser.add_argument("--data", type=Path, default=SHARED / "corpora" / "stories.parquet")
    parser.add_argument("--judge", type=Path, default=SHARED / "corpora" / "tinystories-1000.parquet")
    parser.add_argument("--preset", default="quick", help="ours (default: quick)")
    parser.add_argument("--peer-precision", default="auto", help="auto (the default), float32, bfloat16")
    parser.add_argument("--rounds", type=int, default=3, help="how often ours runs (default: 3)")
    parser.add_argument("--peer-rounds", type=int, default=1, help="how often the peer runs (default: 1)")
    parser.add_argument("--cores", type=int, default=2, help="for both (default: 2)")
    parser.add_argument(
        "--keep-peer", type=Path, metavar="FOLDER", help="take the peer's run from here, or keep it here"
    )
    given = parser.parse_args()
    machine = take_cores(given.cores)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        documents, context = enough(given.model, given.data)
        race = Race(given.model, given.data, documents, context, given.preset, given.peer_precision, work)
        print(f"{machine}, load {os.getloadavg()[0]:.1f} before the start")
        print(f"{race.model.name}, the first {documents} documents of {race.data.name}", flush=True)
        peer, peer_lens = peer_side(race, given.peer, given.peer_rounds, given.keep_peer, machine)
        run_ours(race, ["--steps", "1"])
        ours = [run_ours(race) for _ in range(given.rounds)]
        logit_kl, peer_kl = judge(race, given.judge, peer_lens)
        _, our_kl = judge(race, given.judge, work / "ours.pt")
    return report(peer, ours, {"logit": logit_kl, "peer": peer_kl, "ours": our_kl})


def take_cores(count: int) -> str:
    """Keep this process and its children on so many cores, and say what machine this is."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
    os.environ |= {"OMP_NUM_THREADS": str(count), "CUDA_VISIBLE_DEVICES": ""}
    about = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    parts = (line.partition(":") for line in about.splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, _, value in parts}
    known = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in about.split()]
    name = fields.get("model name") or platform.machine()
    return f"{name}, {count} cores, {' '.join(known)}, torch {torch.__version__}"


def others() -> float:
    """Seconds so far that the processors worked for other programs; 0 where the system does not tell."""
    if not Path("/proc/stat").exists():
        return 0.0
    user, nice, system, _, _, irq, soft_irq, stolen = map(
        int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
    )
    worked = (user + nice + system + irq + soft_irq + stolen) / os.sysconf("SC_CLK_TCK")
    return worked - sum(os.times()[:4])  # our own, and that of children that have ended


def enough(model: Path, data: Path) -> tuple[int, int]:
    """How many documents fill the peer's steps, and how long its blocks are."""
    context = AutoConfig.from_pretrained(model).max_position_embeddings
    wanted = STEPS * TOKENS_PER_STEP // context + SPARE_BLOCKS
    read = 0

    def counted() -> Iterator[str]:
        nonlocal read
        for text in read_documents(Documents((str(data),))):
            read += 1
            yield text

    blocks = token_blocks(AutoTokenizer.from_pretrained(model), counted(), context)
    have = sum(1 for _, _ in zip(range(wanted), blocks, strict=False))
    if have < wanted:
        raise SystemExit(f"{data.name} fills {have} blocks of {context} tokens, and {wanted} are needed")
    return read, context


def peer_side(race: Race, python: str, rounds: int, keep: Path | None, machine: str) -> tuple[Seconds, Path]:
    """The peer's times in its fastest round and its lens, kept from an earlier race or new."""
    text = hashlib.sha256("\0".join(race.texts()).encode()).hexdigest()[:16]
    settings = {"model": race.model.name, "text": text, "precision": race.precision, "context": race.context}
    folder = keep or race.work / "peer"
    record_file = folder / "race.json"
    if record_file.exists():
        record = json.loads(record_file.read_text())
        if record["settings"] != settings:
            raise SystemExit(f"{folder} holds another race: {record['settings']}, not {settings}")
        if record["machine"] != machine:
            raise SystemExit(
                f"{folder} is from another machine, and times do not compare: {record['machine']}"
            )
        print(f"peer: kept from {record['time']}; the proof is both in one run")
    else:
        run_peer(race, python, race.work / "warm-up", steps=5)
        runs = [run_peer(race, python, folder, steps=STEPS) for _ in range(rounds)]
        seconds, stamps = min(runs, key=lambda run: run[0].fitting)
        record = {
            "settings": settings,
            "seconds": asdict(seconds),
            "rounds": [run.fitting for run, _ in runs],
            "undisturbed": STEPS * statistics.quantiles(stamps.pop("each_step"), n=10)[0],
            "stamps": stamps,
            "machine": machine,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        record_file.write_text(json.dumps(record, indent=2) + "\n")
    stamps = record["stamps"]
    print(
        f"peer: {', '.join(f'{name} {version}' for name, version in stamps['versions'].items())}; "
        f"a lens in {stamps['dtype'].removeprefix('torch.')}; {stamps['steps']} steps of "
        f"{stamps['blocks_per_step']} × {race.context} tokens; its text took {stamps['data']:.2f} s"
    )
    print(
        f"peer: fitting took {', '.join(f'{took:.1f}' for took in record['rounds'])} s; "
        f"{record['undisturbed']:.1f} s at the pace of the fastest tenth of its steps",
        flush=True,
    )
    return Seconds(**record["seconds"]), folder


def run_peer(race: Race, python: str, folder: Path, steps: int) -> tuple[Seconds, dict[str, Any]]:
    """Run the peer's command, all caches empty."""
    with tempfile.TemporaryDirectory(dir=race.work) as temporary:
        work = Path(temporary)
        text, place = work / "text.jsonl", work / "stamps.json"
        text.write_text("".join(json.dumps({"text": text}) + "\n" for text in race.texts()))
        words = [
            *("train", "--model.name", readable(race.model, work / "model"), "--precision", race.precision),
            *("--data.name", text, "--max_length", race.context, "--output", folder),
            *("--num_steps", steps, "--tokens_per_step", TOKENS_PER_STEP),
        ]
        offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(work / "cache")}
        command = [python, "-c", PEER, place, *words]
        began, before = time.perf_counter(), others()
        subprocess.run([*map(str, command)], check=True, stdout=sys.stderr, env=os.environ | offline)
        whole = time.perf_counter() - began
        busy = (others() - before) / whole
        stamps = json.loads(place.read_text())
    if stamps["steps"] != steps:
        raise SystemExit(f"the peer took {stamps['steps']} steps of {steps}: its text ended early")
    return Seconds(stamps["fitting"], stamps["loaded"], whole, busy), stamps


def readable(model: Path, folder: Path) -> Path:
    """The model with a tokenizer class that transformers before 5 knows, too."""
    folder.mkdir()
    for file in model.iterdir():
        (folder / file.name).symlink_to(file.resolve())
    config = folder / "tokenizer_config.json"
    table = json.loads(config.read_text()) if config.exists() else {}
    if table.get("tokenizer_class") == "TokenizersBackend":
        config.unlink()
        config.write_text(json.dumps(table | {"tokenizer_class": "PreTrainedTokenizerFast"}))
    return folder


def run_ours(race: Race, more: Sequence[str] = ()) -> Seconds:
    """Run `lenstui train`, which writes ours.pt."""
    place = race.work / "ours.json"
    words = [
        *("train", "--model", race.model, "--data", race.data, "--max-samples", race.documents),
        *("--preset", race.preset, "--device", "cpu", "--save", race.work / "ours.pt", "--format", "json"),
        *more,
    ]
    command = [sys.executable, "-P", "-c", OURS, place, *words]
    began, before = time.perf_counter(), others()
    done = subprocess.run([*map(str, command)], check=True, stdout=subprocess.PIPE)
    whole = time.perf_counter() - began
    busy = (others() - before) / whole
    return Seconds(json.loads(done.stdout)["seconds"], json.loads(place.read_text())["loaded"], whole, busy)


def judge(race: Race, text: Path, lens: Path) -> tuple[float, float]:
    """Mean KL of the logit lens and of `lens`, the last row left out."""
    words = [
        *("eval", "--lens", lens, "--model", race.model, "--device", "cpu"),
        *("--data", text, "--max-tokens", JUDGED_TOKENS, "--format", "json"),
    ]
    command = [sys.executable, "-P", "-m", "lenstui", *words]
    done = subprocess.run([*map(str, command)], check=True, stdout=subprocess.PIPE)
    judged = json.loads(done.stdout)
    logit, tuned = (statistics.mean(judged[name]["kl"][:-1]) for name in ("logit", "tuned"))
    return logit, tuned


def report(peer: Seconds, ours: Sequence[Seconds], kl: dict[str, float]) -> int:
    """Print the table and the verdict."""
    runs = [(run.fitting, run.loaded, run.command, run.others) for run in ours]
    columns = [*zip(*runs, strict=True)]
    median = Seconds(*(statistics.median(column) for column in columns))
    least = Seconds(*(min(column) for column in columns))
    print(f"\n{'seconds':32}{'fitting':>10}{'loaded':>10}{'command':>10}{'others':>8}{'mean KL':>10}")
    print(f"{'logit lens':32}{'':38}{kl['logit']:10.3f}")
    for name, run, which in (
        ("tuned-lens, the fastest", peer, "peer"),
        (f"lenstui, median of {len(ours)}", median, "ours"),
        (f"lenstui, least of {len(ours)}", least, "ours"),
    ):
        times = f"{run.fitting:10.2f}{run.loaded:10.2f}{run.command:10.2f}{run.others:8.2f}"
        print(f"{name:32}{times}{kl[which]:10.3f}")
    for name, run in (("median", median), ("least", least)):
        ratios = (peer.fitting / run.fitting, peer.loaded / run.loaded, peer.command / run.command)
        print(f"{f'tuned-lens / lenstui, {name}':32}" + "".join(f"{ratio:10.2f}" for ratio in ratios))
    checks = {
        f"mean KL {kl['ours']:.3f}, at most the peer's {kl['peer']:.3f}": kl["ours"] <= kl["peer"],
        f"others took at most {BUSY} cores": max(peer.others, median.others) <= BUSY,
        f"fitting in at most 1/{TIMES} of its time": TIMES * median.fitting <= peer.fitting,
        f"from the model loaded in at most 1/{TIMES} of its time": TIMES * median.loaded <= peer.loaded,
    }
    print()
    for check, passed in checks.items():
        print(f"{'ok  ' if passed else 'FAIL'} {check}")
    print("PASS" if all(checks.values()) else "FAIL")
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
