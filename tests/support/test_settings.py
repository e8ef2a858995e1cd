"""The settings file: what it may say, and how what it may not say is answered."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from textual.keys import Keys as TextualKeys
from textual.keys import _character_to_key

from lenstui.support import paths, settings
from lenstui.support.lens_repository import LensRepository
from lenstui.support.settings import Settings, key_name, load, read
from tests.programs.forked import Forked

NAMED, TUNED = 'repository = "a/b"\n', 'kind = "tuned"\n'
OWN_LENSES = """
[[lens_repositories]]
repository = "me/my-lenses"
type = "dataset"
revisions = ["main", "v2"]
kind = "jacobian"
files = "{name}/*.pt"
config = "config.yaml"
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings file of this test alone, not there yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = paths.settings()
    path.parent.mkdir()
    return path


def test_no_file_is_no_trouble(file: Path) -> None:
    assert load() == Settings()
    file.parent.rmdir()
    assert load() == Settings()
    file.parent.touch()
    assert load() == Settings()


def test_everything_that_can_be_said(file: Path) -> None:
    file.write_text(
        'theme = "light"\ncolour = 256\nmodel = "~/models/x"\ndevice = "cuda:1"\ndtype = "bfloat16"\n'
        'threads = 4\ntop_k = 3\ninstant_lens = false\n[keys]\n"app.train" = "T"\napp.help = ["?", "F1"]\n'
        'explore.value = "c, Ctrl+V"\nexplore.flip = ","\n'
    )
    assert load() == Settings(
        theme="light",
        colour="256",
        model=str(Path("~/models/x").expanduser()),
        device="cuda:1",
        dtype="bfloat16",
        threads=4,
        top_k=3,
        instant_lens=False,
        keys={
            "app.train": ("T",),
            "app.help": ("question_mark", "f1"),
            "explore.value": ("c", "ctrl+v"),
            "explore.flip": ("comma",),
        },
    )


def test_own_repositories_of_lenses(file: Path) -> None:
    file.write_text(
        OWN_LENSES + '[[lens_repositories]]\nrepository = "a/b"\nkind = "tuned"\nfiles = "*/params.pt"'
    )
    assert load().lens_repositories == (
        LensRepository("me/my-lenses", "jacobian", "{name}/*.pt", "dataset", ("main", "v2"), "config.yaml"),
        LensRepository("a/b", "tuned", "*/params.pt", "model", ("main",), None),
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('themes = "dark"', "'themes' is no setting: perhaps 'theme' is meant"),
        ("[colors]\na = 1", "'colors' is no setting: perhaps 'colour' is meant"),
        ("a = 1", "'a' is no setting: there are colour, device, dtype, instant_lens, keys"),
        ('colour = "mauve"', "'colour' 'mauve' is unknown: there are auto, truecolor, 256, 16, none"),
        ("colour = 255", "'colour' '255' is unknown"),
        ("colour = true", "'colour' must be a text in quotation marks, not True"),
        ('theme = "mauve"', "'theme' 'mauve' is unknown: there are dark, light, ansi-dark, ansi-light"),
        ("theme = 3", "'theme' must be a text in quotation marks, not 3"),
        ('model = " "', "'model' must be a text"),
        ('device = "toaster"', "'device' 'toaster' is unknown"),
        ('dtype = "int3"', "'dtype' 'int3' is unknown"),
        ("top_k = true", "'top_k' must be a whole number from 1 to 5, not True"),
        ("top_k = 6", "'top_k' must be"),
        ("threads = 0", "'threads' must be a whole number from 1 on, not 0"),
        ("threads = true", "'threads' must be a whole number from 1 on, not True"),
        ('threads = "all"', "'threads' must be a whole number from 1 on, not 'all'"),
        ("instant_lens = 0", "'instant_lens' must be true or false, not 0"),
        ('instant_lens = "no"', "'instant_lens' must be true or false, not 'no'"),
        ('keys = "t"', "'keys' must be a section"),
        ('[keys]\n"app.train" = "tt"', "'keys' 'app.train': 'tt' is no key"),
        ('[keys]\n"app.train" = ""', "'keys' 'app.train': '' is no key"),
        ('[keys]\n"app.train" = []', "'keys' 'app.train' must be a key"),
        ("[keys]\napp.train = 3", "'keys' 'app.train' must be a key"),
        ("[keys.app.train]\nx = 1", "'keys' 'app.train' must be a key"),
        ("lens_repositories = 3", "'lens_repositories' must be sections, [[lens_repositories]], not 3"),
        ('[lens_repositories]\nkind = "tuned"', "'lens_repositories' must be sections"),
        ("[[lens_repositories]]", "'lens_repositories' 1: 'repository' is missing"),
        *[
            (f"{OWN_LENSES}\n[[lens_repositories]]\n{text}", f"'lens_repositories' 2: {complaint}")
            for text, complaint in (
                ('repositry = "a/b"', "'repositry' is no setting of it: perhaps 'repository' is meant"),
                (f'repository = "a"\n{TUNED}files = "x"', "'repository' must be OWNER/NAME on the hub"),
                (f"{NAMED}{TUNED}", "'files' is missing"),
                (f'{NAMED}kind = "j"\nfiles = "x"', "'kind' 'j' is unknown: there are"),
                (f'{NAMED}{TUNED}files = "/x"', "'files' must be a path within"),
                (f'{NAMED}{TUNED}files = "../x"', "'files' must be a path within"),
                (f'{NAMED}{TUNED}files = "{{slug}}/x"', "'files' '{slug}/x': in braces there may be"),
                (f'{NAMED}{TUNED}files = "{{model}}/{{name}}"', "'files' '{model}/{name}' names the"),
                (f'type = "modle"\n{NAMED}{TUNED}files = "x"', "'type' 'modle' is unknown: perhaps"),
                (f'revisions = "main"\n{NAMED}{TUNED}files = "x"', "'revisions' must be a list"),
                (f'config = "a/b"\n{NAMED}{TUNED}files = "x"', "'config' must be the name of a file"),
            )
        ],
        ("theme =", "Invalid value"),
        ("a = " + "[" * 5000, ""),
        ("top_k = " + "9" * 5000, ""),
    ],
)
def test_what_is_wrong_is_said_in_one_line(file: Path, text: str, complaint: str) -> None:
    file.write_text(text)
    found = load()
    assert found == Settings(trouble=found.trouble)
    assert found.trouble is not None
    assert found.trouble.startswith(f"{file}: {complaint}")
    assert found.trouble.endswith("The defaults hold.")
    assert found.trouble.isprintable()
    assert len(found.trouble) < len(str(file)) + 250


