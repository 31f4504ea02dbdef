"""Kills the server at random moments under load, restarts it, and asks whether it kept its word.

Connections append, store, copy, move, expunge, create, delete and rename while LMTP delivers; each writes down what was
acknowledged. After each SIGKILL the server must come up by itself, verify clean, and have exactly what it
acknowledged: what was unanswered is wholly there or not at all, nothing acknowledged as gone is back, no UID names two
messages.

    python3 tests/faults/kill.py --rounds 300 --seed 7
"""

import argparse
import pathlib
import re
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "clients"))

import mail
import servers
import wire
from cases import Counts

import workers
import world

IMAP_WORKERS = 6
LMTP_WORKERS = 2
KEPT_SECONDS = 0.05, 1.5
TRACE = re.compile(rb"\A(?:(?:Return-Path|Delivered-To|Received): .*\r\n(?:[ \t].*\r\n)*)*")


class KillTest:
    """The state that outlives the rounds."""

    def __init__(self, server, seed):
        self.server, self.seed = server, seed
        self.rng = workers.rng_of(seed, "kill")
        self.sent = workers.Sent(seed)
        self.account = server.account()
        self.receivers = [server.account() for _ in range(3)]
        self.delivered = set()
        self.worlds = {f"w{number}": world.World() for number in range(IMAP_WORKERS)}
        self.acknowledged = self.pending_done = self.pending_lost = 0
        with server.connect(self.account) as connection:
            connection.ok(f"CREATE {workers.SHARED}")
            for name, state in self.worlds.items():
                for mailbox in (name, f"{name}/a0"):
                    connection.ok(f"CREATE {mailbox}")
                    state.mailboxes[mailbox] = validity(connection, mailbox)
            self.shared_validity = validity(connection, workers.SHARED)

    def round(self, number):
        """Load, kill, restart, and all questions."""
        killed = threading.Event()
        imap = [
            workers.ImapWorker(
                self.server, self.account, name, state, workers.rng_of(self.seed, number, name), self.sent, killed
            )
            for name, state in self.worlds.items()
        ]
        lmtp = [
            workers.LmtpWorker(
                self.server,
                self.receivers,
                f"d{n}r{number}",
                workers.rng_of(self.seed, number, "d", n),
                self.sent,
                killed,
            )
            for n in range(LMTP_WORKERS)
        ]
        for thread in (*imap, *lmtp):
            thread.start()
        killed.wait(self.rng.uniform(*KEPT_SECONDS) + 0.3)
        killed.set()
        self.server.kill() if self.server.is_columba else self.server.stop()
        for thread in (*imap, *lmtp):
            thread.join(timeout=60)
            assert not thread.is_alive(), f"{thread.name} hangs after the kill"
        self.restart()
        failures = [t.failure for t in (*imap, *lmtp) if t.failure]
        assert not failures, "; ".join(failures)
        self.acknowledged += sum(t.acknowledged for t in (*imap, *lmtp))
        self.server.verify()
        self.check_mailboxes(imap)
        self.check_deliveries(lmtp)
        assert not self.sent.problems, self.sent.problems[:5]

    def restart(self):
        """Starts the server; every third time it is killed once more while it recovers."""
        if self.server.is_columba and self.rng.random() < 0.33:
            pause = self.rng.uniform(0.0, 0.08)
            killer = threading.Timer(pause, lambda: self.server.process and self.server.process.kill())
            killer.start()
            try:
                self.server.start()
                killer.join()
            except AssertionError:
                pass
            killer.cancel()
            self.server.kill()
        self.server.start()

    def check_mailboxes(self, imap):
        actual = self.read_account()
        for worker in imap:
            part = own_part(actual, worker.name)
            done, problems = world.explain(worker.world, worker.pending, part)
            assert not problems, f"{worker.name}: " + "\n    ".join(problems[:14])
            if worker.pending:
                self.pending_done += done
                self.pending_lost += not done
            # Known now: what the pending command did, UIDs and all.
            part.free = {
                m: max(part.free.get(m, 1), worker.world.free.get(m, 1)) for m in {*part.mailboxes, workers.SHARED}
            }
            worker.world.__dict__.update(part.__dict__)
        strangers = [n for n in actual.mailboxes if n.split("/")[0] not in self.worlds and n != workers.SHARED]
        assert not strangers, f"mailboxes nobody made: {strangers}"

    def read_account(self):
        """Everything in the account but its first mailboxes; every message's octets are compared."""
        state = world.World()
        with self.server.connect(self.account) as connection:
            names = [
                text(r.data[2]) for r in connection.ok('LIST "" "*"').of("LIST") if "\\NonExistent" not in r.data[0]
            ]
            for name in names:
                if name in ("INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"):
                    continue
                selected = connection.ok(f"EXAMINE {name}")
                number = int(selected.untagged_code("UIDVALIDITY")[1])
                state.mailboxes[name] = number
                found = wire.messages(connection)
                state.free[name] = int(selected.untagged_code("UIDNEXT")[1])
                for uid, (octets, flags) in found.items():
                    identity = self.identify(octets, octets)
                    self.sent.seen(self.account.user, name, number, uid, identity)
                    state.messages[name, uid] = (identity, frozenset(flags) - {"\\Recent"})
        equal_validity = state.mailboxes.pop(workers.SHARED, None)
        assert equal_validity == self.shared_validity, f"UIDVALIDITY of {workers.SHARED} is {equal_validity}"
        return state

    def identify(self, octets, original):
        identity = mail.unique(octets)
        assert identity in self.sent.octets, f"a message nobody sent: {octets[:200]!r}"
        assert original == self.sent.octets[identity], f"{identity} is not what was sent ({len(original)} octets)"
        return identity

    def check_deliveries(self, lmtp):
        pending = set().union(*(w.pending for w in lmtp))
        self.delivered |= set().union(*(w.delivered for w in lmtp))
        for account in self.receivers:
            with self.server.connect(account) as connection:
                number = int(connection.select().untagged_code("UIDVALIDITY")[1])
                found = {}
                for uid, (octets, _) in wire.messages(connection).items():
                    identity = self.identify(octets, TRACE.sub(b"", octets, count=1))
                    assert identity not in found, f"{identity} was delivered to {account.user} twice"
                    found[identity] = uid
                    self.sent.seen(account.user, "INBOX", number, uid, identity)
                promised = {i for user, i in self.delivered if user == account.user}
                possible = {i for user, i in pending if user == account.user}
                assert promised <= found.keys(), (
                    f"acknowledged and lost for {account.user}: {sorted(promised - found.keys())[:5]}"
                )
                extra = found.keys() - promised - possible
                assert not extra, f"in {account.user}'s INBOX and never sent there, or expunged: {sorted(extra)[:5]}"
                # Empty it, so that the rounds stay short; what is gone must stay gone.
                if len(found) > 60:
                    connection.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
                    connection.ok("EXPUNGE")
                    self.delivered = {(user, i) for user, i in self.delivered if user != account.user}
                else:
                    self.delivered |= {(account.user, i) for i in found}

    def summary(self):
        return (
            f"{self.acknowledged} changes acknowledged; of those unanswered at a kill {self.pending_done} happened and "
            f"{self.pending_lost} did not; {len(self.sent.octets)} messages, {len(self.sent.uids)} UIDs; "
            f"seed {self.seed}"
        )


