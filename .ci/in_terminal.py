"""Run a command in a terminal until it shows a text, then press q: in_terminal.py TEXT COMMAND."""

import fcntl
import os
import pty
import struct
import sys
import termios
import time

LIMIT = 900  # seconds, with all that is to be installed


def main(text: bytes, command: str) -> int:
    """Return the command's exit status; 1 where the text never came."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvp("bash", ["bash", "-euo", "pipefail", "-c", command])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    shown, pressed, end = b"", False, time.monotonic() + LIMIT
    while time.monotonic() < end:
        try:
            read = os.read(terminal, 1 << 16)
        except OSError:  # nobody is there any more
            break
        if not read:
            break
        shown += read
        if text in shown and not pressed:
            time.sleep(2)
            os.write(terminal, b"\x1bq")
            pressed = True
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not pressed:
        sys.stdout.buffer.write(shown[-4000:])
        print(f"\n{text!r} never came")
    return status or not pressed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1].encode(), sys.argv[2]))
