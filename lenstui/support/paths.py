"""Places where lenstui keeps its files, as functions: the environment decides at the time of the call."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_dir, user_config_dir, user_data_dir, user_state_dir

from lenstui.support.errors import LensError

_APP = "lenstui"


def data() -> Path:
    """Return the folder of files that the user made: lenses, exports, scans and the lab notebook."""
    return Path(user_data_dir(_APP, appauthor=False))


def lenses() -> Path:
    """Return the folder of the lenses that were fitted on this machine."""
    return data() / "lenses"


def exports() -> Path:
    """Return the folder for readouts written from the screen."""
    return data() / "exports"


def scans() -> Path:
    """Return the folder for the records of scans that are made on screen, a folder for each."""
    return data() / "scans"


def notebook() -> Path:
    """Return the folder of the lab notebook: the views that were kept on screen, a file for each."""
    return data() / "notebook"


def cache() -> Path:
    """Return the folder of files that can be made again."""
    return Path(user_cache_dir(_APP, appauthor=False))


def instant_lenses() -> Path:
    """Return the folder of the instant lenses, each named by the fingerprint of its model."""
    return cache() / "instant"


def config() -> Path:
    """Return the folder of the user's settings, which lenstui only reads."""
    return Path(user_config_dir(_APP, appauthor=False))


def settings() -> Path:
    """Return the path of the user's settings file."""
    return config() / "config.toml"


def state() -> Path:
    """Return the folder of files that may be lost without harm: session, prompt history, evaluations, log."""
    return Path(user_state_dir(_APP, appauthor=False))


def session() -> Path:
    """Return the path of the file that remembers the last session."""
    return state() / "session.json"


def history() -> Path:
    """Return the path of the file of earlier prompts."""
    return state() / "history.json"


def evaluations() -> Path:
    """Return the path of the file of each lens's last evaluation."""
    return state() / "evaluations.json"


def log() -> Path:
    """Return the path of the log file."""
    return state() / "lenstui.log"


def bundled_model() -> Path:
    """Return the folder of the bundled model, within the installed package or beside it in a checkout."""
    return _assets() / "demo"


def bundled_text() -> Path:
    """Return the path of the bundled text, on which a lens can be fitted."""
    return bundled_model() / "text.parquet"


def general_sample() -> Path:
    """Return the path of the bundled general sample: English and code of many kinds, to fit a lens on."""
    return _assets() / "sample" / "general.parquet"


def example_prompts() -> Path:
    """Return the path of the bundled prompt file."""
    return _assets() / "prompts" / "examples.jsonl"


def _assets() -> Path:
    package = Path(__file__).parents[1]
    installed = package / "assets"
    return installed if installed.is_dir() else package.parent / "assets"


def listing() -> dict[str, Path]:
    """Return every place by its name, whether it exists or not."""
    return {
        "config": config(),
        "settings": settings(),
        "data": data(),
        "lenses": lenses(),
        "exports": exports(),
        "scans": scans(),
        "notebook": notebook(),
        "instant lenses": instant_lenses(),
        "state": state(),
        "session": session(),
        "history": history(),
        "evaluations": evaluations(),
        "log": log(),
        "bundled model": bundled_model(),
    }


def made(folder: Path) -> Path:
    """Make a folder, with its parents, where it does not exist yet, and return it.

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
