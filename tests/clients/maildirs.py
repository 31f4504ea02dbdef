"""Reads and changes Maildirs as a user's other programs would, for the synchronising clients.

Knows the Maildir format (new, cur, `:2,` flags, LF line ends), nothing of IMAP or of the client under test.
"""

import collections
import os
import re
import time

import mail

INFO = re.compile(r":2,([A-Za-z]*)$")


class Message(collections.namedtuple("Message", "folder path identity octets flags date")):
    """One message file; `octets` without the header fields that the client adds, `date` is the file's time."""


def make(path):
    for part in ("cur", "new", "tmp"):
        (path / part).mkdir(parents=True, exist_ok=True)


def add(path, identity, octets, flags="", date=None, seq=0):
    """Adds a message with CRLF line ends to the Maildir, as a delivery or a mail program does."""
    name = f"{1_700_000_000 + seq}.M{seq}P1Q{identity}.host"
    file = path / ("cur" if flags else "new") / (f"{name}:2,{''.join(sorted(flags))}" if flags else name)
    file.write_bytes(octets.replace(b"\r\n", b"\n"))
    if date is not None:
        os.utime(file, (date, date))
    return file


def set_flags(message, flags):
    base = INFO.sub("", message.path.name)
    message.path.rename(message.path.parent.parent / "cur" / f"{base}:2,{''.join(sorted(flags))}")


def folders(root):
    """Relative names of all Maildirs below `root` (`.` for the root itself)."""
    return sorted(str(p.parent.relative_to(root)) for p in root.rglob("cur") if (p.parent / "new").is_dir())


def read(root, added_fields=()):
    """All messages below `root`: (folder, id) -> Message; fails when an id is there twice."""
    remove = [re.compile(rb"^" + f.encode() + rb": [^\n]*\n", re.MULTILINE) for f in added_fields]
    found = {}
    for folder in folders(root):
        for part in ("cur", "new"):
            for file in (root / folder / part).iterdir():
                octets = file.read_bytes()
                for pattern in remove:
                    octets = pattern.sub(b"", octets, count=1)
                match = INFO.search(file.name)
                identity = mail.unique(octets)
                message = Message(
                    folder,
                    file,
                    identity,
                    octets,
                    "".join(sorted(match[1])) if match else "",
                    int(file.stat().st_mtime),
                )
                assert (folder, identity) not in found, f"{identity} is in {folder} twice"
                found[folder, identity] = message
    return found


def contents(root, added_fields=(), dates=False):
    """What must be equal in two stores that are in step: (folder, id) -> octets, flags and, if wanted, the date."""
    return {
        key: (m.octets, m.flags, m.date) if dates else (m.octets, m.flags)
        for key, m in read(root, added_fields).items()
    }


def listing(root):
    """Names and times of all message files, to see that a run changed nothing."""
    return {
        str(f.relative_to(root)): f.stat().st_mtime_ns
        for folder in folders(root)
        for part in ("cur", "new")
        for f in (root / folder / part).iterdir()
    }


def a_date(seq):
    """A date in the past, whole seconds, different for every message."""
    return int(time.mktime((2020, 1, 1, 0, 0, 0, 0, 0, 0))) + seq * 4211
