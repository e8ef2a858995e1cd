"""A small NDIF on 127.0.0.1: the protocol of nnsight 0.8, a tiny model, and the ways in which it may fail.

It runs as a process of its own, in which lenstui cannot be imported: what a job needs of it has to be sent.
The key says how it answers; the model's name, how a job ends.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

KEY = "right-key-0123456789"
REFUSED, SILENT = "refused-key-0123456789", "silent-key-0123456789"
OLD, NO_SERVICE = "old-key-0123456789", "page-key-0123456789"
NAME = "tiny/model"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True)
class FakeNdif:
    """A service that runs.

    Attributes:
        url: its address.
        folder: the model's folder.
        cache: a Hugging Face cache with the files of the model that are no weights.
    """

    url: str
    folder: Path
    cache: Path


@contextmanager
def running(folder: Path, cache: Path) -> Iterator[FakeNdif]:
    """Start the service for the model in a folder, and end it."""
    for name in (NAME, "tiny/failing", "tiny/damaged", "tiny/waiting"):
        cached(name, folder, cache)
    words = [sys.executable, __file__, str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, stdin=subprocess.PIPE) as service:
        assert service.stdout is not None
        try:
            yield FakeNdif(service.stdout.readline().strip(), folder, cache)
        finally:
            service.kill()


def cached(name: str, folder: Path, cache: Path) -> None:
    """Put the files of a model that are no weights into a cache."""
    place = cache / f"models--{name.replace('/', '--')}"
    snapshot = place / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text(COMMIT)
    for file in folder.iterdir():
        if file.suffix == ".json" and file.name != "model.safetensors.index.json":
            (snapshot / file.name).write_bytes(file.read_bytes())


def use(fake: FakeNdif, patch: pytest.MonkeyPatch, key: str = KEY) -> None:
    """Have this process use the service, with a key."""
    patch.setenv("NDIF_HOST", fake.url)
    patch.setenv("NDIF_API_KEY", key)
    patch.setenv("HF_HUB_CACHE", str(fake.cache))
    patch.setenv("HF_HUB_OFFLINE", "1")


def serve(folder: str) -> None:
    """Run the service until standard input is closed."""
    import io
    import json
    import pickle
    import threading
    import time
    from email.parser import BytesParser
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    sys.modules["lenstui"] = None  # type: ignore[assignment]
    import torch
    import zstandard
    from nnsight import TransformersModel
    from nnsight.schema.request import RequestModel
    from nnsight.tracing.tracer import dec, inc

    model = TransformersModel(folder, task="text-generation", dispatch=True, dtype=torch.float32)

    class Program:  # which would run where it is read without care
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return open, (f"{folder}/was-run", "w")

    states: dict[str, dict[str, object]] = {}
    results: dict[str, bytes] = {}
    lock = threading.Lock()

    def work(job: str, blob: bytes) -> None:
        with lock:
            try:
                known = model._remoteable_persistent_objects()
                tracer = RequestModel.deserialize(blob, known, compress=True)
                before = set(tracer.info.frame.f_locals)
                inc()
                try:
                    tracer.execute(tracer.info.code)
                finally:
                    dec()
                after = tracer.info.frame.f_locals
                buffer = io.BytesIO()
                torch.save({name: after[name] for name in set(after) - before}, buffer)
                results[job] = zstandard.ZstdCompressor().compress(buffer.getvalue())
                states[job] |= {"status": "COMPLETED", "data": f"{url}/result/{job}"}
            except Exception as error:
                states[job] |= {"status": "ERROR", "description": f"Traceback\n  …\n{error!r}"}

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def reply(self, content: object, code: int = 200) -> None:
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def let_in(self) -> bool:
            key = self.headers["ndif-api-key"]
            if key == SILENT:
                time.sleep(30)
            elif key == NO_SERVICE:
                self.reply(b"<html>hello</html>")
            elif key not in {KEY, OLD}:
                self.reply({"detail": f"Missing or invalid API key {key}."}, 401)
            else:
                return True
            return False

        def do_GET(self) -> None:
            match self.path.strip("/").split("/"):
                case ["result", job]:  # as on a store of files: without a key
                    self.reply(results[job] if "ndif-api-key" not in self.headers else b"")
                case ["status"] if self.let_in():
                    names = (NAME, "tiny/failing", "tiny/damaged", "tiny/waiting")
                    self.reply({"deployments": {name: deployed(name) for name in names}})
                case ["env"] if self.let_in():
                    nnsight = "0.6.2" if self.headers["ndif-api-key"] == OLD else "0.8.1"
                    self.reply(
                        {"python_version": "3.12.1 (x)", "packages": {"nnsight": nnsight, "torch": "2.9"}}
                    )
                case ["response", job] if self.let_in():
                    self.reply(states[job])

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            if not self.let_in():
                return
            head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
            parts: Any = BytesParser().parsebytes(head + raw).get_payload()
            data, blob = (part.get_payload(decode=True) for part in parts)
            name = json.loads(json.loads(data)["model_key"].partition(":")[2])["repo_id"]
            job = f"job-{len(states)}"
            states[job] = {"id": job, "status": "QUEUED", "description": ""}
            if name == "tiny/failing":
                states[job] |= {"status": "ERROR", "description": "Traceback …\nOutOfMemoryError: no room"}
            elif name == "tiny/damaged":
                results[job] = zstandard.ZstdCompressor().compress(
                    pickle.dumps({"found": Program()}, protocol=2)
                )
                states[job] |= {"status": "COMPLETED", "data": f"{url}/result/{job}"}
            elif name == NAME:
                threading.Thread(target=work, args=(job, blob), daemon=True).start()
            self.reply({"id": job, "status": "RECEIVED"})

    def deployed(name: str) -> dict[str, object]:
        key = json.dumps({"repo_id": name, "revision": None, "task": "text-generation"})
        return {
            "model_key": f"nnsight.modeling.transformers.TransformersModel:{key}",
            "repo_id": name,
            "revision": "main",
            "task": "text-generation",
            "deployment_level": "HOT",
            "application_state": "RUNNING",
        }

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(url, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve(sys.argv[1])