def test_bytes_and_folders_are_no_settings(file: Path) -> None:
    file.write_bytes(b"theme = '\xff'")
    assert "UTF-8" in str(load().trouble)
    file.unlink()
    file.mkdir()
    assert "cannot be read" in str(load().trouble)


def test_a_character_is_called_as_textual_calls_it() -> None:
    for character in filter(str.isprintable, map(chr, range(33, 0x250))):
        assert key_name(character) == _character_to_key(character)
        if character.isascii():
            assert key_name(key_name(character)) == key_name(character)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        *[("Esc", "escape"), ("pgdn", "pagedown"), ("space", "space"), ("alt+Enter", "alt+enter")],
        *[("ctrl+A", "ctrl+a"), ("shift+a", "A"), ("ctrl++", "ctrl+plus"), ("shift+Tab", "shift+tab")],
    ],
)
def test_keys_have_several_names(name: str, key: str) -> None:
    assert key_name(name) == key


def test_named_keys_are_textuals() -> None:
    names = {key.value for key in TextualKeys}
    for name in ("up", "pageup", "insert", "f24", "escape", "backspace", "delete", "home", "enter", "tab"):
        assert key_name(name) == name
        assert name in names


@pytest.mark.parametrize(
    "name",
    ["", "tt", "ctrl+", "f25", "f0", "hyphen_minus", "hyper", "latin_small_letter_a", "a+b", "\x1b", "+a"],
)
def test_what_is_no_key(name: str) -> None:
    with pytest.raises(ValueError, match="is no key"):
        key_name(name)


relaxed = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
WILD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["app", "app.train"]), inner),
    max_leaves=12,
)
NAMES = st.sampled_from(["theme", "colour", "model", "device", "dtype", "top_k", "keys"])


@relaxed
@given(st.dictionaries(NAMES, WILD))
def test_values_of_any_kind_are_refused_or_taken(found: dict[str, object]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tomllib, "loads", lambda text: found)
        try:
            taken = read("")
        except ValueError as error:
            assert str(error)
        else:
            assert taken.theme in {None, *settings.THEMES}
            assert taken.colour in settings.DEPTHS


@relaxed
@given(st.text() | st.text(alphabet='[]="keysthm.\n'))
def test_any_text_is_refused_or_taken(text: str) -> None:
    try:
        read(text)
    except ValueError as error:
        assert str(error)


def test_the_command_line_heeds_it_and_says_what_is_wrong(
    programs: Forked, file: Path, tmp_path: Path, tiny_folder: Path
) -> None:
    config = {"XDG_CONFIG_HOME": str(tmp_path)}
    file.write_text(f'model = "{tiny_folder}"\n')
    program = programs.start("read", "Hello", environment=config)
    assert (program.status(), program.err) == (0, "")
    assert str(tiny_folder) in program.out
    file.write_text("model = 3\n")
    for words in (["read", "Hello"], ["Hello"]):
        program = programs.start(*words, "--model", tiny_folder, environment=config)
        assert program.status() == 0
        assert program.out
        assert program.err == (
            f"lenstui: {file}: 'model' must be a text in quotation marks, not 3. The defaults hold.\n"
        )


def test_paths_names_it(programs: Forked, file: Path, tmp_path: Path) -> None:
    program = programs.start("paths", environment={"XDG_CONFIG_HOME": str(tmp_path)})
    assert program.status() == 0
    assert str(file) in program.out
