"""The scans in a folder, each described by its manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lenstui.scan.folder import MANIFEST, Manifest, read_manifest
from lenstui.support.errors import LensError


@dataclass(frozen=True, slots=True)
class ListedScan:
    """A scan in a list.

    Attributes:
        folder: its folder.
        manifest: what its records were made of; None where it is damaged.
        changed: when it was last written to, in seconds since the epoch.
    """

    folder: Path
    manifest: Manifest | None
    changed: float


def list_scans(place: Path) -> list[ListedScan]:
    """Return the scans in a folder, the last one first; none where there is no such folder."""
    found: list[ListedScan] = []
    try:
        manifests = list(place.glob(f"*/{MANIFEST}"))
    except OSError:
        return []
    for path in manifests:
        try:
            manifest = read_manifest(path.parent)
            changed = max(path.stat().st_mtime, path.parent.stat().st_mtime)
        except LensError:
            manifest, changed = None, 0.0
        except OSError:  # it went away meanwhile
            continue
        found.append(ListedScan(path.parent, manifest, changed))
    return sorted(found, key=lambda scan: scan.changed, reverse=True)
