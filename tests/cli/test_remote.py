"""`lenstui read --remote`, against a small NDIF on this machine that cannot import lenstui."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from lenstui.lens import LensError, TunedLens, save_lens
from lenstui.model import ndif as protocol
from tests.programs import ndif
from tests.programs.calls import status
from tests.programs.forked import Forked, Program
from tests.tiny.folders import neox_in

needs_nnsight = pytest.mark.skipif(
    find_spec("nnsight") is None, reason="nnsight is not installed: pip install 'lenstui[ndif]'"
)
READ = ("read", "the cat sat", "--remote", "--model")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, byte_tokenizer: Any) -> Iterator[ndif.FakeNdif]:
    folder = neox_in(tmp_path_factory.mktemp("there") / "model", byte_tokenizer)
    with ndif.running(folder, tmp_path_factory.mktemp("cache")) as fake:
        yield fake


def started(programs: Forked, service: ndif.FakeNdif, *words: object, **variables: str) -> Program:
    environment = {
        "NDIF_HOST": service.url,
        "NDIF_API_KEY": ndif.KEY,
        "HF_HUB_CACHE": str(service.cache),
        "HF_HUB_OFFLINE": "1",
    }
    return programs.start(*words, environment=environment | variables)


def are_close(one: Any, other: Any) -> bool:
    """Whether two parts of JSON are the same but for rounding."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(are_close(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(are_close, one, other))
    return bool(one == (pytest.approx(other, abs=1e-4) if isinstance(other, float) else other))


def refusal(programs: Forked, service: ndif.FakeNdif, *words: object, **variables: str) -> str:
    """The one line that it says, without the program's name."""
    program = started(programs, service, *words, **variables)
    assert program.status() == 1
    assert program.out == ""
    (line,) = program.err.splitlines()
    assert not any(key in program.err for key in (ndif.KEY, ndif.REFUSED, ndif.OLD))
    return line.removeprefix("lenstui: ").replace(service.url.removeprefix("http://"), "HOST")


@needs_nnsight
def test_the_numbers_are_those_of_a_readout_here(
    programs: Forked, service: ndif.FakeNdif, tmp_path: Path
) -> None:
    import torch

    save_lens(TunedLens(torch.randn(3, 32, 32) / 20, torch.randn(3, 32) / 20), tmp_path / "mine.pt")
    more = ("--lens", tmp_path / "mine.pt", "--format", "json", "--pin", "a", "t")
    there = started(programs, service, *READ, ndif.NAME, *more)
    here = started(programs, service, "read", "the cat sat", "--model", service.folder, *more)
    assert (here.status(), there.status()) == (0, 0), there.err
    ours, theirs = json.loads(here.out), json.loads(there.out)
    for key in ("tokens", "token_ids", "rows"):
        assert ours[key] == theirs[key]
    assert are_close(ours["lenses"], theirs["lenses"])
    assert are_close(ours["pins"], theirs["pins"])
    assert theirs["model"] == ndif.NAME
    assert theirs["device"].startswith("cpu on NDIF (127.0.0.1")
    assert theirs["versions"]["nnsight"] == "0.8.1"
    said = there.err.splitlines()
    assert any("The service has python 3.12.1" in line for line in said)
    assert any("mine" in line and "cannot be compared" in line for line in said)
    assert ndif.KEY not in there.err + there.out
    table = started(programs, service, *READ, ndif.NAME)
    assert table.status() == 0
    assert f"{ndif.NAME} · float32 on NDIF (127.0.0.1" in " ".join(table.out.split())


@needs_nnsight
@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("", "--remote needs a key: set NDIF_API_KEY (https://login.ndif.us gives one)."),
        ("two\nlines", "NDIF_API_KEY holds characters that no key has: set it to the key alone."),
        (ndif.REFUSED, "NDIF (HOST) refuses the key in NDIF_API_KEY (401): check it, or get another one."),
        (ndif.OLD, "NDIF (HOST) speaks nnsight 0.6.2, and here is 0.8.1: pip install 'nnsight==0.6.2'."),
        (ndif.NO_SERVICE, "NDIF (HOST) answers what no NDIF does: check NDIF_HOST."),
    ],
)
def test_a_key_that_does_not_open_it(programs: Forked, service: ndif.FakeNdif, key: str, line: str) -> None:
    assert refusal(programs, service, *READ, ndif.NAME, NDIF_API_KEY=key) == line


