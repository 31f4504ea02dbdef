"""curl over imap:// and imaps://: listing, fetching, appending, searching and custom requests.

curl checks the certificate in every case and requires TLS also on imap://.
"""

import re

import mail
import servers
import wire
from cases import case, contains, equal, main, run


class Curl:
    """Runs curl as one user; all answers as bytes of stdout."""

    def __init__(self, server, account, implicit=False, certificate=None):
        self.base = f"imaps://localhost:{server.tls_port}" if implicit else f"imap://localhost:{server.port}"
        self.options = ["curl", "-sS", "--ssl-reqd", "--cacert", str(certificate or server.certificate)]
        self.options += ["--user", f"{account.user}:{account.password}", "--max-time", "30"]

    def __call__(self, path, *options, status=0):
        return run([*self.options, self.base + path, *options], seconds=40, status=status)


def filled(server):
    account = server.account()
    source = mail.Mail(21)
    sent = [source.message() for _ in range(5)]
    with server.connect(account) as connection:
        for _, octets in sent:
            connection.append("INBOX", octets, "\\Seen")
        uids = connection.select() and connection.ok("UID SEARCH ALL").numbers()
    return account, [octets for _, octets in sent], uids


@case
def list_of_mailboxes(server):
    account, _, _ = filled(server)
    for implicit in (False, True):
        out = Curl(server, account, implicit)("/")
        names = {re.search(r'"?([^" ]+)"?\r?$', line)[1] for line in out.splitlines() if line.startswith("* LIST")}
        assert {"INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"} <= names, names


@case
def fetch_by_uid_and_by_section(server):
    account, octets, uids = filled(server)
    for implicit in (False, True):
        curl = Curl(server, account, implicit)
        for uid, message in zip(uids, octets):
            file = server.directory / "fetched"
            curl(f"/INBOX;UID={uid}", "-o", file)
            equal(file.read_bytes(), message, f"message {uid}")
        header, _, body = octets[0].partition(b"\r\n\r\n")
        curl(f"/INBOX;UID={uids[0]};SECTION=HEADER", "-o", file)
        equal(file.read_bytes(), header + b"\r\n\r\n", "SECTION=HEADER")
        curl(f"/INBOX;UID={uids[0]};SECTION=TEXT", "-o", file)
        equal(file.read_bytes(), body, "SECTION=TEXT")
        curl("/INBOX;MAILINDEX=2", "-o", file)
        equal(file.read_bytes(), octets[1], "MAILINDEX=2")
    with server.connect(account) as connection:
        validity = next(r.code[1] for r in connection.select().untagged if r.code and r.code[0] == "UIDVALIDITY")
    curl(f"/INBOX;UIDVALIDITY={validity};UID={uids[0]}", "-o", file)
    equal(file.read_bytes(), octets[0], "a fetch with the right UIDVALIDITY")
    # 78: "remote file not found", curl's word for another UIDVALIDITY.
    curl(f"/INBOX;UIDVALIDITY={int(validity) + 1};UID={uids[0]}", status=78)


@case
def append_with_upload(server):
    account = server.account()
    identity, octets = mail.Mail(22).message(size=300_000)
    file = server.directory / "upload.eml"
    file.write_bytes(octets)
    Curl(server, account)("/Drafts", "-T", file)
    Curl(server, account, implicit=True)("/Drafts", "-T", file)
    with server.connect(account, "Drafts") as connection:
        found = wire.messages(connection)
        equal([m for m, _ in found.values()], [octets, octets], "what was appended")
        contains(next(iter(found.values()))[1], "\\Seen", "curl appends with \\Seen")
    # 70: "upload failed"; APPEND to a mailbox that is not there is never a success.
    assert "OK" not in Curl(server, account)("/Nowhere", "-T", file, status=None), "APPEND to nowhere"


@case
def search_and_custom_requests(server):
    account, _, uids = filled(server)
    curl = Curl(server, account, implicit=True)
    contains(curl("/INBOX?HEADER%20X-Test-Id%20m3"), "* SEARCH 3", "a search")
    contains(curl("/INBOX", "-X", "UID SEARCH ALL"), "* SEARCH " + " ".join(map(str, uids)), "UID SEARCH")
    contains(curl("/INBOX", "-X", f"UID STORE {uids[0]} +FLAGS (\\Deleted)"), "\\Deleted", "STORE")
    contains(curl("/INBOX", "-X", "EXPUNGE"), "* 1 EXPUNGE", "EXPUNGE")
    curl("/", "-X", "CREATE Made")
    contains(curl("/", "-X", 'LIST "" Made'), "Made", "LIST after CREATE")
    curl("/INBOX", "-X", f"UID MOVE {uids[1]} Made")
    contains(curl("/", "-X", "STATUS Made (MESSAGES)"), "(MESSAGES 1)", "STATUS after MOVE")
    curl("/", "-X", "DELETE Made")
    curl("/", "-X", "DELETE Made", status=21)  # 21: the server answered NO to a quote command
    contains(curl("/INBOX", "-X", "NOOP", "-v"), "OK", "NOOP")


@case
def mechanisms_and_refusals(server):
    account, _, _ = filled(server)
    curl = Curl(server, account)
    contains(curl("/", "--login-options", "AUTH=PLAIN", "-v"), "AUTHENTICATE PLAIN", "AUTHENTICATE PLAIN")
    contains(
        curl("/", "--login-options", "AUTH=PLAIN", "--sasl-ir", "-v"), "INBOX", "AUTHENTICATE with initial response"
    )
    wrong = servers.Account(account.user, "wrong")
    Curl(server, wrong)("/", status=67)  # 67: login denied
    other = server.directory / "other.pem"
    servers.self_signed(other, server.directory / "other.key")
    for implicit in (False, True):
        Curl(server, account, implicit, other)("/", status=60)  # 60: the certificate is not trusted


main(__name__)
