"""A small hub on 127.0.0.1, and a cache in a temporary folder."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from lenstui.model import hub
from lenstui.model.name import DEFAULT_MODEL

NAME = DEFAULT_MODEL
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
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
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
def children(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Every child process that was started."""
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def remember(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
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
    """Files that are half written. `os.walk` takes no notice of folders that go meanwhile."""
    files = (Path(folder, name) for folder, _, names in os.walk(hub.hub_cache()) for name in names)
    return [file for file in files if file.suffix == ".incomplete"]


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
