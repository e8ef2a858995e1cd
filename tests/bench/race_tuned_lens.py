"""A race to a lens as good as the real `tuned-lens` command's, which `lenstui train` is to win. Run by hand.

    python3 -m venv PEER
    PEER/bin/pip install torch==2.13.0 tuned-lens==0.2.0 'transformers<5' 'torchdata<0.10' 'datasets<4' \
        'huggingface-hub<1'
    python tests/bench/race_tuned_lens.py --peer PEER/bin/python [--keep-peer FOLDER] [--until-kl X]

The claims: `lenstui train --preset quick` comes to a mean KL below the one that `tuned_lens train` comes to
in 250 steps of 512 tokens, in at most 1/40 of its time; and stopped where it is there (`--until-kl X`), in at
most 1/100. Both get the same documents, just enough for those 128,000 tokens (of which lenstui holds a tenth
out), and the same core, one after the other. `lenstui eval` judges the lens files on a text that neither saw;
the mean is over the rows that have a translator. X is a KL on the text that lenstui holds out, which is
another one: choose it so that the judged KL is the peer's or less, which the verdict asks for.

The peer's own command runs with its defaults, but for the 512 tokens a step and blocks as long as the model's
context or `--context`, and `--precision auto`, the checkpoint's own; --peer-precision asks for another. All
times are processor seconds, by one thread, so that other programs take less part in them:

- fitting. Peer: from the end of its setup to where it begins to save: its training loop and nothing else;
  it measures nothing on held-out text. lenstui: all from the text read to where it begins to save, held-out
  measurements included.
- loaded: from the model and the tokenizer loaded to the end: reading and tokenizing the text, fitting, and
  the lens saved (and the result printed, in lenstui's case).
- command: the whole process, imports and all.

The verdict is by the first two, the median of our rounds against the peer's fastest. Before the race both
programs take a few steps that do not count. "wall" is what the whole process took by the clock. With
`--peer-steps N` the peer stops after N steps, and only seconds a token are compared: for models with which
250 steps take hours.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
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
TIMES, TIMES_UNTIL = 40, 100  # how much faster ours is to be, whole and until the peer's KL

STAMPS = """
import json, sys, time

times, returned, every = {}, {}, {}

def stamp(name, owner, attribute):
    inner = getattr(owner, attribute)
    def stamped(*arguments, **named):
        began = time.process_time()
        returned[name] = inner(*arguments, **named)
        times[name] = began, time.process_time()
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
from lenstui.cli import main
from lenstui.fitting import driver
from lenstui.opening import opened

stamp("load", opened, "open_model")
stamp("begun", driver, "begun")
stamp("keep", driver.FitDriver, "keep")
if main(words):
    sys.exit(1)