@needs_nnsight
@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "tiny/other",
            "NDIF (HOST) does not run tiny/other: it has "
            "tiny/damaged, tiny/failing, tiny/model, tiny/waiting.",
        ),
        ("tiny/model@v2", "NDIF (HOST) has tiny/model at revision main only, not at v2."),
        ("./model", "--remote is for a model that NDIF has, named OWNER/NAME as on the hub, not ./model."),
        ("tiny/failing", "The job failed on NDIF (HOST): OutOfMemoryError: no room"),
        ("tiny/damaged", "The result from NDIF (HOST) is damaged: try again."),
    ],
)
def test_a_model_that_it_does_not_read(
    programs: Forked, service: ndif.FakeNdif, name: str, line: str
) -> None:
    assert refusal(programs, service, *READ, name) == line
    assert not (service.folder / "was-run").exists()


@needs_nnsight
def test_a_host_that_is_not_there(programs: Forked, service: ndif.FakeNdif) -> None:
    with socket.socket() as one:  # whose port nobody listens at afterwards
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    line = refusal(programs, service, *READ, ndif.NAME, NDIF_HOST=f"http://127.0.0.1:{port}")
    assert line.startswith(f"NDIF (127.0.0.1:{port}) cannot be reached (")
    assert line.endswith("): check the network, or NDIF_HOST.")
    line = refusal(programs, service, *READ, ndif.NAME, NDIF_HOST="ftp://me:secret@host")
    assert line == "NDIF_HOST is no address: it begins with http:// or https:// and has no user name."


@needs_nnsight
def test_a_service_that_stops_answering(service: ndif.FakeNdif, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "ANSWER", 0.3)
    before = time.monotonic()
    with pytest.raises(LensError, match=r"^NDIF \(127.*\) did not answer in 0 s: try again later.$"):
        protocol.Service(service.url, ndif.SILENT).deployment(ndif.NAME)
    assert time.monotonic() - before < 5


@needs_nnsight
def test_a_job_that_never_ends(service: ndif.FakeNdif, monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[str] = []
    there = protocol.Service(service.url, ndif.KEY)
    metadata = json.dumps({"model_key": there.deployment("tiny/waiting").key})
    monkeypatch.setattr(protocol, "UNFINISHED", 0.3)
    with pytest.raises(LensError, match=r"not finished the job in .* minutes \(its last word: queued\)"):
        there.run(metadata, b"", states.append)
    assert states == ["received", "queued"]
    monkeypatch.setattr(protocol, "is_stopped", lambda: True)
    with pytest.raises(LensError, match="Stopped"):
        there.run(metadata, b"")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NDIF_API_KEY", ndif.KEY)
    monkeypatch.setattr(protocol, "find_spec", lambda package: None)
    assert status(*READ, ndif.NAME) == 1
    assert capsys.readouterr().err == "lenstui: --remote needs nnsight: pip install 'lenstui[ndif]'.\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((), "--remote needs --model: OWNER/NAME as on the hub"),
        (("--model", "a/b", "--dtype", "float32"), "--dtype is not for --remote: leave one out"),
        (("--model", "a/b", "--adapter", "c/d"), "--adapter is not for --remote: leave one out"),
        (("--model", "a/b", "--edit", "ablate 1.attn"), "--edit is not for --remote: leave one out"),
        (("--model", "a/b", "--append", "2"), "--append is not for --remote: leave one out"),
        (("--model", "a/b", "--against-model", "c/d"), "--against-model is not for --remote: leave one out"),
    ],
)
def test_what_does_not_go_with_it(
    words: tuple[str, ...], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("read", "hi", "--remote", *words) == 2
    assert capsys.readouterr().err == f"lenstui: {line} (see lenstui read --help)\n"
