"""Where lenstui keeps its files. Functions, since the environment decides, and only when they are asked."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_config_dir, user_data_dir, user_state_dir

from lenstui.support.errors import LensError

_APP = "lenstui"


def data() -> Path:
    """What the user made: lenses and exports."""
    return Path(user_data_dir(_APP, appauthor=False))


def lenses() -> Path:
    """The lenses that were fitted here."""
    return data() / "lenses"


def exports() -> Path:
    """Readouts written to files."""
    return data() / "exports"


def config() -> Path:
    """The user's settings; lenstui only reads them."""
    return Path(user_config_dir(_APP, appauthor=False))


def settings() -> Path:
    """The file of the user's settings."""
    return config() / "config.toml"


def state() -> Path:
    """What may be lost without harm: the last session and the log."""
    return Path(user_state_dir(_APP, appauthor=False))


def session() -> Path:
    """The file that remembers the last session."""
    return state() / "session.json"


def history() -> Path:
    """The file of the prompts that were read."""
    return state() / "history.json"


def log() -> Path:
    """The log file."""
    return state() / "lenstui.log"


def bundled_model() -> Path:
    """The model that ships with lenstui: inside an installed package, beside the package in a checkout."""
    return _assets() / "demo"


def bundled_text() -> Path:
    """The text that ships with lenstui, to fit a lens to."""
    return bundled_model() / "text.parquet"


def example_prompts() -> Path:
    """The file of prompts that ships with lenstui."""
    return _assets() / "prompts" / "examples.jsonl"


def _assets() -> Path:
    package = Path(__file__).parents[1]
    installed = package / "assets"
    return installed if installed.is_dir() else package.parent / "assets"


def listing() -> dict[str, Path]:
    """Every place by name, made or not."""
    return {
        "config": config(),
        "settings": settings(),
        "data": data(),
        "lenses": lenses(),
        "exports": exports(),
        "state": state(),
        "session": session(),
        "history": history(),
        "log": log(),
        "bundled model": bundled_model(),
    }


def made(folder: Path) -> Path:
    """The folder, made with its parents where it does not exist yet.

    Raises:
        LensError: if it cannot be made, for example on a read-only disk.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise LensError(
            f"The folder {folder} cannot be made ({reason}): check the place, or name another."
        ) from error
    return folder
