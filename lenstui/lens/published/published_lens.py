"""A lens on the hub, by what its repository says of it before it is downloaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lenstui.lens.published.matching import Suits
from lenstui.model.hub import MAIN, repository_folder


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file on the hub.

    Attributes:
        path: its path in the repository.
        size: its size, in bytes.
        sha256: the hash of a large file's bytes; None for a small one.
        blob_id: git's hash of a small file; None where the hub does not say.
    """

    path: str
    size: int
    sha256: str | None = None
    blob_id: str | None = None


@dataclass(frozen=True, slots=True)
class PublishedLens:
    """A lens on the hub.

    Attributes:
        repository: `OWNER/NAME`.
        type: `model`, `dataset` or `space`.
        revision: the branch or tag that it was found on.
        commit: the commit that the revision was at; the lens is downloaded from this one.
        kind: the kind of lens.
        files: the lens's file, and behind it, if there is one, the config beside it.
        made_for: the model that it is for, as its path or config says; None where neither does.
        suits: whether it is for the model that lenses were looked for; None where none was named.
    """

    repository: str
    type: str
    revision: str
    commit: str
    kind: str
    files: tuple[RemoteFile, ...]
    made_for: str | None = None
    suits: Suits | None = None

    @property
    def path(self) -> str:
        """The path of the lens's file in the repository."""
        return self.files[0].path

    @property
    def name(self) -> str:
        """The name of the lens: `OWNER/NAME/PATH`, behind NAME `@REVISION` for another than `main`."""
        revision = "" if self.revision == MAIN else f"@{self.revision}"
        return f"{self.repository}{revision}/{self.path}"

    @property
    def size(self) -> int:
        """The bytes of all its files."""
        return sum(file.size for file in self.files)

    @property
    def place(self) -> Path:
        """The place of the lens's file in the Hugging Face cache, whether it is there or not."""
        return repository_folder(self.repository, self.type) / "snapshots" / self.commit / self.path

    @property
    def is_here(self) -> bool:
        """Whether all its files are on this machine."""
        snapshot = repository_folder(self.repository, self.type) / "snapshots" / self.commit
        return all((snapshot / file.path).is_file() for file in self.files)

    def plain(self) -> dict[str, Any]:
        """Return the lens as plain values, from which `of_plain` makes it again."""
        return asdict(replace(self, suits=None)) | {"suits": None if self.suits is None else self.suits.value}

    @classmethod
    def of_plain(cls, values: Mapping[str, Any]) -> PublishedLens:
        """Return the lens of some plain values."""
        files = tuple(RemoteFile(**file) for file in values["files"])
        suits = None if values["suits"] is None else Suits(values["suits"])
        return cls(**{**values, "files": files, "suits": suits})
