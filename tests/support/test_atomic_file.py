"""What a file may take the place of, and what is written into instead."""

from __future__ import annotations

import os
import pty
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO

import pytest
import torch

from lenstui.lens import LensError, TunedLens, open_lens, save_lens, save_library_folder
from lenstui.support.atomic_file import check_place, remove, replaced, scratch_folder, written
from tests.programs import ROOT
from tests.programs.calls import run, status

READ = ("read", "x", "--format", "csv")


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def lens() -> TunedLens:
    return TunedLens(torch.ones(2, 16, 16), torch.ones(2, 16))


def save(path: Path) -> None:
    save_lens(lens(), path)


def save_folder_around(path: Path) -> None:
    path.rename(path.with_name("config.json"))
    (path.parent / "params.pt").write_bytes(b"")
    try:
        save_library_folder(lens(), path.parent)
    finally:
        path.with_name("config.json").rename(path)


def convert(path: Path) -> None:
    source = path.parent / "source.pt"
    save(source)
    if code := status("convert", str(source), str(path)):
        raise LensError(f"is a device or a pipe: {code}")


def train(path: Path) -> None:
    if code := status("train", "--demo", "--steps", "1", "--save", str(path)):
        raise LensError(f"is a device or a pipe: {code}")


@pytest.mark.parametrize("write", [save, save_folder_around, convert, train])
def test_a_lens_takes_the_place_of_no_pipe(write: Callable[[Path], None], tmp_path: Path) -> None:
    path = fifo(tmp_path / "lens.pt")
    with pytest.raises(LensError, match="is a device or a pipe"):
        write(path)
    assert path.is_fifo()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a device")
def test_a_lens_takes_the_place_of_no_device(tmp_path: Path) -> None:
    path = tmp_path / "lens.pt"
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))  # as /dev/null
    except PermissionError:
        pytest.skip("no device can be made here")
    with pytest.raises(LensError, match="is a device or a pipe"):
        save(path)
    assert path.is_char_device()


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real, link, new = tmp_path / "real" / "lens.pt", tmp_path / "link.pt", tmp_path / "new.pt"
    save(real)
    before = real.stat().st_ino
    link.symlink_to(real)
    new.symlink_to(tmp_path / "real" / "other.pt")  # leads to nothing yet
    for path in (link, new):
        save(path)
        assert path.is_symlink()
        assert open_lens(path).bias.all()
    assert real.stat().st_ino != before
    assert sorted(path.name for path in (tmp_path / "real").iterdir()) == ["lens.pt", "other.pt"]


def test_a_link_to_a_pipe_and_one_to_itself_are_refused(tmp_path: Path) -> None:
    pipe, link, loop = fifo(tmp_path / "pipe"), tmp_path / "link.pt", tmp_path / "loop.pt"
    link.symlink_to(pipe)
    loop.symlink_to(loop)
    for path in (link, loop):
        with pytest.raises(LensError, match=r"is a device or a pipe|is a link that leads to itself"):
            save(path)
        assert path.is_symlink()
    assert pipe.is_fifo()


def test_permissions_stay_and_private_is_private(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with replaced(path) as file:
        file.write(b"new")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    path.chmod(0o640)
    with replaced(path) as file:
        file.write(b"newer")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with replaced(path, private=True) as file:
        file.write(b"mine")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_bytes() == b"mine"


def test_nothing_that_lies_in_wait_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody guessed the name of the temporary file, and had it lead to another one."""
    monkeypatch.setattr("lenstui.support.atomic_file.os.urandom", bytes)
    victim, trap = tmp_path / "victim", tmp_path / ".x.00000000.lenstui-part"
    victim.write_text("precious")
    trap.symlink_to(victim)
    with pytest.raises(LensError, match="File exists"), replaced(tmp_path / "x"):
        pytest.fail("it was opened")
    assert victim.read_text() == "precious"


HALF = """
import sys
from pathlib import Path
from lenstui.support.atomic_file import replaced
with replaced(Path(sys.argv[1])) as out:
    out.write(b"half")
    out.flush()
    print("half", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_program_left_goes_and_what_is_being_written_stays(tmp_path: Path) -> None:
    file = tmp_path / "a.pt"
    others = [tmp_path / ".a.pt.0123abcd", tmp_path / ".b.pt.0123abcd.lenstui-part"]
    for other in others:
        other.write_bytes(b"not of this file")
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", HALF, file], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"half\n"
    killed, alive = writers
    killed.kill()
    killed.wait()
    parts = set(tmp_path.iterdir()) - {*others}
    assert len(parts) == 2
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))  # long ago
    with replaced(file) as out:
        out.write(b"whole")
    (left,) = set(tmp_path.iterdir()) - {file, *others}
    assert left in parts
    alive.communicate(b"")  # it goes on, and nothing of its bytes is lost
    assert alive.returncode == 0
    assert file.read_bytes() == b"half"
    assert set(tmp_path.iterdir()) == {file, *others}


