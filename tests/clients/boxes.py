"""An account's mail, put there and looked at by a second connection."""

import mail
import wire


def filled(server, count=6):
    """A new account with plain messages in INBOX: ids n1, n2, …, and Subject 1, Subject 2, …"""
    account = server.account()
    with server.connect(account) as connection:
        for number in range(1, count + 1):
            connection.append("INBOX", mail.plain(f"n{number}", f"Body of {number}.\r\n", f"Subject {number}"))
    return account


def flags(server, account, mailbox="INBOX"):
    """id -> flags, without \\Recent."""
    with server.connect(account) as connection:
        connection.ok(f"EXAMINE {wire.quote(mailbox)}")
        return {mail.unique(octets): set(f) - {"\\Recent"} for octets, f in wire.messages(connection).values()}