report(
    loaded=time.process_time() - times["load"][1],
    fitting=times["keep"][0] - times["begun"][1],
)
"""


@dataclass(frozen=True, slots=True)
class Seconds:
    """What a run took: processor seconds, and seconds by the clock of the whole process."""

    fitting: float
    loaded: float
    command: float
    wall: float


@dataclass(frozen=True, slots=True)
class Race:
    """What both programs are given.

    Attributes:
        model: a folder.
        data: the corpus.
        documents: how many of it, the first ones.
        context: tokens of a block.
        steps: the peer's.
        preset: ours.
        precision: the peer's.
        work: a folder for whatever is written on the way.
    """

    model: Path
    data: Path
    documents: int
    context: int
    steps: int
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
    parser.add_argument("--judged-tokens", type=int, default=JUDGED_TOKENS)
    parser.add_argument("--context", type=int, help="tokens of the peer's blocks (default: the model's)")
    parser.add_argument("--preset", default="quick", help="ours (default: quick)")
    parser.add_argument("--steps", type=int, help="ours (default: the preset's)")
    parser.add_argument("--until-kl", help="race to the peer's KL, too: ours on its own held-out text")
    parser.add_argument("--peer-precision", default="auto", help="auto (the default), float32, bfloat16")
    parser.add_argument("--peer-steps", type=int, default=STEPS, help="fewer: only seconds a token")
    parser.add_argument("--rounds", type=int, default=3, help="how often ours runs (default: 3)")
    parser.add_argument("--peer-rounds", type=int, default=1, help="how often the peer runs (default: 1)")
    parser.add_argument(
        "--keep-peer", type=Path, metavar="FOLDER", help="take the peer's run from here, or keep it here"
    )
    given = parser.parse_args()
    machine = take_core()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        context = given.context or AutoConfig.from_pretrained(given.model).max_position_embeddings
        race = Race(
            *(given.model, given.data, enough(given.model, given.data, context), context, given.peer_steps),
            *(given.preset, given.peer_precision, work),
        )
        print(f"{machine}, load {os.getloadavg()[0]:.1f} before the start")
        print(f"{race.model.name}, the first {race.documents} documents of {race.data.name}", flush=True)
        peer, peer_lens = peer_side(race, given.peer, given.peer_rounds, given.keep_peer, machine)
        steps = [] if given.steps is None else ["--steps", given.steps]
        run_ours(race, ["--steps", 1])
        whole = [run_ours(race, steps) for _ in range(given.rounds)]
        if race.steps < STEPS:
            return report_tokens(race, peer, whole)
        logit_kl, peer_kl = judge(race, given.judge, given.judged_tokens, peer_lens)
        kls = {"logit lens": logit_kl, "tuned-lens": peer_kl}
        sides = {"lenstui": whole}
        _, kls["lenstui"] = judge(race, given.judge, given.judged_tokens, work / "ours.pt")
        if given.until_kl:
            sides["until its KL"] = [run_ours(race, ["--until-kl", given.until_kl]) for _ in whole]
            _, kls["until its KL"] = judge(race, given.judge, given.judged_tokens, work / "ours.pt")
    return report(peer, sides, kls)


def take_core() -> str:
    """Have this process and its children use one thread, and say what machine this is."""
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    os.environ |= {"TOKENIZERS_PARALLELISM": "false"}
    about = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    parts = (line.partition(":") for line in about.splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, _, value in parts}
    known = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in about.split()]
    name = fields.get("model name") or platform.machine()
    return f"{name}, one thread, {' '.join(known)}, torch {torch.__version__}"


def enough(model: Path, data: Path, context: int) -> int:
    """How many documents fill the peer's 250 steps."""
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
    return read