def test_a_scratch_folder_goes_and_takes_along_those_that_killed_programs_left(tmp_path: Path) -> None:
    left, new, other = (tmp_path / name for name in (".merging-left", ".merging-new", ".other-left"))
    for folder in (left, new, other):
        folder.mkdir()
        (folder / "rows").write_bytes(b"rows")
    with scratch_folder(tmp_path, "merging") as mine:
        for folder in (left, mine, other):
            os.utime(folder, (0, 0))  # long ago
        with scratch_folder(tmp_path, "merging"):
            assert mine.is_dir()  # it is in use
            assert not left.exists()
            assert new.exists()  # somebody may just be about to use it
    assert {*tmp_path.iterdir()} == {new, other}


def test_what_is_removed_takes_its_left_parts_along(tmp_path: Path) -> None:
    file = tmp_path / "a.checkpoint"
    left, new = (tmp_path / f".a.checkpoint.0123abc{n}.lenstui-part" for n in "de")
    for path in (file, left, new):
        path.write_bytes(b"x")
    os.utime(left, (0, 0))
    os.utime(new, (2e9, 2e9))  # a clock was set back
    remove(file)
    remove(file)
    assert [*tmp_path.iterdir()] == [new]


def test_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 120 + ".csv")
    with replaced(path) as file:
        file.write(b"x")
    assert path.read_bytes() == b"x"


@pytest.mark.parametrize("writing", [replaced, written])
def test_what_a_disk_refuses_is_said_for_the_user(
    writing: Callable[[Path], AbstractContextManager[IO[bytes]]], tmp_path: Path
) -> None:
    for path, reason in (
        (tmp_path / "missing" / "x", "No such file or directory"),
        (tmp_path / ("x" * 300), "File name too long"),
    ):
        with pytest.raises(LensError, match=f"x cannot be written: {reason}\\.$"), writing(path):
            pytest.fail("it was opened")
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_gets_what_is_written(neox_folder: Path, tmp_path: Path) -> None:
    path, got = fifo(tmp_path / "out.csv"), []
    reader = threading.Thread(target=lambda: got.append(path.read_text()))
    reader.start()
    assert status(*READ, "--model", str(neox_folder), "-o", str(path)) == 0
    reader.join()
    assert got[0].startswith("lens,row,")
    assert path.is_fifo()


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1"])
def test_stdout_by_name(neox_folder: Path, tmp_path: Path, name: str) -> None:
    words = (*READ, "--model", str(neox_folder))
    wanted = run(*words).stdout
    assert wanted.startswith(b"lens,row,")
    assert run(*words, "-o", name).stdout == wanted  # a pipe
    log = tmp_path / "log"
    log.write_bytes(b"before\n")
    with log.open("ab") as end:  # as `>>` has it
        done = run(*words, "-o", name, stdout=end)
    assert done.returncode == 0
    assert log.read_bytes() == b"before\n" + wanted
    assert list(tmp_path.iterdir()) == [log]


@pytest.mark.skipif(not Path("/bin/bash").exists(), reason="there is no bash here")
def test_a_process_that_takes_it(neox_folder: Path, tmp_path: Path) -> None:
    line = f'"$0" -m lenstui {" ".join(READ)} --model "$1" -o >(cat > "$2")'
    done = subprocess.run(
        ["/bin/bash", "-c", f"{line}; wait $!", sys.executable, str(neox_folder), str(tmp_path / "got")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "got").read_text().startswith("lens,row,")


def test_a_terminal_gets_no_raw_bytes(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        name = Path(os.ttyname(theirs))
        with pytest.raises(LensError, match="is a terminal"):
            check_place(name, special=True)
        with pytest.raises(LensError, match="is a terminal"), written(name) as out:
            out.write(b"\x1b[2J")
    finally:
        os.close(ours)
        os.close(theirs)


def test_the_screen_writes_to_files_alone(tmp_path: Path) -> None:
    for path in (Path("/dev/null"), Path("/dev/stdout"), fifo(tmp_path / "pipe")):
        with pytest.raises(LensError, match="is a device or a pipe"):
            check_place(path)
        if path.name != "stdout":
            check_place(path, special=True)
