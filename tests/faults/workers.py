"""The load of the kill test: each worker runs random commands and writes down what was acknowledged.

One command at a time is unanswered; when the server dies it stays behind as `pending`. An error before the kill is a
failure of the server. Knows the commands; what they change is in world.py.
"""

import random
import ssl
import threading

import mail
import servers
import wire

import world

SHARED = "Shared"
FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Work", "$Later"]


class Died(Exception):
    """The connection ended after the server was killed."""


class ImapWorker(threading.Thread):
    """Random IMAP commands on its own mailboxes and on its own messages in the shared one."""

    def __init__(self, server, account, name, state, rng, sent, stop):
        super().__init__(name=name, daemon=True)
        self.server, self.account, self.world = server, account, state
        self.rng, self.sent, self.killed = rng, sent, stop
        self.pending = None
        self.failure = None
        self.acknowledged = 0
        self.selected = None
        self.connection = None

    def run(self):
        try:
            self.connection = self.server.connect(self.account, deadline=30)
            while True:
                self.step()
        except (OSError, ssl.SSLError, wire.ProtocolError, wire.Refused) as error:
            if not self.killed.is_set():
                at = self.pending.text if self.pending else "between commands"
                self.failure = f"{self.name}: {type(error).__name__} before the kill: {error} ({at})"
        except Exception as error:  # a fault of the test itself must not pass silently
            self.failure = f"{self.name}: {type(error).__name__}: {error}"

    def step(self):
        weights = {
            self.append: 30,
            self.store: 25,
            self.copy: 10,
            self.move: 12,
            self.expunge: 12,
            self.create: 4,
            self.delete: 3,
            self.rename: 4,
        }
        self.rng.choices(list(weights), weights.values())[0]()

    def begin(self, change, *parts):
        """Sends a command that changes something; its result once it is acknowledged."""
        self.pending = change
        return self.connection.ok(*parts)

    def end(self, apply=None):
        """The answer has come: what the command changed is certain now."""
        (apply or self.pending.apply)(self.world)
        self.pending = None
        self.acknowledged += 1

    # --- choices ---

    def own(self):
        return sorted(self.world.mailboxes)

    def anywhere(self):
        return self.rng.choice([*self.own(), SHARED])

    def some(self, mailbox, most=8):
        uids = sorted(self.world.within(mailbox))
        return sorted(self.rng.sample(uids, min(len(uids), self.rng.randint(1, most))))

    def select(self, mailbox):
        if self.selected != mailbox:
            self.connection.select(mailbox)
            self.selected = mailbox

    def unselect(self):
        if self.selected:
            self.connection.ok("UNSELECT")
            self.selected = None

    # --- commands ---

    def append(self):
        mailbox = self.anywhere()
        if len(self.world.within(mailbox)) > 40:
            return
        size = self.rng.choice([100, 1000, 4000, 4000, 20_000, 70_000]) if self.rng.random() > 0.02 else 1_500_000
        identity, octets = self.sent.make(self.name, size)
        flags = self.rng.sample(FLAGS, self.rng.randint(0, 3))
        change = world.Change(f"APPEND {mailbox} {identity}", lambda w: None, [(mailbox, identity, flags)])
        literal = wire.NonSync(octets) if self.rng.random() < 0.5 else octets
        code = self.begin(change, f"APPEND {mailbox} ({' '.join(flags)}) ", literal).code
        validity, uid = int(code[1]), int(code[2])
        self.sent.seen(self.account.user, mailbox, validity, uid, identity)
        self.end(lambda w: w.add(mailbox, uid, identity, flags))

    def store(self):
        mailbox = self.anywhere()
        uids = self.some(mailbox, most=30)
        if not uids:
            return
        flags = frozenset(self.rng.sample([*FLAGS, "\\Deleted"], self.rng.randint(1, 3)))
        action = self.rng.choice(["", "+", "-"])
        self.select(mailbox)

        def apply(state):
            for uid in uids:
                identity, old = state.messages[mailbox, uid]
                new = {"": flags, "+": old | flags, "-": old - flags}[action]
                state.messages[mailbox, uid] = (identity, new)

        silent = self.rng.choice(["", ".SILENT"])
        text = f"UID STORE {','.join(map(str, uids))} {action}FLAGS{silent} ({' '.join(sorted(flags))})"
        self.begin(world.Change(f"{mailbox}: {text}", apply), text)
        self.end()

    def copy(self):
        self.transfer("COPY")

    def move(self):
        self.transfer("MOVE")

    def transfer(self, verb):
        source, target = self.anywhere(), self.anywhere()
        uids = self.some(source)
        if not uids or source == target or len(self.world.within(target)) > 40:
            return
        self.select(source)
        moved = [self.world.messages[source, uid] for uid in uids]

        def leave(state):
            if verb == "MOVE":
                for uid in uids:
                    del state.messages[source, uid]

        text = f"UID {verb} {','.join(map(str, uids))} {target}"
        change = world.Change(f"{source}: {text}", leave, [(target, identity, flags) for identity, flags in moved])
        result = self.begin(change, text)
        code = result.code if verb == "COPY" else result.untagged_code("COPYUID") or result.code
        if not code or code[0].upper() != "COPYUID":
            raise wire.ProtocolError(f"{text} without COPYUID: {result.end.raw!r}")
        validity, old, new = int(code[1]), numbers(code[2]), numbers(code[3])
        if old != uids or len(new) != len(uids):
            raise wire.ProtocolError(f"COPYUID {code} for {uids}")

        def arrive(state):
            leave(state)
            for uid, (identity, flags) in zip(new, moved):
                state.add(target, uid, identity, flags)

        for uid, (identity, _) in zip(new, moved):
            self.sent.seen(self.account.user, target, validity, uid, identity)
        self.end(arrive)

    def expunge(self):
        mailbox = self.rng.choice(self.own()) if self.rng.random() < 0.7 else SHARED
        uids = self.some(mailbox, most=12)
        if not uids:
            return
        self.select(mailbox)

        def mark(state):
            for uid in uids:
                identity, flags = state.messages[mailbox, uid]
                state.messages[mailbox, uid] = (identity, flags | {"\\Deleted"})

        numbers_text = ",".join(map(str, uids))
        text = f"UID STORE {numbers_text} +FLAGS.SILENT (\\Deleted)"
        self.begin(world.Change(f"{mailbox}: {text}", mark), text)
        self.end()
        # Plain EXPUNGE takes all that are marked; in the shared mailbox that would hit what others own.
        whole = mailbox != SHARED and self.rng.random() < 0.4
        gone = [u for u, (_, flags) in self.world.within(mailbox).items() if "\\Deleted" in flags] if whole else uids

        def remove(state):
            for uid in gone:
                del state.messages[mailbox, uid]

        text = self.rng.choice(["EXPUNGE", "CLOSE"]) if whole else f"UID EXPUNGE {numbers_text}"
        self.begin(world.Change(f"{mailbox}: {text}", remove), text)
        if text == "CLOSE":
            self.selected = None
        self.end()

    def create(self):
        if len(self.own()) > 6:
            return
        parent = self.rng.choice(self.own())
        name = f"{parent}/{self.rng.choice('abcdef')}{self.rng.randint(0, 3)}"
        if name in self.world.mailboxes or name.count("/") > 4:
            return
        self.begin(world.Change(f"CREATE {name}", lambda w: None, mailboxes=[name]), f"CREATE {name}")
        # Made and answered; its UIDVALIDITY is asked for with a command that changes nothing.
        self.end(lambda w: w.mailboxes.__setitem__(name, None))
        validity = int(self.connection.ok(f"STATUS {name} (UIDVALIDITY)").of("STATUS")[0].data[1][1])
        self.world.mailboxes[name] = validity

    def delete(self):
        leaves = [n for n in self.own() if "/" in n and not any(o.startswith(n + "/") for o in self.own())]
        if not leaves:
            return
        name = self.rng.choice(leaves)
        self.unselect()
        self.begin(world.Change(f"DELETE {name}", lambda w: w.delete(name)), f"DELETE {name}")
        self.end()

    def rename(self):
        below = [n for n in self.own() if "/" in n]
        if not below:
            return
        old = self.rng.choice(below)
        new = f"{self.name}/{self.rng.choice('ghijk')}{self.rng.randint(0, 99)}"
        if new in self.world.mailboxes or new.startswith(old + "/"):
            return
        self.unselect()
        self.begin(world.Change(f"RENAME {old} {new}", lambda w: w.rename(old, new)), f"RENAME {old} {new}")
        self.end()