def peer_side(race: Race, python: str, rounds: int, keep: Path | None, machine: str) -> tuple[Seconds, Path]:
    """The peer's times in its fastest round and its lens, kept from an earlier race or new."""
    text = hashlib.sha256("\0".join(race.texts()).encode()).hexdigest()[:16]
    settings = {"model": race.model.name, "text": text, "precision": race.precision}
    settings |= {"context": str(race.context), "steps": str(race.steps)}
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
        if race.steps >= STEPS:
            run_peer(race, python, race.work / "warm-up", steps=5)
        runs = [run_peer(race, python, folder, steps=race.steps) for _ in range(rounds)]
        seconds, stamps = min(runs, key=lambda run: run[0].fitting)
        each_step = stamps.pop("each_step")
        record = {
            "settings": settings,
            "seconds": asdict(seconds),
            "rounds": [run.fitting for run, _ in runs],
            "undisturbed": race.steps * statistics.quantiles(each_step, n=10)[0],
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
        command, wall = timed_run([python, "-c", PEER, place, *words], offline, stdout=sys.stderr)
        stamps = json.loads(place.read_text())
    if stamps["steps"] != steps:
        raise SystemExit(f"the peer took {stamps['steps']} steps of {steps}: its text ended early")
    return Seconds(stamps["fitting"], stamps["loaded"], command, wall), stamps


def timed_run(words: Sequence[object], environment: dict[str, str], stdout: Any) -> tuple[float, float]:
    """Run a command, and return its processor seconds and its seconds by the clock."""

    def worked() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    clock, before = time.perf_counter(), worked()
    subprocess.run([*map(str, words)], check=True, stdout=stdout, env=os.environ | environment)
    return worked() - before, time.perf_counter() - clock


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


def run_ours(race: Race, more: Sequence[object] = ()) -> Seconds:
    """Run `lenstui train`, which writes ours.pt."""
    place = race.work / "ours.json"
    words = [
        *("train", "--model", race.model, "--data", race.data, "--max-samples", race.documents),
        *("--preset", race.preset, "--device", "cpu", "--save", race.work / "ours.pt", "--format", "json"),
        *more,
    ]
    command = [sys.executable, "-P", "-c", OURS, place, *words]
    worked, wall = timed_run(command, {}, stdout=sys.stderr)
    stamps = json.loads(place.read_text())
    return Seconds(stamps["fitting"], stamps["loaded"], worked, wall)


def judge(race: Race, text: Path, tokens: int, lens: Path) -> tuple[float, float]:
    """Mean KL of the logit lens and of `lens`, the last row left out."""
    words = [
        *("eval", "--lens", lens, "--model", race.model, "--device", "cpu"),
        *("--data", text, "--max-tokens", tokens, "--format", "json"),
    ]
    command = [sys.executable, "-P", "-m", "lenstui", *words]
    done = subprocess.run([*map(str, command)], check=True, stdout=subprocess.PIPE)
    judged = json.loads(done.stdout)
    logit, tuned = (statistics.mean(judged[name]["kl"][:-1]) for name in ("logit", "tuned"))
    return logit, tuned


def report_tokens(race: Race, peer: Seconds, ours: Sequence[Seconds]) -> int:
    """Print seconds a token: all that ours takes by the tokens of its refining and closed form."""
    from lenstui.lens.formats.own import open_lens

    lens = open_lens(race.work / "ours.pt")
    tokens = int((lens.fit or {})["tokens"])
    theirs = peer.fitting / (race.steps * TOKENS_PER_STEP)
    median = statistics.median(run.fitting for run in ours)
    print(f"\nprocessor milliseconds a token: tuned-lens {1e3 * theirs:.2f} ({race.steps} steps), ", end="")
    print(f"lenstui {1e3 * median / tokens:.2f} ({tokens} tokens, measurements included): ", end="")
    print(f"{theirs * tokens / median:.1f} ×")
    print(f"250 steps of tuned-lens would take {theirs * STEPS * TOKENS_PER_STEP:.0f} s, ", end="")
    print(f"{theirs * STEPS * TOKENS_PER_STEP / median:.1f} × this fit of {median:.1f} s")
    return 0


def report(peer: Seconds, sides: Mapping[str, Sequence[Seconds]], kls: dict[str, float]) -> int:
    """Print the table and the verdict."""
    print(
        f"\n{'processor seconds':32}{'fitting':>10}{'loaded':>10}{'command':>10}{'wall':>10}{'mean KL':>10}"
    )
    print(f"{'logit lens':32}{'':40}{kls['logit lens']:10.3f}")
    print(_line("tuned-lens, the fastest", peer, kls["tuned-lens"]))
    checks = {}
    for (name, runs), times in zip(sides.items(), (TIMES, TIMES_UNTIL), strict=False):
        median = Seconds(*(statistics.median(column) for column in zip(*map(astuple, runs), strict=True)))
        print(_line(f"{name}, median of {len(runs)}", median, kls[name]))
        ratios = [theirs / own for theirs, own in zip(astuple(peer), astuple(median), strict=True)]
        print(f"{f'tuned-lens / {name}':32}" + "".join(f"{ratio:10.2f}" for ratio in ratios))
        judged = f"{name}: mean KL {kls[name]:.3f}, at most the peer's {kls['tuned-lens']:.3f}"
        checks[judged] = kls[name] <= kls["tuned-lens"]
        checks[f"{name}: fitting in at most 1/{times} of its time"] = ratios[0] >= times
        checks[f"{name}: from the model loaded in at most 1/{times} of its time"] = ratios[1] >= times
    print()
    for check, passed in checks.items():
        print(f"{'ok  ' if passed else 'FAIL'} {check}")
    print("PASS" if all(checks.values()) else "FAIL")
    return 0 if all(checks.values()) else 1


def _line(name: str, run: Seconds, kl: float) -> str:
    return f"{name:32}" + "".join(f"{seconds:10.2f}" for seconds in astuple(run)) + f"{kl:10.3f}"


if __name__ == "__main__":
    sys.exit(main())
