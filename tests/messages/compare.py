#!/usr/bin/env python3
"""Compares the parts that Columba finds with those that Python's `email` package finds.

    compare.py PROGRAM [FILE…]

PROGRAM is the example `parts` of crates/mime: it prints, for each message given, one line per part: depth, type and the
octets of the body. Without files, the messages beside this script are compared, and every difference must be one of
those explained in EXPLAINED; with files (the test data of CPython, for one) all differences are only told.

What is compared is the tree of parts: depth and type of each. Python takes every `message/*` apart; what it finds inside
others than rfc822 and global is left out here.

Over the 48 messages that CPython 3.13 has in test/test_email/data there are eight differences, of the kinds explained
below: no usable boundary (msg_25, 41), a part made up where there is none (msg_17, 31, 42), one boundary used at two
depths (msg_15, 39), boundary lines right after another (msg_37).
"""
import email
import email.policy
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent

EXPLAINED = {
    "boundary-empty": "an empty boundary: opaque text/plain to us (RFC 2046 §5.1.1 wants a character at least)",
    "boundary-missing": "no boundary: opaque text/plain to us, multipart without parts to Python",
    "boundary-never": "the one part that a multipart must have in BODYSTRUCTURE is made up by us",
    "boundary-only-end": "the one part that a multipart must have in BODYSTRUCTURE is made up by us",
    "boundary-at-once": "Python takes a boundary right after a boundary as text of the part",
    "boundary-prefix-reversed": "RFC 2046 §5.1.1: a boundary may be a mere prefix of the line; Python wants the whole line",
    "boundary-the-same": "nested multiparts with one boundary: the inner one is ended first by us, never by Python",
    "message-base64": "an encoded message/rfc822, which RFC 2046 §5.2.1 forbids: a leaf to us",
    "message-global-base64": "an encoded message: a leaf to us",
    "type-with-comments": "Python does not know comments around the slash",
}


ENTERED = ("message/rfc822", "message/global")


def python_parts(octets):
    """Depth and type of each part."""
    parts = []

    def walk(message, depth):
        kind = message.get_content_type()
        parts.append((depth, kind))
        if message.is_multipart() and (not kind.startswith("message/") or kind in ENTERED):
            for child in message.get_payload():
                walk(child, depth + 1)

    walk(email.message_from_bytes(octets, policy=email.policy.compat32), 0)
    return parts


def columba_parts(program, files):
    """The same for each file."""
    output = subprocess.run([program, *files], check=True, capture_output=True, text=True).stdout
    found = {}
    for line in output.splitlines():
        if line.startswith("== "):
            parts = found.setdefault(line[3:], [])
        else:
            depth, kind, _ = line.split("\t")
            parts.append((int(depth), kind))
    return found


def main():
    program, files = sys.argv[1], sys.argv[2:]
    own = not files
    files = files or sorted(str(path) for path in HERE.glob("*.eml"))
    found = columba_parts(program, files)
    different, wrong = set(), 0
    for file in files:
        expected, name = python_parts(Path(file).read_bytes()), Path(file).stem
        if found[file] == expected:
            continue
        different.add(name)
        if not own or name not in EXPLAINED:
            wrong += 1
            print(f"{file}\n  Python  {expected}\n  Columba {found[file]}")
    for name in sorted(set(EXPLAINED) - different) if own else []:
        wrong += 1
        print(f"{name}: explained, but there is no difference")
    print(f"{len(files)} messages, {len(different)} differ, {wrong} of them not explained")
    return 1 if own and wrong else 0


sys.exit(main())
