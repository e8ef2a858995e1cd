"""Programs that tests start, what those talk to, and where the checkout is that they run in."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
