"""A program in a pseudo terminal: what it shows, what is typed. Knows no program."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time


class Terminal:
    """`shown` is all the program ever wrote; the program and its group are killed at the end of the `with`."""

    def __init__(self, argv, env=None, columns=160, rows=50):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            [str(a) for a in argv],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm", **(env or {})},
            start_new_session=True,
        )
        os.close(slave)
        self.master = master
        self.shown = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.master)

    def type(self, keys):
        os.write(self.master, keys.encode())

    def read(self, seconds):
        """Takes what the program writes next; False at its end."""
        ready, _, _ = select.select([self.master], [], [], max(0.0, seconds))
        if not ready:
            raise AssertionError(f"nothing more shown in time; the last was {self.shown[-600:]!r}")
        try:
            octets = os.read(self.master, 65536)
        except OSError:  # the other end is closed
            return False
        self.shown += octets.decode(errors="replace")
        return bool(octets)

    def expect(self, text, seconds=30, after=0):
        """Waits until `text` is shown somewhere after position `after`; the position behind it."""
        end = time.monotonic() + seconds
        while (at := self.shown.find(text, after)) < 0:
            if not self.read(end - time.monotonic()):
                raise AssertionError(f"the program ended without showing {text!r}: {self.shown[-600:]!r}")
        return at + len(text)

    def finish(self, seconds=60):
        """Waits for the program's end; its exit status."""
        end = time.monotonic() + seconds
        while self.read(end - time.monotonic()):
            pass
        return self.process.wait(timeout=max(1.0, end - time.monotonic()))
