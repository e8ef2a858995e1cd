"""The hub is a small one on 127.0.0.1, the cache a temporary folder, the child process the real one."""

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import huggingface_hub  # before any test changes the environment that it reads on import
import pytest

from lenstui import paths
from lenstui.lens import download as child
from lenstui.lens import hub
from lenstui.lens.errors import LensError

NAME = hub.DEFAULT_MODEL
COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = bytes(range(256)) * 12_000  # 3 MB
FILES = {
    ".gitattributes": b"*",
    "README.md": b"# a model",
    "config.json": b'{"model_type": "gpt_neox"}',
    "flax_model.msgpack": b"no",
    "generation_config.json": b"{}",
    "model.gguf": b"no",
    "model.onnx": b"no",
    "model.safetensors": WEIGHTS,
    "modeling_own.py": b"raise SystemExit",
    "onnx/config.json": b"{}",
    "pytorch_model.bin": b"no",
    "tf_model.h5": b"no",
    "tokenizer.json": b'{"version": "1.0"}',
    "tokenizer_config.json": b"{}",
}
NEEDED = {
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
}


@dataclass
class FakeHub:
    """A hub with one model, and the ways in which it may fail."""

    files: dict[str, bytes] = field(default_factory=lambda: dict(FILES))
    gated: bool = False
    cuts: int = 0  # so many downloads of the weights break off in the middle …
    after_cuts: int = 200  # … and the next requests for them get this status
    hold: bool = False  # the weights stop in the middle until `go_on`
    go_on: threading.Event = field(default_factory=threading.Event)
    got: list[tuple[str, str | None]] = field(default_factory=list)  # (file, Range) of every download
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    hub: FakeHub

    def log_message(self, *_: object) -> None: ...

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        match parts:
            case [""]:
                self.reply(b"a hub")
            case ["api", "models", owner, name, *rest]:
                self.describe(f"{owner}/{name}", "/".join(rest[1:]) or "main")
            case [owner, name, "resolve", revision, *file] if f"{owner}/{name}" == NAME:
                self.send("/".join(file), revision)
            case _:
                self.refuse(404, "RepoNotFound")

    def describe(self, name: str, revision: str) -> None:
        if name != NAME:
            self.refuse(404, "RepoNotFound")
        elif revision not in {"main", "v1", "refs/pr/1", COMMIT}:
            self.refuse(404, "RevisionNotFound")
        else:
            siblings = [{"rfilename": f, "size": len(content)} for f, content in self.hub.files.items()]
            self.reply(json.dumps({"id": name, "sha": COMMIT, "siblings": siblings}).encode())

    def send(self, file: str, revision: str) -> None:
        if self.hub.gated:
            return self.refuse(403, "GatedRepo")
        if file not in self.hub.files:
            return self.refuse(404, "EntryNotFound")
        content, wanted = self.hub.files[file], self.headers["Range"]
        if self.command == "GET":
            self.hub.got.append((file, wanted))
        if self.command == "GET" and file == "model.safetensors":
            if self.hub.hold:
                return self.halve(content)
            if self.hub.cuts:
                self.hub.cuts -= 1
                return self.halve(content)
            if self.hub.after_cuts != 200:
                return self.refuse(self.hub.after_cuts, "")
        start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
        self.reply(content[start:], start, len(content), etag=f"{hash((file, content)) & 0xFFFFFFFF:08x}")
        return None

    def halve(self, content: bytes) -> None:
        """Promise everything, send half, and hang (or not) before the line breaks."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        self.wfile.flush()
        if self.hub.hold:
            self.hub.go_on.wait(20)
        self.close_connection = True

    def reply(self, body: bytes, start: int = 0, total: int | None = None, etag: str = "") -> None:
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{(total or 0) - 1}/{total}")
        if etag:
            self.send_header("ETag", f'"{etag}"')
            self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in (
        "HF_HUB_OFFLINE",
        "TRANSFORMERS_OFFLINE",
        "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
        "HF_TOKEN",
    ):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    fake = FakeHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("FakeHandler", (Handler,), {"hub": fake}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", fake.url)
    yield fake
    fake.go_on.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[str]]:
    """Every child process that was started."""
    started: list[subprocess.Popen[str]] = []
    real = subprocess.Popen

    def remember(*arguments: object, **options: object) -> subprocess.Popen[str]:
        started.append(real(*arguments, **options))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", remember)
    return started


def cached(files: dict[str, bytes], revision: str = "main", name: str = NAME) -> Path:
    """Lay files out as the Hugging Face cache does: blobs, links to them, a ref."""
    repo = hub.hub_cache() / f"models--{name.replace('/', '--')}"
    snapshot = repo / "snapshots" / COMMIT
    for folder in (repo / "blobs", repo / "refs", snapshot):
        folder.mkdir(parents=True, exist_ok=True)
    (repo / "refs" / revision).write_text(COMMIT)
    for file, content in files.items():
        blob = repo / "blobs" / f"blob-{file}"
        blob.write_bytes(content)
        (snapshot / file).symlink_to(blob)
    return snapshot


def leftovers() -> list[Path]:
    """Files that are half written."""
    return list(hub.hub_cache().rglob("*.incomplete"))


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return met


def runs(pid: int) -> bool:
    status = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return status.stdout.strip() not in {"", "Z", "Zs"}


def index(*shards: str) -> bytes:
    return json.dumps({"weight_map": {f"w{i}": shard for i, shard in enumerate(shards)}}).encode()


CONFIG = {"config.json": b"{}"}
INDEX = "model.safetensors.index.json"
TWO_SHARDS = {INDEX: index("a.safetensors", "b.safetensors")}


# Where the cache is


def test_the_cache_is_where_huggingface_hub_has_it(monkeypatch, tmp_path):
    ask = "from huggingface_hub import constants; print(constants.HF_HUB_CACHE)"
    for variables in (
        {},
        {"HF_HOME": "~/x"},
        {"XDG_CACHE_HOME": "/xdg"},
        {"HF_HOME": "/y", "HF_HUB_CACHE": "$HF_HOME/z"},
    ):
        for variable in ("HF_HOME", "XDG_CACHE_HOME", "HF_HUB_CACHE"):
            monkeypatch.delenv(variable, raising=False)
        for variable, value in variables.items():
            monkeypatch.setenv(variable, value)
        theirs = subprocess.run(
            [sys.executable, "-c", ask], capture_output=True, text=True, check=True
        ).stdout
        assert hub.hub_cache() == Path(theirs.strip())


# What is on this machine


def test_a_folder_is_taken_as_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    assert hub.find_local(str(folder)) == folder
    assert hub.find_local("~/mine") == folder
    assert hub.resolve("~/mine") == folder


@pytest.mark.parametrize(
    "weights",
    [
        {"model.safetensors": b"w"},
        {**TWO_SHARDS, "a.safetensors": b"", "b.safetensors": b""},
        {"pytorch_model.bin": b"w"},
        {"pytorch_model.bin.index.json": index("a.bin"), "a.bin": b""},
    ],
)
def test_a_complete_snapshot_is_found_without_the_network(weights):
    snapshot = cached(CONFIG | weights)
    assert hub.find_local(NAME) == snapshot
    assert hub.resolve(NAME) == snapshot
    assert hub.find_local(NAME, COMMIT) == snapshot
    assert hub.find_local(NAME, "v1") is None


@pytest.mark.parametrize(
    "files",
    [
        {},
        CONFIG,
        {"model.safetensors": b"w"},
        CONFIG | TWO_SHARDS,
        CONFIG | TWO_SHARDS | {"a.safetensors": b""},
        CONFIG | {INDEX: b"no index"},
        CONFIG | {INDEX: b"[]"},
    ],
)
def test_half_a_snapshot_is_none(files):
    cached(files)
    assert hub.find_local(NAME) is None
    with pytest.raises(LensError, match="is only partly in the cache"):
        hub.resolve(NAME)


def test_a_link_to_a_missing_blob_is_a_missing_file():
    snapshot = cached({"config.json": b"{}", "model.safetensors": b"w"})
    (snapshot / "model.safetensors").resolve().unlink()
    assert hub.find_local(NAME) is None


# What is refused before anything is asked


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("", "No model is named"),
        ("/no/such/place", "No such folder: /no/such/place"),
        ("./place", "No such folder"),
        ("../place", "No such folder"),
        ("~/place", "No such folder"),
        ("~nobody-of-this-name/place", "No such folder"),
        ("runs/2024/model", "No such folder"),
        ("/" + "x" * 5000, "No such folder"),
        ("model-Q4.GGUF", "No such file: model-Q4.GGUF"),
        ("https://huggingface.co/gpt2", "give only OWNER/NAME"),
    ],
)
def test_names_that_are_refused_at_once(monkeypatch, name, line):
    monkeypatch.setattr(hub, "reachable", lambda: pytest.fail("the network was asked"))
    with pytest.raises(LensError, match=line) as caught:
        hub.resolve(name)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(LensError, match=r"has no config\.json"):
        hub.resolve(str(tmp_path))


def test_a_folder_has_no_revision(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(LensError, match="leave --revision out"):
        hub.resolve(str(tmp_path), "v1")


# Whether the hub answers


def test_a_hub_that_answers_is_reachable(fake):
    assert hub.reachable()


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://127.0.0.1:99999", "nonsense"])
def test_a_closed_door_is_known_at_once(monkeypatch, endpoint):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    start = time.monotonic()
    assert not hub.reachable()
    assert time.monotonic() - start < 1


def test_a_hub_that_never_answers_is_given_up_in_time(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        with pytest.raises(LensError, match=r"127\.0\.0\.1:\d+ cannot be reached: check the network"):
            hub.resolve(NAME)
        assert 1.5 < time.monotonic() - start < 2.5


def test_a_name_server_that_hangs_is_given_up_in_time(monkeypatch):
    end = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        end.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.example")
    start = time.monotonic()
    assert not hub.reachable(timeout=0.3)
    assert 0.2 < time.monotonic() - start < 1
    end.set()


def test_a_hub_that_is_down_does_not_count_as_reachable(fake, monkeypatch):
    monkeypatch.setattr(Handler, "answer", lambda handler: handler.refuse(503, ""))
    assert not hub.reachable()


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_variables_forbid_the_network(fake, monkeypatch, variable):
    monkeypatch.setenv(variable, "1")
    monkeypatch.setattr(hub, "_answers", lambda *_: pytest.fail("the network was asked"))
    assert not hub.reachable()
    with pytest.raises(LensError) as caught:
        hub.resolve(NAME)
    assert str(caught.value) == (
        f"{NAME} is not in the cache ({hub.hub_cache()}) and {variable} is set: unset it, "
        "or give a folder, or --demo."
    )
    monkeypatch.setenv(variable, "0")
    assert hub.offline_variable() is None


# Downloads


def test_a_download_is_found_in_the_cache_when_the_hub_is_gone(fake, monkeypatch):
    seen: list[hub.DownloadProgress] = []
    start = time.monotonic()
    folder = hub.resolve(NAME, on_progress=seen.append)
    assert len(seen) <= 2 + 10 * (time.monotonic() - start)

    assert {file.name for file in folder.iterdir()} == NEEDED
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert [p.done for p in seen] == sorted(p.done for p in seen)
    total = sum(len(FILES[file]) for file in NEEDED)
    assert {p.total for p in seen} == {total}
    assert seen[-1] == hub.DownloadProgress(total, total, "model.safetensors")

    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert hub.resolve(NAME) == folder
    theirs = huggingface_hub.try_to_load_from_cache(NAME, "config.json", cache_dir=hub.hub_cache())
    assert theirs == str(folder / "config.json")


def test_a_sharded_download_is_whole(fake):
    weights = {f"model-0000{i}-of-00002.safetensors": bytes([i]) * 9 for i in (1, 2)}
    fake.files = {k: v for k, v in FILES.items() if k != "model.safetensors"} | weights
    fake.files[INDEX] = index(*weights)
    fake.files["consolidated.safetensors"] = b"the same again, for another program"
    folder = hub.resolve(NAME)
    assert {*weights, INDEX} < {file.name for file in folder.iterdir()}
    assert not (folder / "pytorch_model.bin").exists()
    assert not (folder / "consolidated.safetensors").exists()
    assert hub.find_local(NAME) == folder


def test_without_safetensors_the_pickled_weights_are_taken(fake):
    del fake.files["model.safetensors"]
    folder = hub.resolve(NAME)
    assert (folder / "pytorch_model.bin").exists()
    assert hub.find_local(NAME) == folder


@pytest.mark.parametrize("revision", ["v1", "refs/pr/1", COMMIT])
def test_a_revision_is_found_under_its_own_name_only(fake, revision):
    folder = hub.resolve(NAME, revision)
    assert hub.find_local(NAME, revision) == folder
    assert hub.find_local(NAME) is None


def test_the_files_of_a_model():
    wanted = ["tokenizer.model", "merges.txt", "chat_template.jinja", "additional_chat_templates/tools.jinja"]
    others = ["tokenizer.py", "original/tokenizer.model", "training_args.bin", "model.fp16.safetensors"]
    found = child.support_files([*FILES, *wanted, *others])
    assert set(found) == NEEDED - {"model.safetensors"} | set(wanted)
    code = {"tokenizer.py"} | {name for name in FILES if name.endswith(".py")}
    assert set(child.support_files([*FILES, *wanted, *others], with_code=True)) == set(found) | code


def test_code_is_fetched_only_where_it_is_wanted(fake):
    config = json.dumps(
        {"auto_map": {"AutoModelForCausalLM": "modeling_acme.Acme", "AutoConfig": "a/b--c.D"}}
    )
    fake.files |= {"config.json": config.encode(), "modeling_acme.py": b"pass", "acme_parts.py": b"pass"}
    folder = hub.resolve(NAME)
    assert not [*folder.glob("*.py")]
    assert hub.find_local(NAME) == folder
    assert hub.find_local(NAME, with_code=True) is None
    assert hub.resolve(NAME, with_code=True) == folder
    assert {file.name for file in folder.glob("*.py")} >= {"modeling_acme.py", "acme_parts.py"}
    assert hub.find_local(NAME, with_code=True) == folder


@pytest.mark.parametrize(
    ("name", "revision", "line"),
    [
        ("EleutherAI/pythia-14n", None, "has no model EleutherAI/pythia-14n: check the spelling"),
        (NAME, "step7", f"{NAME} has no revision step7: give a branch, a tag or a commit"),
        ("two words", None, "'two words' is no name of a model: names on the hub are OWNER/NAME"),
    ],
)
def test_what_the_hub_does_not_have(fake, name, revision, line):
    with pytest.raises(LensError, match=line) as caught:
        hub.resolve(name, revision)
    assert "\n" not in str(caught.value)


def test_a_gated_model_says_where_to_ask(fake):
    fake.gated = True
    with pytest.raises(LensError) as caught:
        hub.resolve(NAME)
    assert str(caught.value) == (
        f"{NAME} is gated: accept its terms on {fake.url}/{NAME}, then log in with `hf auth login`."
    )
    assert hub.find_local(NAME) is None


@pytest.mark.parametrize(
    ("files", "line"),
    [
        ({"m.gguf": b""}, "holds GGUF files alone"),
        ({"adapter_config.json": b"", "adapter_model.safetensors": b""}, "is an adapter"),
        ({"config.json": b"{}", "weights.npz": b""}, r"has no config\.json with model\.safetensors"),
    ],
)
def test_a_repository_that_holds_no_model(fake, files, line):
    fake.files = files
    with pytest.raises(LensError, match=line):
        hub.resolve(NAME)


def test_a_line_that_breaks_is_taken_up_where_it_broke(fake):
    fake.cuts = 1
    seen: list[hub.DownloadProgress] = []
    folder = hub.resolve(NAME, on_progress=seen.append)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    ranges = [wanted for file, wanted in fake.got if file == "model.safetensors"]
    assert len(ranges) == 2
    assert ranges[1] is not None  # not from the beginning
    assert seen[-1].done == seen[-1].total


def test_the_next_try_keeps_the_files_that_are_complete(fake):
    fake.cuts, fake.after_cuts = 1, 403
    with pytest.raises(LensError, match=r"answered 403 .*complete files are kept"):
        hub.resolve(NAME)
    assert hub.find_local(NAME) is None
    assert leftovers() == []
    assert "tokenizer.json" in {file for file, _ in fake.got}

    fake.got.clear()
    fake.after_cuts = 200
    folder = hub.resolve(NAME)
    assert {file for file, _ in fake.got} == {"model.safetensors"}
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS


def test_a_stop_ends_the_child_and_leaves_nothing_half(fake, children, monkeypatch):
    monkeypatch.setattr(hub, "_GRACE", 10)  # a busy machine is no failure
    fake.hold = True
    half: list[int] = []

    def halfway() -> bool:
        half.extend(file.stat().st_size for file in leftovers())
        return bool(half) and half[-1] > 0

    with pytest.raises(hub.DownloadStopped, match="was stopped"):
        hub.resolve(NAME, should_stop=halfway)
    assert 0 < half[-1] < len(WEIGHTS)
    assert [process.poll() is not None for process in children] == [True]
    assert leftovers() == []
    assert hub.find_local(NAME) is None


def test_a_child_that_hears_nothing_is_killed(fake, children, monkeypatch, tmp_path):
    deaf = tmp_path / "deaf.py"
    deaf.write_text(
        'import time\nprint(\'{"done": 1, "total": 2, "file": "f"}\', flush=True)\ntime.sleep(60)'
    )
    monkeypatch.setattr(child, "__file__", str(deaf))
    monkeypatch.setattr(hub, "_GRACE", 0.1)
    seen: list[hub.DownloadProgress] = []
    start = time.monotonic()
    with pytest.raises(hub.DownloadStopped):
        hub.download(NAME, on_progress=seen.append, should_stop=lambda: bool(seen))
    assert time.monotonic() - start < 5
    assert children[0].poll() == -9


def test_a_child_that_dies_without_a_word(fake, monkeypatch, tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit('out of luck')")
    monkeypatch.setattr(child, "__file__", str(broken))
    with pytest.raises(LensError, match=r"ended without a result \(out of luck\): try again"):
        hub.resolve(NAME)


def test_modules_beside_the_program_do_not_get_into_the_child(fake, monkeypatch, tmp_path):
    copy = shutil.copy(child.__file__, tmp_path)
    monkeypatch.setattr(child, "__file__", copy)
    for folder in (tmp_path, Path.cwd()):
        (folder / "huggingface_hub.py").write_text("raise SystemExit('shadowed')")
    assert hub.resolve(NAME).is_dir()


def test_the_child_ends_with_its_parent(fake):
    fake.hold = True
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, child.__file__, NAME, str(hub.hub_cache())],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert within(10, lambda: any(file.stat().st_size for file in leftovers()))
    assert runs(pid)
    parent.kill()
    parent.wait()
    assert within(10, lambda: not runs(pid))
    assert leftovers() == []


PARENT = """
import subprocess, sys, time
script, name, cache = sys.argv[1:]
command = [sys.executable, script, name, "main", cache]
child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
time.sleep(60)
"""


# What cannot be written


def test_a_disk_without_room_is_said_before_the_download(fake, monkeypatch, tmp_path):
    monkeypatch.setattr(child.shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
    with pytest.raises(child._RefusedError, match=r"needs 2\.5 GB more and .* has 0\.0 GB free: make room"):
        child._check_disk(NAME, tmp_path, 2_500_000_000)


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (28, "is full: make room"),
        (122, "is full"),
        (13, "cannot be written: set HF_HOME"),
        (30, "cannot be written"),
    ],
)
def test_a_disk_that_fails_is_one_clear_line(tmp_path, number, line):
    said = child.explain(OSError(number, "what the system says"), NAME, "main", tmp_path)
    assert line in said
    assert str(tmp_path) in said


def test_an_unknown_failure_is_one_line(tmp_path):
    said = child.explain(RuntimeError("first\nsecond"), NAME, "main", tmp_path)
    assert "failed (first): try again" in said
    assert "\n" not in said


# The model of someone who named none


def test_the_default_model_comes_from_the_cache(monkeypatch):
    snapshot = cached({"config.json": b"{}", "model.safetensors": b"w"})
    monkeypatch.setattr(hub, "reachable", lambda: pytest.fail("the network was asked"))
    assert hub.choose_default() == hub.Choice(NAME, snapshot, None)


def test_the_default_model_comes_from_the_hub(fake):
    choice = hub.choose_default()
    assert (choice.name, choice.reason) == (NAME, None)
    assert choice.path == hub.find_local(NAME)


def test_the_bundled_model_when_nobody_answers():
    choice = hub.choose_default()
    assert (choice.name, choice.path) == (hub.BUNDLED_MODEL, paths.bundled_model())
    assert (
        choice.reason
        == f"This is the bundled model: {NAME} is not in the cache and 127.0.0.1:9 did not answer"
    )


def test_the_bundled_model_when_the_network_is_forbidden(fake, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub.choose_default().reason == (
        f"This is the bundled model: {NAME} is not in the cache and HF_HUB_OFFLINE is set"
    )


def test_the_bundled_model_when_the_download_fails(fake):
    fake.gated = True
    reason = hub.choose_default().reason
    assert reason is not None
    assert reason.startswith(f"This is the bundled model: {NAME} could not be downloaded (")


def test_a_stop_is_no_reason_for_the_bundled_model(fake):
    fake.hold = True
    with pytest.raises(hub.DownloadStopped):
        hub.choose_default(should_stop=lambda: True)


# Lightness


def test_the_module_is_light():
    heavy = "'huggingface_hub', 'torch', 'textual'"
    code = f"import sys, lenstui.lens.hub; print([m for m in ({heavy}) if m in sys.modules])"
    root = Path(hub.__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
