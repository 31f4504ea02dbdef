"""offlineimap3: two-way synchronisation of a Maildir with an account, with changes on both sides.

offlineimap adds a field X-OfflineIMAP to what it uploads when the server gives no APPENDUID; with UIDPLUS nothing may
be added, and Columba has UIDPLUS. It takes headers apart and writes them anew, so the messages here have tame ones.
Over TLS from the start only: its library's STARTTLS races with its own reader thread and hangs in one run of five,
with any server.
"""

import random

import mail
import maildirs
import wire
from cases import case, contains, equal, main, run

FOLDERS = ["INBOX", "Work", "Work/Projects", "Grüße & mehr", "日本語 🐦"]


class Store:
    """One Maildir and its offlineimap configuration; local folder names are in UTF-8."""

    def __init__(self, server, account, name):
        self.home = server.directory / f"{account.user}-offlineimap-{name}"
        self.root = self.home / "mail"
        self.home.mkdir()
        self.root.mkdir()
        self.config = self.home / "offlineimaprc"
        self.config.write_text(
            f"""[general]
accounts = test
metadata = {self.home}/meta
ui = basic
maxsyncaccounts = 1
socktimeout = 60

[Account test]
localrepository = local
remoterepository = remote
utf8foldernames = yes

[Repository local]
type = Maildir
localfolders = {self.root}
sep = /
utime_from_header = no

[Repository remote]
type = IMAP
remotehost = localhost
remoteport = {server.tls_port}
remoteuser = {account.user}
remotepass = {account.password}
ssl = yes
sslcacertfile = {server.certificate}
maxconnections = 2
folderfilter = lambda name: name not in ("Drafts", "Sent", "Junk", "Trash", "Archive")
"""
        )

    def sync(self, *options):
        out = run(["offlineimap", "-c", self.config, *options], seconds=300, env={"HOME": str(self.home)})
        assert "ERROR" not in out and "Traceback" not in out, out[-1500:]
        return out

    def contents(self):
        return maildirs.contents(self.root)

    def folder(self, name):
        return self.root / name


def on_server(server, account):
    """(folder, id) -> octets with LF line ends and flags."""
    letters = {"\\Seen": "S", "\\Flagged": "F", "\\Answered": "R", "\\Draft": "D", "\\Deleted": "T"}
    found = {}
    with server.connect(account) as connection:
        for folder in FOLDERS:
            connection.ok(f"EXAMINE {wire.quote(folder)}")
            for octets, flags in wire.messages(connection).values():
                text = "".join(sorted(letters[f] for f in flags if f in letters))
                found[folder, mail.unique(octets)] = octets.replace(b"\r\n", b"\n"), text
    return found


def in_step(server, account, store, what):
    equal(store.contents(), on_server(server, account), what)


@case
def both_ways_with_changes_on_both_sides(server):
    account = server.account()
    source = mail.Mail(31, quirks=False)
    store = Store(server, account, "one")
    for name in FOLDERS[:3]:
        maildirs.make(store.folder(name))
    for number, (identity, octets) in enumerate(source.messages(150)):
        maildirs.add(
            store.folder(FOLDERS[number % 3]),
            identity,
            octets,
            source.rng.choice(["", "S", "FS", "RS", "D"]),
            seq=number,
        )
    with server.connect(account) as connection:
        for name in FOLDERS[1:]:
            connection.command(f"CREATE {wire.quote(name)}")
        for number, (_, octets) in enumerate(source.messages(150)):
            connection.append(FOLDERS[number % 5], octets, source.rng.choice(["", "\\Seen", "\\Flagged"]))
    store.sync()
    in_step(server, account, store, "after the first run")
    equal(len(store.contents()), 300, "messages on both sides")

    files = maildirs.listing(store.root)
    store.sync()
    equal(maildirs.listing(store.root), files, "files after a run with nothing to do")

    rng = random.Random(5)
    local = list(maildirs.read(store.root).values())
    rng.shuffle(local)
    for message in local[:20]:
        maildirs.set_flags(message, "FRS")
    for message in local[20:40]:
        message.path.unlink()
    for number, (identity, octets) in enumerate(source.messages(20)):
        maildirs.add(store.folder(FOLDERS[number % 5]), identity, octets, "S", seq=1000 + number)
    with server.connect(account) as connection:
        for message in local[40:60]:
            connection.select(message.folder)
            uid = next(u for u, (o, _) in wire.messages(connection).items() if mail.unique(o) == message.identity)
            connection.ok(f"UID STORE {uid} +FLAGS.SILENT (\\Deleted)")
            connection.ok(f"UID EXPUNGE {uid}")
        for message in local[60:80]:
            connection.select(message.folder)
            uid = next(u for u, (o, _) in wire.messages(connection).items() if mail.unique(o) == message.identity)
            connection.ok(f"UID STORE {uid} FLAGS.SILENT (\\Answered)")
        for _, octets in source.messages(20):
            connection.append("Work", octets)
    store.sync()
    in_step(server, account, store, "after changes on both sides")
    now = store.contents()
    equal(len(now), 300 - 40 + 40, "messages in the end")
    for message in local[20:60]:
        assert (message.folder, message.identity) not in now, f"{message.identity} is back"
    for message in local[:20]:
        equal(now[message.folder, message.identity][1], "FRS", "a flag changed here")
    for message in local[60:80]:
        equal(now[message.folder, message.identity][1], "R", "a flag changed on the server")


@case
def a_second_store_and_quick_runs(server):
    account = server.account()
    source = mail.Mail(32, quirks=False)
    with server.connect(account) as connection:
        for name in FOLDERS[1:]:
            connection.ok(f"CREATE {wire.quote(name)}")
        for number, (_, octets) in enumerate(source.messages(40)):
            connection.append(FOLDERS[number % 5], octets)
    one, two = Store(server, account, "one"), Store(server, account, "two")
    one.sync()
    two.sync()
    equal(one.contents(), two.contents(), "two stores of one account")
    identity, octets = source.message()
    maildirs.add(one.folder("Work"), identity, octets, "S", seq=99)
    one.sync("-q")
    two.sync("-q")
    contains(two.contents(), ("Work", identity), "a message that went round in quick runs")
    in_step(server, account, two, "in the end")


main(__name__)