class LmtpWorker(threading.Thread):
    """Deliveries to several accounts at once; a recipient's 250 is a promise."""

    def __init__(self, server, accounts, name, rng, sent, stop):
        super().__init__(name=name, daemon=True)
        self.server, self.accounts = server, accounts
        self.rng, self.sent, self.killed = rng, sent, stop
        self.pending = set()
        self.delivered = set()
        self.failure = None
        self.acknowledged = 0

    def run(self):
        while True:
            identity, octets = self.sent.make(self.name, self.rng.choice([200, 3000, 3000, 50_000]))
            recipients = self.rng.sample(self.accounts, self.rng.randint(1, len(self.accounts)))
            self.pending |= {(a.user, identity) for a in recipients}
            try:
                answers = servers.lmtp_deliver(
                    self.server.lmtp_path, "<>", [f"{a.user}@example.com" for a in recipients], octets, deadline=30
                )
            except Exception as error:  # smtplib has many
                if not self.killed.is_set():
                    self.failure = f"{self.name}: {type(error).__name__} before the kill: {error}"
                return
            for account in recipients:
                code, text = answers[f"{account.user}@example.com"]
                if code == 250:
                    self.delivered.add((account.user, identity))
                    self.pending.discard((account.user, identity))
                    self.acknowledged += 1
                elif not self.killed.is_set():
                    self.failure = f"{self.name}: delivery refused: {code} {text}"
                    return