def own_part(actual, name):
    """One worker's mailboxes and messages out of the whole account."""
    part = world.World()
    part.mailboxes = {m: v for m, v in actual.mailboxes.items() if m.split("/")[0] == name}
    part.messages = {
        (m, uid): value
        for (m, uid), value in actual.messages.items()
        if m in part.mailboxes or (m == workers.SHARED and value[0].split("-")[0] == name)
    }
    part.free = {m: actual.free[m] for m in {*part.mailboxes, workers.SHARED} if m in actual.free}
    return part


def validity(connection, mailbox):
    return int(connection.ok(f"STATUS {mailbox} (UIDVALIDITY)").of("STATUS")[0].data[1][1])


def text(name):
    return name.decode() if isinstance(name, bytes) else name


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--seconds", type=float, help="stop after the round that ends after so many seconds")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument(
        "--server",
        choices=["columba", "dovecot"],
        default="columba",
        help="dovecot is stopped in order: proves the test",
    )
    options = parser.parse_args()
    counts = Counts()
    print(f"  kill -9, seed {options.seed}")
    started = time.monotonic()
    with servers.launch(options.server) as server:
        test = KillTest(server, options.seed)
        for number in range(1, options.rounds + 1):
            if not counts.take(f"kill: round {number}", lambda n=number: test.round(n)):
                print(server.log_tail())
                break
            if options.seconds and time.monotonic() - started > options.seconds:
                break
        print(f"        {test.summary()}")
        if not counts.failed:
            counts.take("kill: the server stops when asked", server.stop)
    return counts.finish()


if __name__ == "__main__":
    sys.exit(main())
