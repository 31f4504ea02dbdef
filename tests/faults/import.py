"""A Maildir of 100,000 messages is imported, selected and fetched; speed is printed, peak memory is bounded.

python3 tests/faults/import.py --messages 100000
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))

import mail
import servers
from cases import Counts, equal

MEMORY = 300_000_000
POOL = 400


def generate(root, count, seed):
    """Writes `count` messages with a lognormal size of about 4 KB; octets in all. Bodies come from a small pool."""
    rng = random.Random(seed)
    source = mail.Mail(seed)
    pool = [
        source.message(min(int(rng.lognormvariate(7.9, 0.8)), 60_000))[1].replace(b"\r\n", b"\n") for _ in range(POOL)
    ]
    for part in ("cur", "new", "tmp"):
        (root / part).mkdir(parents=True)
    flags = ["", "S", "S", "S", "RS", "FS", "F", "DS"]
    octets = 0
    base = str(root / "cur") + "/"
    for number in range(count):
        body = pool[rng.randrange(POOL)]
        name = f"{base}{1_500_000_000 + number}.M{number}.host:2,{flags[number % 8]}"
        first = f"X-Number: {number}\nMessage-ID: <{number}.{seed}@example.org>\n".encode()
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        octets += os.write(handle, first + body)
        os.close(handle)
    return octets


def peak(pid):
    """VmHWM of a process in octets; 0 when it is gone."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


class Import:
    """The steps, in order."""

    def __init__(self, server, account, maildir, count, octets):
        self.server, self.account, self.maildir = server, account, maildir
        self.count, self.octets = count, octets

    def import_all(self):
        """Through the running server; the importing process' own peak is watched too."""
        argv = [self.server.binary, "import", "maildir", self.account.user, self.maildir]
        argv += ["--mailbox", "Imported", "--json", "--data", self.server.data]
        started = time.monotonic()
        highest = 0
        log = self.server.directory / "import.log"
        with open(log, "wb") as errors:
            process = subprocess.Popen(
                [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
            )
            try:
                while True:
                    highest = max(highest, peak(process.pid))
                    try:
                        out, _ = process.communicate(timeout=0.2)
                        break
                    except subprocess.TimeoutExpired:
                        assert time.monotonic() - started < 600, "the import takes more than ten minutes"
            finally:
                process.kill()
        spent = time.monotonic() - started
        shown = log.read_text(errors="replace")
        equal(process.returncode, 0, f"status of the import\n{shown[-800:]}")
        report = json.loads(out)
        equal(report.get("messages"), self.count, "messages imported")
        rate = self.count / spent
        print(f"        {self.count} messages, {self.octets // 1_000_000} MB in {spent:.1f} s: {rate:.0f} a second")
        print(f"        peak memory: importing process {highest // 1_000_000} MB")
        assert highest < MEMORY, f"the import took {highest} octets of memory"

    def select_and_fetch(self):
        """After a restart, so that the first SELECT finds nothing in memory."""
        self.memory_is_bounded()
        self.server.stop()
        self.server.start()
        with self.server.connect(self.account) as connection:
            started = time.monotonic()
            selected = connection.ok("SELECT Imported")
            cold = time.monotonic()
            equal([r.number for r in selected.of("EXISTS")], [self.count], "EXISTS")
            again = time.monotonic()
            connection.ok("SELECT Imported")
            warm = time.monotonic() - again
            again = time.monotonic()
            answer = read_raw(connection, "UID FETCH 1:* (FLAGS)")
            fetched = time.monotonic() - again
            equal(answer.count(b" FETCH ("), self.count, "FETCH responses")
            wanted = sum(1 for n in range(self.count) if n % 8 in (5, 6))
            equal(answer.count(b"\\Flagged"), wanted, "messages with \\Flagged")
            last = connection.ok(f"FETCH {self.count} (BODY.PEEK[HEADER.FIELDS (X-Number)])").fetches()[self.count]
            assert any(b"X-Number: " in value for value in last.values() if isinstance(value, bytes)), last
            again = time.monotonic()
            connection.ok("UID STORE 1:* +FLAGS.SILENT (\\Answered)", seconds=120)
            stored = time.monotonic() - again
        print(
            f"        SELECT cold {(cold - started) * 1000:.1f} ms, warm {warm * 1000:.1f} ms; UID FETCH 1:* (FLAGS) "
            f"{fetched * 1000:.0f} ms, {len(answer) / 1e6:.1f} MB over TLS; "
            f"UID STORE 1:* +FLAGS.SILENT {stored * 1000:.0f} ms"
        )

    def memory_is_bounded(self):
        highest = self.server.peak_memory()
        print(f"        peak memory: server {highest // 1_000_000} MB")
        assert highest < MEMORY, f"the server took {highest} octets of memory"


def read_raw(connection, command):
    """All octets of a command's answer, not taken apart: Python's parser would be what is measured."""
    tag = connection.start(command)
    parts = [bytes(connection.buffer)]
    connection.buffer.clear()
    while not parts[-1].endswith(b"\r\n") or f"\r\n{tag} ".encode() not in b"".join(parts[-2:])[-400:]:
        parts.append(connection.sock.recv(1 << 20))
    answer = b"".join(parts)
    assert f"\r\n{tag} OK".encode() in answer[-400:], answer[-400:]
    return answer


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    counts = Counts()
    with servers.launch("columba") as server:
        maildir = server.directory / "Maildir"
        started = time.monotonic()
        octets = generate(maildir, options.messages, options.seed)
        print(f"        generated {options.messages} messages in {time.monotonic() - started:.1f} s")
        test = Import(server, server.account(), maildir, options.messages, octets)
        for step in (
            test.import_all,
            test.select_and_fetch,
            test.memory_is_bounded,
            server.check_healthy,
            server.verify,
        ):
            if not counts.take(f"import: {step.__name__.replace('_', ' ')}", step):
                print(server.log_tail())
        counts.take("import: the server stops when asked", server.stop)
        shutil.rmtree(maildir)
    return counts.finish()


if __name__ == "__main__":
    sys.exit(main())