class Sent:
    """Every message ever sent, by id, and every UID ever told: (account, mailbox, UIDVALIDITY, UID) -> id."""

    def __init__(self, seed):
        self.source = mail.Mail(seed)
        self.octets = {}
        self.uids = {}
        self.counts = {}
        self.lock = threading.Lock()
        self.problems = []

    def make(self, owner, size):
        with self.lock:
            self.counts[owner] = self.counts.get(owner, 0) + 1
            identity = f"{owner}-{self.counts[owner]}"
            _, octets = self.source.message(min(size, 20_000))
            own = octets.replace(b"X-Test-Id: m", b"X-Was: m", 1)
            own = f"X-Test-Id: {identity}\r\n".encode() + own
            if size > 20_000:
                own += b"".join(b"%08d filling a line of this message\r\n" % n for n in range((size - 20_000) // 42))
            self.octets[identity] = own if own.endswith(b"\r\n") else own + b"\r\n"
            return identity, self.octets[identity]

    def seen(self, account, mailbox, validity, uid, identity):
        """RFC 9051 §2.3.1.1: mailbox name, UIDVALIDITY and UID stand for one message, for ever."""
        with self.lock:
            before = self.uids.setdefault((account, mailbox, validity, uid), identity)
            if before != identity:
                self.problems.append(
                    f"{account} {mailbox} UIDVALIDITY {validity} UID {uid} was {before} and is {identity}"
                )


def numbers(text):
    """A set of UIDs as a list, in the order given (COPYUID, RFC 4315 §3)."""
    out = []
    for part in text.split(","):
        low, _, high = part.partition(":")
        out += range(int(low), int(high or low) + 1)
    return out


def rng_of(*parts):
    return random.Random("/".join(map(str, parts)))
