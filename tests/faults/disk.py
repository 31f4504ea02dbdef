"""A disk that is full, then one that cannot be written: what is refused, what goes on, what comes back.

The data directory is on a small tmpfs that this test mounts and unmounts, so it needs root.
"""

import contextlib
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))

import mail
import servers
import wire
from cases import Counts, Skip, contains, equal, run

SMALL_MB, LARGE_MB = 24, 160


@contextlib.contextmanager
def small_disk(directory, megabytes):
    directory.mkdir()
    try:
        run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", directory])
    except AssertionError as refused:
        raise Skip(f"nothing can be mounted here: {refused}") from None
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=False)


def remount(directory, options):
    run(["mount", "-o", f"remount,{options}", directory])


class Full:
    """The steps, in order; each needs the one before."""

    def __init__(self, server, disk):
        self.server, self.disk = server, disk
        self.account, self.other = server.account(), server.account()
        self.source = mail.Mail(81)
        self.kept = []
        self.delivered = 0
        self.connection = server.connect(self.account, "INBOX")

    def append(self, size):
        """Appends one message; the tagged answer."""
        _, octets = self.source.message(size)
        result = self.connection.command("APPEND INBOX ", octets)
        if result.status == "OK":
            self.kept.append(octets)
        return result

    def append_until_no_space(self):
        for _ in range(2000):
            result = self.append(400_000)
            if result.status != "OK":
                break
        equal(result.status, "NO", f"APPEND on a full disk, after {len(self.kept)} messages: {result.end.raw!r}")
        assert len(self.kept) >= 3, f"only {len(self.kept)} messages went in"
        # Smaller ones take the rest.
        for size in (40_000, 4_000, 400):
            for _ in range(3000):
                result = self.append(size)
                if result.status != "OK":
                    break
        equal(result.status, "NO", f"APPEND of a small message on a full disk: {result.end.raw!r}")
        assert result.end.text, "the NO says nothing"

    def delivery_waits(self):
        """Another account may have room left in its own files; once it has not, the sender must try again later."""
        address = f"{self.other.user}@example.com"
        for _ in range(200):
            octets = self.source.message(400_000)[1]
            code, text = servers.lmtp_deliver(self.server.lmtp_path, "a@example.org", [address], octets)[address]
            if code != 250:
                break
            self.delivered += 1
        assert code in (451, 452), f"LMTP on a full disk answered {code} {text}: the sender must try again later"
        contains(text, "4.3.", "the enhanced status code")

    def reading_goes_on(self):
        found = [octets for octets, _ in wire.messages(self.connection).values()]
        assert found == self.kept, f"{len(found)} messages readable of {len(self.kept)}"
        result = self.connection.command("STORE 1 +FLAGS (\\Flagged)")
        assert result.status in ("OK", "NO"), f"STORE on a full disk: {result.end.raw!r}"
        with self.server.connect(self.account, "INBOX") as another:
            equal(len(another.ok("UID SEARCH ALL").numbers()), len(self.kept), "messages seen by a new connection")
        self.server.check_healthy()

    def space_comes_back(self):
        remount(self.disk, f"size={LARGE_MB}m")
        equal(self.append(400_000).status, "OK", "APPEND after there is space again")
        self.server.deliver([f"{self.other.user}@example.com"], self.source.message(50_000)[1])
        self.delivered += 1
        self.connection.ok("STORE 1 +FLAGS (\\Flagged)")
        self.reading_goes_on()
        self.server.verify()

    def a_restart_has_it_all(self):
        self.server.stop()
        self.server.start()
        self.connection = self.server.connect(self.account, "INBOX")
        self.reading_goes_on()
        with self.server.connect(self.other, "INBOX") as connection:
            equal(len(wire.messages(connection)), self.delivered, "delivered messages")
        self.server.verify()

    def a_disk_that_cannot_be_written(self):
        """Started on a read-only disk the server says why it cannot run; afterwards nothing is missing."""
        self.connection.close()
        self.server.stop()
        remount(self.disk, "ro")
        try:
            self.server.start()
        except AssertionError as refused:
            log = str(refused).lower()
            assert "panick" not in log, log
            assert "read-only" in log or "read only" in log or "readonly" in log, f"the reason is not told: {log}"
        else:
            with self.server.connect(self.account, "INBOX") as connection:
                equal(
                    connection.command("APPEND INBOX ", mail.plain("readonly")).status,
                    "NO",
                    "APPEND on a read-only disk",
                )
            self.server.stop()
        remount(self.disk, "rw")
        self.server.start()
        self.connection = self.server.connect(self.account, "INBOX")
        self.reading_goes_on()


def all_steps(counts):
    directory = servers.temporary()
    server = servers.Columba(directory)
    disk = directory / "disk"
    server.data = disk / "data"
    try:
        with small_disk(disk, SMALL_MB):
            server.start()
            test = Full(server, disk)
            for step in (
                test.append_until_no_space,
                test.delivery_waits,
                test.reading_goes_on,
                test.space_comes_back,
                test.a_restart_has_it_all,
                test.a_disk_that_cannot_be_written,
                server.check_healthy,
                server.stop,
            ):
                if not counts.take(f"disk: {step.__name__.replace('_', ' ')}", step):
                    print(server.log_tail())
            server.kill()
    finally:
        server.kill()
        run(["rm", "-rf", directory])


def main():
    counts = Counts()
    if os.geteuid() != 0:
        counts.take(
            "disk: needs root to mount a small disk", lambda: (_ for _ in ()).throw(PermissionError("run as root"))
        )
    else:
        counts.take("disk: all steps", lambda: all_steps(counts))
    return counts.finish()


if __name__ == "__main__":
    sys.exit(main())
