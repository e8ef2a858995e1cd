"""A small hub on 127.0.0.1 that lays repositories of lenses out as the published ones are laid out."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import torch

from tests.programs.fake_hub import Handler

LIBRARY, NEURONPEDIA = "AlignmentResearch/tuned-lens", "neuronpedia/jacobian-lens"
WORKSPACE, PLUS_PLUS = "camilablank/workspace-lenses", "koayon/jpp-lenses"
LARGE = 10_000  # bytes from which a file is stored apart, as the hub stores large files
Files = dict[str, bytes]


@dataclass
class Repository:
    """A repository: its files by revision, and how it is refused, if it is."""

    revisions: dict[str, Files]
    refusal: tuple[int, str] | None = None

    def commit(self, revision: str) -> str:
        """The commit of a revision, which goes with its files; a commit is its own."""
        files = self.revisions.get(revision)
        if files is None:
            return revision
        return hashlib.sha1(json.dumps(sorted((p, sha256(c)) for p, c in files.items())).encode()).hexdigest()

    def files(self, revision: str) -> Files | None:
        by_commit = {self.commit(name): files for name, files in self.revisions.items()}
        return self.revisions.get(revision, by_commit.get(revision))


@dataclass
class LensHub:
    """A hub with repositories by their type and name, and the ways in which a download may fail."""

    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    cuts: int = 0  # so many downloads of large files break off in the middle …
    after_cuts: int = 200  # … and the next requests for them get this status
    hold: bool = False  # large files stop in the middle until `go_on`
    go_on: threading.Event = field(default_factory=threading.Event)
    wrong_bytes: bool = False
    slow: float = 0.0  # seconds that a large file takes
    got: list[tuple[str, str | None]] = field(default_factory=list)  # (file, Range) of every download
    looks: list[tuple[str, str | None]] = field(default_factory=list)  # the same of parts of a file
    asked: list[str] = field(default_factory=list)  # the path of every request
    tokens: dict[str, str | None] = field(default_factory=dict)  # what each path was asked with, last
    url: str = ""
    store: str = ""  # the same server by another name, as large files are with another host

    def put(self, name: str, files: Files, *, type: str = "model", revision: str = "main") -> None:
        self.repositories.setdefault((type, name), Repository({})).revisions[revision] = files


class LensHandler(Handler):
    lens_hub: LensHub

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.lens_hub.asked.append(path)
        self.lens_hub.tokens[path.partition("/")[0]] = self.headers["Authorization"]
        match path.split("/"):
            case [""]:
                self.reply(b"a hub")
            case ["api", types, owner, name, "revision", *revision]:
                self.list_files(types.removesuffix("s"), f"{owner}/{name}", "/".join(revision))
            case ["cdn", digest]:
                self.send_stored(digest)
            case [types, owner, name, "resolve", revision, *file] if types in {"spaces", "datasets"}:
                self.send_file(types.removesuffix("s"), f"{owner}/{name}", revision, "/".join(file))
            case [owner, name, "resolve", revision, *file]:
                self.send_file("model", f"{owner}/{name}", revision, "/".join(file))
            case _:
                self.refuse(404, "RepoNotFound")

    def found(self, type: str, name: str, revision: str) -> tuple[Repository, Files] | None:
        """The files of a revision; None, with the refusal sent, where there are none."""
        repository = self.lens_hub.repositories.get((type, name))
        if repository is None:
            self.refuse(401, "RepoNotFound")  # as the hub does where no token is sent
        elif repository.refusal is not None:
            self.refuse(*repository.refusal)
        elif (files := repository.files(revision)) is None:
            self.refuse(404, "RevisionNotFound")
        else:
            return repository, files
        return None

    def list_files(self, type: str, name: str, revision: str) -> None:
        if (found := self.found(type, name, revision)) is None:
            return
        siblings = [sibling(path, content) for path, content in found[1].items()]
        facts = {"id": name, "sha": found[0].commit(revision), "siblings": siblings}
        self.reply(json.dumps(facts).encode())

    def send_file(self, type: str, name: str, revision: str, path: str) -> None:
        if (found := self.found(type, name, revision)) is None:
            return
        repository, files = found
        if path not in files:
            self.refuse(404, "EntryNotFound")
        elif len(content := files[path]) < LARGE:
            if self.command == "GET":
                self.lens_hub.got.append((path, self.headers["Range"]))
            self.head = {"ETag": f'"{blob_id(content)}"', "X-Repo-Commit": repository.commit(revision)}
            self.reply(content)
        else:
            self.send_response(302)
            self.send_header("Location", f"{self.lens_hub.store}/cdn/{sha256(content)}")
            self.send_header("X-Linked-Etag", f'"{sha256(content)}"')
            self.send_header("X-Linked-Size", str(len(content)))
            self.send_header("X-Repo-Commit", repository.commit(revision))
            self.send_header("Content-Length", "0")
            self.end_headers()

    def send_stored(self, digest: str) -> None:
        hub = self.lens_hub
        everything = (f for each in hub.repositories.values() for f in each.revisions.values())
        path, content = next((p, c) for files in everything for p, c in files.items() if sha256(c) == digest)
        wanted = self.headers["Range"]
        first, _, last = (wanted or "").removeprefix("bytes=").partition("-")
        start = int(first) if first else 0
        if last:  # a look into the file
            hub.looks.append((path, wanted))
            self.send_part(content, start, int(last) + 1)
            return
        hub.got.append((path, wanted))
        if hub.hold or hub.cuts:
            hub.cuts -= not hub.hold
            self.halve_from(content, start)
        elif hub.after_cuts != 200:
            self.refuse(hub.after_cuts, "")
        else:
            sent = bytes(len(content)) if hub.wrong_bytes else content
            if hub.slow:
                self.trickle(sent, start)
            else:
                self.reply(sent[start:], start, len(content))

    def trickle(self, content: bytes, start: int) -> None:
        """Send a file in pieces, none of which is late."""
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        piece = len(content) // 50
        with suppress(OSError):  # whoever asked for it was killed
            for begin in range(start, len(content), piece):
                self.wfile.write(content[begin : begin + piece])
                time.sleep(self.lens_hub.slow / 50)
        self.close_connection = True

    def send_part(self, content: bytes, start: int, stop: int) -> None:
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
        self.send_header("Content-Length", str(stop - start))
        self.end_headers()
        self.wfile.write(content[start:stop])

    def halve_from(self, content: bytes, start: int) -> None:
        """Promise the rest, send half of it, and hang (or not) before the line breaks."""
        rest = content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest[: len(rest) // 2])
        self.wfile.flush()
        if self.lens_hub.hold:
            self.lens_hub.go_on.wait(20)
        self.close_connection = True

    head: dict[str, str] = {}  # noqa: RUF012, headers of the next answer

    def end_headers(self) -> None:
        for name, value in self.head.items():
            self.send_header(name, value)
        self.head = {}
        super().end_headers()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def sibling(path: str, content: bytes) -> dict[str, Any]:
    """A file as the hub lists it."""
    facts = {"rfilename": path, "size": len(content), "blobId": blob_id(content)}
    if len(content) >= LARGE:
        facts["lfs"] = {"sha256": sha256(content), "size": len(content), "pointerSize": 130}
    return facts


@contextmanager
def serving() -> Iterator[LensHub]:
    """A hub without repositories, as long as the block runs."""
    hub = LensHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("LensHubHandler", (LensHandler,), {"lens_hub": hub}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    hub.store = hub.url.replace("127.0.0.1", "localhost")
    try:
        yield hub
    finally:
        hub.go_on.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def lens_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LensHub]:
    """A hub without repositories, which the environment names."""
    with serving() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
        yield hub


# ── lenses as others write them ──────────────────────────────────────────────────────────────────────────


def written(content: object) -> bytes:
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


def reference_file(blocks: int, d: int, *, seed: int = 0) -> bytes:
    """A lens of the reference code, to the last row: rows of blocks 0 to L - 2."""
    generator = torch.Generator().manual_seed(seed)
    matrices = {
        block: (torch.eye(d) + 0.1 * torch.randn(d, d, generator=generator)).half()
        for block in range(blocks - 1)
    }
    return written({"J": matrices, "n_prompts": 100, "source_layers": list(matrices), "d_model": d})


def plus_plus_file(blocks: int, d: int, model: str) -> bytes:
    """A lens of J++."""
    config = {"hf_model_name": model, "num_prompts_trained_on": 100, "relative_end_transport_layer": -1}
    matrices = {block: torch.eye(d).half() for block in range(blocks - 1)}
    return written({"parameters": {"jacobians": matrices}, "source_layers": list(matrices), "config": config})


def library_folder(blocks: int, d: int, model: str) -> tuple[bytes, bytes]:
    """`params.pt` and `config.json` of the `tuned-lens` library."""
    state = {}
    for row in range(blocks):
        state[f"{row}.weight"], state[f"{row}.bias"] = 0.1 * torch.eye(d), torch.zeros(d)
    config = {"base_model_name_or_path": model, "d_model": d, "num_hidden_layers": blocks, "bias": True}
    return written(state), json.dumps(config | {"lens_type": "linear_tuned_lens"}).encode()


def fill(hub: LensHub, model: str, blocks: int, d: int) -> None:
    """Lay out the four known repositories, with lenses for one model and for others.

    Args:
        hub: the hub.
        model: `OWNER/NAME`, which has lenses in three repositories; in the fourth nothing names a model.
        blocks: its number of blocks.
        d: its width.
    """
    name = model.rpartition("/")[2]
    params, config = library_folder(blocks, d, model)
    others, their_config = library_folder(blocks, d + 8, "EleutherAI/pythia-14m")
    hub.put(
        LIBRARY,
        {
            "README.md": b"# lenses",
            f"lens/{model}/params.pt": params,
            f"lens/{model}/config.json": config,
            "lens/EleutherAI/pythia-14m/params.pt": others,
            "lens/EleutherAI/pythia-14m/config.json": their_config,
        },
        type="space",
    )
    lens = reference_file(blocks, d)
    by_config = reference_file(blocks, d, seed=1)
    other = reference_file(blocks, d, seed=2)
    hub.put(
        NEURONPEDIA,
        {
            "the-slug/jlens/pile/config.yaml": f"model:\n  hf_name: {model}\nn_prompts: 100\n".encode(),
            f"the-slug/jlens/pile/{name}_jacobian_lens.pt": lens,
            "second/jlens/pile/config.yaml": f"hf_model_name: {model}  # by another name here\n".encode(),
            "second/jlens/pile/Renamed_jacobian_lens.pt": by_config,
            "third/jlens/pile/config.yaml": b"model: Qwen/Qwen3-8B\n",
            "third/jlens/pile/Qwen3-8B_jacobian_lens.pt": other,
        },
    )
    hub.put(
        NEURONPEDIA,
        {
            "the-slug/jlens/pile/config.yaml": f"model:\n  hf_name: {model}\nn_prompts: 1000\n".encode(),
            f"the-slug/jlens/pile/{name}_jacobian_lens.pt": lens,
            f"the-slug/jlens/pile/{name}_jacobian_lens_n1000.pt": reference_file(blocks, d, seed=3),
        },
        revision="qwen-n1000",
    )
    hub.put(
        WORKSPACE,
        {
            "the-slug/j-lens/lens.pt": reference_file(blocks, d, seed=4),
            "the-slug/r-lens/lens.pt": reference_file(blocks, d, seed=5),
            "wide/j-lens/lens.pt": reference_file(blocks, 3 * d),
        },
    )
    hub.put(PLUS_PLUS, {"the-slug/lens.pt": plus_plus_file(blocks, d, model)})
