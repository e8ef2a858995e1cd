"""NDIF, the service that runs models for research: its questions and jobs over HTTP, each with a time limit.

It speaks the protocol of nnsight 0.8 (`/status`, `/env`, `/request`, `/response/ID`). The key is a header of
the requests and stands nowhere else.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from platform import python_version
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from lenstui.support.errors import LensError, first_line
from lenstui.support.stopping import is_stopped

if TYPE_CHECKING:
    import httpx

KEY = "NDIF_API_KEY"
HOST = "NDIF_HOST"
USUAL_HOST = "https://api.ndif.us"
CONNECT = 5.0  # seconds in which the host has to be there
ANSWER = 20.0  # seconds that a question may take, from the name server on
TRANSFER = 300.0  # seconds that a job's payload or its result may take
UNFINISHED = 900.0  # seconds after which a job is given up
_POLLS = (0.1, 2.0)  # seconds between two questions how far a job is: the first, and the longest
_LOOK = 0.1  # seconds between two looks whether to stop
_DEPLOYED = ("HOT", "WARM")
_REFUSED = (401, 403)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Deployment:
    """A model that the service runs.

    Attributes:
        key: what the service calls it.
        name: its name on the hub.
        state: whether it is `RUNNING`.
    """

    key: str
    name: str
    state: str


@dataclass(frozen=True, slots=True)
class Service:
    """The service at an address, and the user's key for it.

    Attributes:
        host: `https://api.ndif.us`.
        key: the key.
    """

    host: str
    key: str = field(repr=False)

    @classmethod
    def of_environment(cls) -> Service:
        """Return the service that the environment names. It is not asked, and nothing heavy is imported.

        Raises:
            LensError: if the extra is not installed, there is no key, or the address is none.
        """
        if any(find_spec(package) is None for package in ("nnsight", "httpx")):
            raise LensError("--remote needs nnsight: pip install 'lenstui[ndif]'.")
        key = os.environ.get(KEY, "").strip()
        if not key:
            raise LensError(f"--remote needs a key: set {KEY} (https://login.ndif.us gives one).")
        if not (key.isascii() and key.isprintable()):
            raise LensError(f"{KEY} holds characters that no key has: set it to the key alone.")
        host = os.environ.get(HOST, "").strip().rstrip("/") or USUAL_HOST
        try:
            parts = urlsplit(host)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
            raise LensError(f"{HOST} is no address: it begins with http:// or https:// and has no user name.")
        return cls(host, key)

    @property
    def name(self) -> str:
        """What it is called in messages: `NDIF (api.ndif.us)`."""
        return f"NDIF ({urlsplit(self.host).netloc})"

    def deployment(self, model: str, revision: str | None = None) -> Deployment:
        """Ask which models there are, and return the one with a name and revision.

        Raises:
            LensError: if it is not there, or the service does not answer.
        """
        found = self._plain("/status").get("deployments")
        if not isinstance(found, Mapping):
            raise LensError(f"{self.name} does not say which models it has: try again later.")
        there = [each for each in found.values() if isinstance(each, Mapping)]
        there = [each for each in there if each.get("deployment_level") in _DEPLOYED]
        named = [each for each in there if str(each.get("repo_id")).lower() == model.lower()]
        wanted = revision or "main"
        fitting = [each for each in named if (each.get("revision") or "main") == wanted]
        fitting.sort(key=lambda each: (each.get("application_state") != "RUNNING", each.get("task") is None))
        for each in fitting:
            key = each.get("model_key")
            if isinstance(key, str) and each.get("task") in {None, "text-generation"}:
                return Deployment(key, str(each["repo_id"]), str(each.get("application_state")))
        if fitting:
            raise LensError(f"{self.name} has {model} for another task, not to go on with a text.")
        if named:
            others = sorted({str(each.get("revision") or "main") for each in named})
            raise LensError(f"{self.name} has {model} at revision {', '.join(others)} only, not at {wanted}.")
        names = sorted({str(each.get("repo_id")) for each in there})
        more = f" and {len(names) - 6} more" if len(names) > 6 else ""
        has = f"it has {', '.join(names[:6])}{more}" if names else "it has none at the moment"
        raise LensError(f"{self.name} does not run {model}: {has}.")

    def versions(self) -> dict[str, str]:
        """Ask for the versions of Python and of the packages there, by name.

        Returns:
            `python`, `nnsight`, `torch`, `transformers`, as far as the service says.

        Raises:
            LensError: if the service does not answer.
        """
        found = self._plain("/env", missing={})
        packages = found.get("packages")
        known = packages if isinstance(packages, Mapping) else {}
        python = str(found.get("python_version", "")).split()
        said = {"python": python[0]} if python else {}
        names = ("nnsight", "torch", "transformers")
        return said | {name: str(known[name]) for name in names if isinstance(known.get(name), str)}

    def run(
        self,
        metadata: str,
        payload: bytes,
        on_state: Callable[[str], None] = lambda state: None,
    ) -> bytes:
        """Send a job, wait until it is done, and return its result as it comes.

        Args:
            metadata: which model it is for, as JSON.
            payload: what is to be run.
            on_state: called with each state of the job, in a word: `queued`.

        Raises:
            LensError: if the service refuses the job, fails in it, or does not end it in time; or if the work
                of this thread is to end.
        """
        answer = self._ask(
            "POST",
            "/request",
            TRANSFER,
            data={"data": metadata},
            files={"blob": ("request", payload, "application/octet-stream")},
        )
        begun, pause, state = time.monotonic(), _POLLS[0], ""
        job = _field(self, answer, "id")
        while True:
            said = _field(self, answer, "status")
            if said not in {state, "LOG"}:
                state = said
                on_state(state.lower())
            if state == "COMPLETED":
                return self._result(answer.json().get("data"))
            if state == "ERROR":
                lines = str(answer.json().get("description", "")).strip().splitlines()
                why = self._without_key(lines[-1]) if lines else "it does not say why."
                raise LensError(f"The job failed on {self.name}: {why}")
            if time.monotonic() - begun > UNFINISHED:
                raise LensError(
                    f"{self.name} has not finished the job in {UNFINISHED / 60:.0f} minutes (its last word: "
                    f"{state.lower()}): try again later."
                )
            _wait(pause)
            pause = min(_POLLS[1], 1.5 * pause)
            # 404: no state of it has been written down yet.
            later = self._ask("GET", f"/response/{job}", ANSWER, allowed=(404,))
            answer = later if later.status_code != 404 else answer

    def _result(self, data: object) -> bytes:
        if not isinstance(data, str) or urlsplit(data).scheme not in {"http", "https"}:
            raise LensError(f"{self.name} does not say where the result is: try again later.")
        content: bytes = self._ask("GET", data, TRANSFER, with_key=False).content
        return content

    def _plain(self, path: str, missing: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        """Return the JSON object at a path, or `missing` where the service has no such path."""
        answer = self._ask("GET", path, ANSWER, allowed=() if missing is None else (404,))
        if missing is not None and answer.status_code == 404:
            return missing
        try:
            found = answer.json()
        except ValueError as error:
            raise self._strange() from error
        if not isinstance(found, Mapping):
            raise self._strange()
        return found

    def _strange(self) -> LensError:
        return LensError(f"{self.name} answers what no NDIF does: check {HOST}.")

    def _ask(
        self,
        method: str,
        path: str,
        limit: float,
        *,
        allowed: tuple[int, ...] = (),
        with_key: bool = True,
        **more: Any,
    ) -> httpx.Response:
        """Send a request, and return its answer.

        Args:
            method: of HTTP.
            path: on the host, or an address.
            limit: seconds that the whole may take.
            allowed: codes that are no error though they are 400 or more.
            with_key: whether to send the key.
            more: what else httpx takes.
        """
        import httpx

        address = path if with_key is False else f"{self.host}{path}"
        headers = {"ndif-timestamp": repr(time.time()), **_own_versions()} if with_key else {}
        if with_key:
            headers["ndif-api-key"] = self.key
        patience = httpx.Timeout(CONNECT, read=limit, write=limit)
        try:
            answer = _within(
                limit, lambda: httpx.request(method, address, headers=headers, timeout=patience, **more)
            )
        except httpx.ConnectTimeout as error:
            raise self._unreachable(f"nothing came back in {CONNECT:.0f} s") from error
        except (TimeoutError, httpx.TimeoutException) as error:
            raise LensError(f"{self.name} did not answer in {limit:.0f} s: try again later.") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise self._unreachable(first_line(error)) from error
        code = answer.status_code
        if code in _REFUSED and with_key:
            raise LensError(f"{self.name} refuses the key in {KEY} ({code}): check it, or get another one.")
        if code >= 400 and code not in allowed:
            said = self._detail(answer)
            if code >= 500:
                raise LensError(f"{self.name} answered {code}{f' ({said})' * bool(said)}: try again later.")
            raise LensError(f"{self.name} refuses this ({code}): {said or 'it does not say why'}.")
        return answer

    def _unreachable(self, reason: str) -> LensError:
        why = self._without_key(reason).rstrip(".")
        return LensError(f"{self.name} cannot be reached ({why}): check the network, or {HOST}.")

    def _detail(self, answer: httpx.Response) -> str:
        """Return the first line of what the service says about a refusal, without its full stop."""
        try:
            found = answer.json()
        except ValueError:
            return ""
        said = found.get("detail") if isinstance(found, Mapping) else None
        if not isinstance(said, str) or not said.strip():
            return ""
        return self._without_key(said.strip().splitlines()[0]).rstrip(".")

    def _without_key(self, text: str) -> str:
        return text.replace(self.key, "…")


def difference(here: Mapping[str, str], there: Mapping[str, str]) -> str | None:
    """Return which versions differ here and there, a sentence without its full stop; None if none does.

    Numbers behind the second one do not count.

    Args:
        here: versions by name.
        there: versions by name; those of other names do not count.
    """
    other = [name for name in here if name in there and _release(there[name]) != _release(here[name])]
    if not other:
        return None
    theirs, ours = (
        ", ".join(f"{name} {of[name].partition('+')[0]}" for name in other) for of in (there, here)
    )
    return f"The service has {theirs}; here is {ours}"


def check_protocol(service: Service, there: Mapping[str, str]) -> None:
    """Refuse a service that speaks another nnsight: what it takes changes with the second number.

    Raises:
        LensError: if so.
    """
    ours, theirs = version("nnsight"), there.get("nnsight")
    if theirs is not None and _release(theirs) != _release(ours):
        raise LensError(
            f"{service.name} speaks nnsight {theirs}, and here is {ours}: pip install 'nnsight=={theirs}'."
        )


def _release(text: str) -> tuple[str, ...]:
    return tuple(text.split(".")[:2])


def _own_versions() -> dict[str, str]:
    """Return the headers by which the service knows who asks."""
    return {"nnsight-version": version("nnsight"), "python-version": python_version()}


def _field(service: Service, answer: httpx.Response, name: str) -> str:
    """Return a text that every answer about a job has."""
    try:
        return str(answer.json()[name])
    except (ValueError, LookupError, TypeError) as error:
        raise LensError(f"{service.name} answers what no NDIF does: check {HOST}.") from error


def _wait(seconds: float) -> None:
    """Wait, and ask several times a second whether to stop.

    Raises:
        LensError: if so.
    """
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        _check_stopped()
        time.sleep(min(_LOOK, left))


def _within(limit: float, call: Callable[[], _T]) -> _T:
    """Return what a call returns, or raise what it raises; ask several times a second whether to stop.

    Args:
        limit: seconds; a thread, because neither a hanging name server nor a trickling answer obeys the time
            limits of a connection.
        call: the call, which is left alone after that time.

    Raises:
        TimeoutError: if it takes longer.
        LensError: if the work of this thread is to end.
    """
    answer: Future[_T] = Future()

    def work() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # handed over to the caller
            answer.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    end = time.monotonic() + limit
    while (left := end - time.monotonic()) > 0:
        _check_stopped()
        if wait([answer], timeout=min(_LOOK, left)).done:
            return answer.result()
    raise TimeoutError


def _check_stopped() -> None:
    """Raise a `LensError` if the work of this thread is to end."""
    if is_stopped():
        raise LensError("Stopped: the job may still run on the service.")
