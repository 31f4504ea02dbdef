"""mbsync (isync): 2,000 messages to the server and from there into a second store, and everything that changes later.

Two local stores, near one and near two, are kept in step with one account. After each round nothing may differ: octets,
flags, folders, arrival dates. mbsync adds a field X-TUID to what it sends; it is left out of the comparison.
"""

import random
import re

import mail
import maildirs
import servers
import wire
from cases import case, contains, equal, main, run
from terminal import Terminal

# Parents are listed too: a server may make them real mailboxes (RFC 9051 §6.3.4), and then they are synchronised.
FOLDERS = [
    "INBOX",
    "Work",
    "Work/Projects",
    "Grüße",
    "Grüße/日本語 🐦",
    "A & B",
    "Entwürfe (alt)",
    "Ünï",
    "Ünï/Çödé",
    "Ünï/Çödé/deep",
]
COUNT = 2_000
ADDED = ("X-TUID",)
FLAGS = ["", "S", "S", "S", "FS", "RS", "FRS", "F", "D", "DS", "R"]


class Store:
    """One local store with its own mbsync configuration against the account."""

    def __init__(self, server, account, name, implicit=False, certificate=None):
        self.name = name
        self.home = server.directory / f"{account.user}-{name}"
        self.root = self.home / "mail"
        (self.home / "state").mkdir(parents=True)
        self.root.mkdir()
        self.config = self.home / "mbsyncrc"
        # rev1 names on the wire: mbsync turns nothing into UTF-8, so the local folder names are modified UTF-7.
        self.config.write_text(
            f"""IMAPAccount server
Host localhost
Port {server.tls_port if implicit else server.port}
User {account.user}
Pass "{account.password}"
SSLType {"IMAPS" if implicit else "STARTTLS"}
SystemCertificates no
CertificateFile {certificate or server.certificate}
Timeout 60

IMAPStore far
Account server

MaildirStore near
Path {self.root}/
Inbox {self.root}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns * !Drafts !Sent !Junk !Trash !Archive
Create Both
Remove Both
Expunge Both
CopyArrivalDate yes
SyncState {self.home}/state/
"""
        )

    def folder(self, name):
        return self.root / wire.mutf7(name)

    def sync(self, status=0):
        return run(["mbsync", "-V", "-c", self.config, "-a"], seconds=300, env={"HOME": str(self.home)}, status=status)

    def contents(self):
        return maildirs.contents(self.root, ADDED, dates=True)


def propagated(output):
    """mbsync's own last count of new, changed and removed messages on both sides (`F: +0/0 *0/0 #0/0  N: …`)."""
    lines = re.findall(r"F: \+(\d+)/\d+ \*(\d+)/\d+ #(\d+)/\d+ +N: \+(\d+)/\d+ \*(\d+)/\d+ #(\d+)/\d+", output)
    assert lines, f"mbsync printed no counts: {output[-600:]!r}"
    return [int(number) for number in lines[-1]]


def changes_nothing(server, account, store):
    """A run when all is in step: mbsync says so, no file changes, and neither does the server."""
    files, on_server = maildirs.listing(store.root), server_state(server, account)
    with Terminal(["mbsync", "-c", store.config, "-a"], env={"HOME": str(store.home)}) as terminal:
        equal(terminal.finish(), 0, "mbsync's status")
    equal(propagated(terminal.shown), [0] * 6, f"changes counted by mbsync in {store.name}")
    equal(maildirs.listing(store.root), files, f"files of {store.name}")
    equal(server_state(server, account), on_server, "UIDs and flags on the server")


def server_state(server, account):
    with server.connect(account) as connection:
        state = {}
        for folder in FOLDERS:
            connection.ok(f"EXAMINE {wire.quote(folder)}")
            for uid, items in connection.ok("UID FETCH 1:* (UID FLAGS)").by_uid().items():
                state[folder, uid] = frozenset(items["FLAGS"]) - {"\\Recent"}
        return state


def same(one, two, what):
    equal(one.contents(), two.contents(), what)
    equal(maildirs.folders(one.root), maildirs.folders(two.root), f"folders: {what}")


def fill(store, count, seed):
    source = mail.Mail(seed)
    for name in FOLDERS:
        maildirs.make(store.folder(name))
    for number, (identity, octets) in enumerate(source.messages(count)):
        folder = FOLDERS[0] if number < count // 2 else source.rng.choice(FOLDERS)
        flags = source.rng.choice(FLAGS)
        maildirs.add(store.folder(folder), identity, octets, flags, maildirs.a_date(number), number)


def server_contents(server, account, folders):
    """(folder, id) -> octets with LF line ends, as the server has them."""
    found = {}
    with server.connect(account) as connection:
        for folder in folders:
            connection.select(folder)
            for octets, _ in wire.messages(connection).values():
                lf = re.sub(rb"^X-TUID: [^\n]*\n", b"", octets.replace(b"\r\n", b"\n"), count=1, flags=re.MULTILINE)
                found[wire.mutf7(folder), mail.unique(octets)] = lf
    return found


@case
def two_thousand_messages_go_round_and_nothing_differs(server):
    account = server.account()
    one = Store(server, account, "one")
    fill(one, COUNT, seed=1)
    before = one.contents()
    equal(len(before), COUNT, "messages made")
    one.sync()
    equal(one.contents(), before, "the first store after its own first run")
    on_server = server_contents(server, account, FOLDERS)
    equal(on_server, {key: value[0] for key, value in before.items()}, "what the server has")

    two = Store(server, account, "two", implicit=True)
    two.sync()
    same(one, two, "the second store after a round over the server")

    for store in (one, two):
        changes_nothing(server, account, store)
    changes_on_both_sides(server, account, one, two)


def changes_on_both_sides(server, account, one, two):
    """Flags, deletions, new messages on both local sides and on the server itself, then three runs."""
    rng = random.Random(7)
    first = list(maildirs.read(one.root, ADDED).values())
    second = maildirs.read(two.root, ADDED)
    rng.shuffle(first)
    flagged, deleted, other_flagged, other_deleted, on_server = (first[i * 60 : i * 60 + 60] for i in range(5))
    for message in flagged:
        maildirs.set_flags(message, "FRS" if message.flags != "FRS" else "S")
    for message in deleted:
        maildirs.set_flags(message, message.flags + "T")
    for message in other_flagged:
        maildirs.set_flags(second[message.folder, message.identity], "D" if message.flags != "D" else "")
    for message in other_deleted:
        second[message.folder, message.identity].path.unlink()
    source = mail.Mail(2, prefix="later")
    for number, (identity, octets) in enumerate(source.messages(100)):
        store = (one, two)[number % 2]
        maildirs.add(
            store.folder(rng.choice(FOLDERS)), identity, octets, rng.choice(FLAGS), 1_600_000_000 + number, number
        )
    with server.connect(account) as connection:
        for message in on_server:
            folder = next(f for f in FOLDERS if wire.mutf7(f) == message.folder)
            connection.select(folder)
            uids = connection.ok(f"UID SEARCH HEADER X-Test-Id {message.identity}").numbers()
            exact = [
                uid
                for uid, items in connection.ok(f"UID FETCH {','.join(map(str, uids))} (UID BODY.PEEK[HEADER])")
                .by_uid()
                .items()
                if mail.unique(items["BODY[HEADER]"]) == message.identity
            ]
            equal(len(exact), 1, f"messages with the id {message.identity}")
            connection.ok(f"UID STORE {exact[0]} FLAGS.SILENT (\\Deleted)")
            connection.ok(f"UID EXPUNGE {exact[0]}")
    for store in (one, two, one):
        store.sync()
    same(one, two, "both stores after changes on all three sides")
    changes_nothing(server, account, two)

    now = one.contents()
    gone = {(m.folder, m.identity) for m in [*deleted, *other_deleted, *on_server]}
    equal(gone & now.keys(), set(), "deleted messages that are still there")
    equal(len(now), COUNT - len(gone) + 100, "messages in the end")
    for message in flagged:
        equal(now[message.folder, message.identity][1], "FRS" if message.flags != "FRS" else "S", "a changed flag")
    for message in other_flagged:
        equal(now[message.folder, message.identity][1], "D" if message.flags != "D" else "", "a changed flag")
    equal(
        server_contents(server, account, FOLDERS),
        {key: value[0] for key, value in now.items()},
        "what the server has in the end",
    )


@case
def folders_come_and_go_on_both_sides(server):
    account = server.account()
    one, two = Store(server, account, "one"), Store(server, account, "two")
    identity, octets = mail.Mail(3).message()
    for name in ("INBOX", "Short lived", "Stays", "Stays/Below"):
        maildirs.make(one.folder(name))
    maildirs.add(one.folder("Stays/Below"), identity, octets)
    one.sync()
    two.sync()
    same(one, two, "after creating folders")
    contains(maildirs.folders(two.root), "Short lived", "the new folder in the second store")
    with server.connect(account) as connection:
        connection.ok('DELETE "Short lived"')
        connection.ok(f"CREATE {wire.quote('Nëu')}")
        connection.append("Nëu", octets)
    one.sync()
    two.sync()
    same(one, two, "after folders changed on the server")
    names = maildirs.folders(two.root)
    contains(names, wire.mutf7("Nëu"), "the folder made on the server")
    assert "Short lived" not in names, f"the deleted folder is still there: {names}"


@case
def a_certificate_nobody_vouches_for_is_refused(server):
    """Shows that the runs above did check the certificate."""
    account = server.account()
    other = server.directory / "other.pem"
    servers.self_signed(other, server.directory / "other.key")
    for implicit in (False, True):
        store = Store(server, account, f"untrusting{implicit}", implicit=implicit, certificate=other)
        maildirs.make(store.folder("INBOX"))
        contains(store.sync(status=1).lower(), "certificate", "what mbsync says about a foreign certificate")


main(__name__)
