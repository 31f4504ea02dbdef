"""Python's imaplib: every command it has.

Commands of extensions the server does not announce must be answered with a tagged BAD and leave the connection usable;
a case at the end compares imaplib's own command list with what was covered here.
"""

import imaplib
import re
import time

import mail
import wire
from cases import Skip, case, contains, equal, main

CORE = set(
    (
        "APPEND AUTHENTICATE CAPABILITY CHECK CLOSE COPY CREATE DELETE ENABLE EXAMINE EXPUNGE FETCH LIST LOGIN LOGOUT "
        "LSUB MOVE NAMESPACE NOOP RENAME SEARCH SELECT STARTTLS STATUS STORE SUBSCRIBE UID UNSELECT UNSUBSCRIBE IDLE"
    ).split()
)
EXTENSIONS = {
    "DELETEACL": ("ACL", lambda i: i.deleteacl("INBOX", "ada")),
    "GETACL": ("ACL", lambda i: i.getacl("INBOX")),
    "MYRIGHTS": ("ACL", lambda i: i.myrights("INBOX")),
    "SETACL": ("ACL", lambda i: i.setacl("INBOX", "ada", "lr")),
    "GETANNOTATION": ("ANNOTATEMORE", lambda i: i.getannotation("INBOX", '"/comment"', '"value.priv"')),
    "SETANNOTATION": ("ANNOTATEMORE", lambda i: i.setannotation("INBOX", '"/comment"', '("value.priv" "x")')),
    "GETQUOTA": ("QUOTA", lambda i: i.getquota("")),
    "GETQUOTAROOT": ("QUOTA", lambda i: i.getquotaroot("INBOX")),
    "SETQUOTA": ("QUOTASET", lambda i: i.setquota("", "(STORAGE 512)")),
    "SORT": ("SORT", lambda i: i.sort("(SUBJECT)", "UTF-8", "ALL")),
    "THREAD": ("THREAD=REFERENCES", lambda i: i.thread("REFERENCES", "UTF-8", "ALL")),
    "PROXYAUTH": ("PROXYAUTH", lambda i: i.proxyauth("ada")),
    "PARTIAL": ("PARTIAL-RFC1064", lambda i: i.partial("1", "RFC822", "0", "10")),
}


def connect(server, account=None, implicit=True):
    if implicit:
        client = imaplib.IMAP4_SSL("localhost", server.tls_port, ssl_context=server.tls_context(), timeout=30)
    else:
        client = imaplib.IMAP4("localhost", server.port, timeout=30)
    if account:
        equal(client.login(account.user, account.password)[0], "OK", "LOGIN")
    return client


def with_messages(server, count=5):
    account = server.account()
    client = connect(server, account)
    for number in range(count):
        done = client.append("INBOX", None, None, mail.plain(f"i{number}", f"Text {number}.\r\n", f"Subject {number}"))
        equal(done[0], "OK", "APPEND")
    equal(client.select("INBOX"), ("OK", [str(count).encode()]), "SELECT")
    return account, client


@case
def starttls_then_login(server):
    account = server.account()
    client = connect(server, implicit=False)
    contains(client.capabilities, "STARTTLS", "capabilities before STARTTLS")
    if server.is_columba:  # Dovecot takes loopback for secure
        contains(client.capabilities, "LOGINDISABLED", "capabilities before STARTTLS")
        try:
            client.login(account.user, account.password)
            raise AssertionError("LOGIN before STARTTLS was accepted")
        except imaplib.IMAP4.error:
            pass
    equal(client.starttls(server.tls_context())[0], "OK", "STARTTLS")
    assert "STARTTLS" not in client.capabilities and "LOGINDISABLED" not in client.capabilities, client.capabilities
    equal(client.login(account.user, account.password)[0], "OK", "LOGIN after STARTTLS")
    equal(client.state, "AUTH", "state")
    equal(client.logout()[0], "BYE", "LOGOUT")


@case
def authenticate_plain(server):
    account = server.account()
    client = connect(server)
    contains(client.capabilities, "AUTH=PLAIN", "capabilities")
    done = client.authenticate("PLAIN", lambda _: f"\0{account.user}\0{account.password}".encode())
    equal(done[0], "OK", "AUTHENTICATE PLAIN")
    client.logout()


@case
def wrong_passwords_and_unknown_users_get_one_answer(server):
    account = server.account()
    answers = []
    for user, password in ((account.user, "wrong"), ("nobody-of-this-name", "wrong")):
        client = connect(server)
        try:
            client.login(user, password)
            raise AssertionError("a wrong password was accepted")
        except imaplib.IMAP4.error as error:
            answers.append(re.sub(r"\d+\.\d+ secs|\(.*?\)", "", str(error)))
        client.logout()
    equal(answers[0], answers[1], "answers to a wrong password and to an unknown user")
    contains(answers[0], "AUTHENTICATIONFAILED", "response code")


@case
def mailboxes_create_list_rename_subscribe_delete(server):
    account = server.account()
    client = connect(server, account)
    name = wire.quote("Grüße/Äpfel & Birnen")
    equal(client.create(name)[0], "OK", "CREATE")
    contains(client.create(name)[1][0], b"[ALREADYEXISTS]", "CREATE once more")
    listed = client.list('""', "*")[1]
    assert any(wire.quote("Grüße/Äpfel & Birnen").encode() in line for line in listed), listed
    contains(b"".join(client.list('""', wire.quote("Grüße"))[1]), b"\\HasChildren", "the parent's attributes")
    equal(client.subscribe(name)[0], "OK", "SUBSCRIBE")
    assert any(
        mail_name in line for line in client.lsub()[1] for mail_name in [wire.mutf7("Grüße/Äpfel & Birnen").encode()]
    )
    equal(client.rename(name, "Plain")[0], "OK", "RENAME")
    equal(client.unsubscribe(name)[0], "OK", "UNSUBSCRIBE")
    assert not any(b"pfel" in line for line in client.lsub()[1] if line), "unsubscribed and still in LSUB"
    equal(client.status("Plain", "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN RECENT)")[0], "OK", "STATUS")
    equal(client.delete("Plain")[0], "OK", "DELETE")
    equal(client.delete("Plain")[0], "NO", "DELETE of what is not there")
    equal(client.select("Plain")[0], "NO", "SELECT of what is not there")
    equal(client.namespace()[0], "OK", "NAMESPACE")
    client.logout()


@case
def append_fetch_store_search(server):
    account, client = with_messages(server, 3)
    date = imaplib.Time2Internaldate(time.mktime((2001, 2, 3, 4, 5, 6, 0, 0, 0)))
    source = mail.Mail(11)
    identity, octets = source.message(size=20_000)
    done = client.append("INBOX", "(\\Flagged $Work)", date, octets)
    equal(done[0], "OK", "APPEND with flags and date")
    contains(done[1][0], b"APPENDUID", "the answer to APPEND")
    client.noop()
    equal(client.untagged_responses.get("EXISTS", [None])[-1], b"4", "EXISTS after APPEND to the selected mailbox")
    data = client.fetch("4", "(FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")[1]
    equal(data[0][1], octets, "the message")
    contains(data[0][0], b"RFC822.SIZE %d" % len(octets), "size")
    equal(
        set(imaplib.ParseFlags(data[0][0]) or imaplib.ParseFlags(data[1])) & {b"\\Flagged", b"$Work"},
        {b"\\Flagged", b"$Work"},
        "flags",
    )
    equal(
        time.mktime(imaplib.Internaldate2tuple(data[0][0] if b"INTERNALDATE" in data[0][0] else data[1])),
        time.mktime(imaplib.Internaldate2tuple(b"INTERNALDATE " + date.encode())),
        "INTERNALDATE",
    )
    equal(client.store("1:2", "+FLAGS", "(\\Seen \\Answered)")[0], "OK", "STORE")
    equal(client.search(None, "SEEN")[1], [b"1 2"], "SEARCH SEEN")
    equal(client.search(None, "ANSWERED", "SUBJECT", '"Subject 1"')[1], [b"2"], "SEARCH SUBJECT")
    equal(client.search("UTF-8", "KEYWORD", "$Work")[1], [b"4"], "SEARCH KEYWORD")
    equal(client.search(None, "UNSEEN")[1], [b"3 4"], "SEARCH UNSEEN")
    client.literal = b"Text 2"
    equal(client.search("UTF-8", "BODY")[1], [b"3"], "SEARCH BODY with a literal")
    equal(client.store("1", "FLAGS.SILENT", "()")[0], "OK", "STORE FLAGS.SILENT ()")
    equal(client.search(None, "SEEN")[1], [b"2"], "SEARCH SEEN after it")
    equal(client.fetch("3", "(BODY[HEADER.FIELDS (SUBJECT)])")[1][0][1], b"Subject: Subject 2\r\n\r\n", "HEADER.FIELDS")
    equal(client.search(None, "SEEN")[1], [b"2 3"], "BODY[…] sets \\Seen")
    client.logout()


@case
def copy_expunge_check_close(server):
    _, client = with_messages(server, 5)
    equal(client.create("Other")[0], "OK", "CREATE")
    equal(client.copy("2:3", "Other")[0], "OK", "COPY")
    equal(client.copy("1", "Nowhere")[0], "NO", "COPY to nowhere")
    equal(client.store("1,3", "+FLAGS", "\\Deleted")[0], "OK", "STORE \\Deleted")
    expunged = client.expunge()
    # The numbers depend on the order of the server's choice (RFC 9051 §7.5.1).
    assert expunged in (("OK", [b"1", b"2"]), ("OK", [b"3", b"1"])), expunged
    equal(client.check()[0], "OK", "CHECK")
    equal(client.store("1", "+FLAGS", "\\Deleted")[0], "OK", "STORE \\Deleted")
    equal(client.close()[0], "OK", "CLOSE")
    equal(client.state, "AUTH", "state after CLOSE")
    equal(client.select("INBOX", readonly=True), ("OK", [b"2"]), "EXAMINE after CLOSE")
    equal(client.select("Other"), ("OK", [b"2"]), "the copies")
    equal(client.recent()[0], "OK", "recent()")
    equal(client.response("UIDVALIDITY")[0], "UIDVALIDITY", "response()")
    equal(client.unselect()[0], "OK", "UNSELECT")
    client.logout()


@case
def uid_commands(server):
    _, client = with_messages(server, 4)
    uids = client.uid("SEARCH", "ALL")[1][0].split()
    equal(len(uids), 4, "UIDs")
    last = uids[-1].decode()
    contains(client.uid("FETCH", last, "(FLAGS)")[1][0], b"UID " + uids[-1], "UID FETCH")
    equal(client.uid("STORE", last, "+FLAGS.SILENT", "(\\Deleted)")[0], "OK", "UID STORE")
    equal(client.create("There")[0], "OK", "CREATE")
    equal(client.uid("COPY", f"{last},{uids[0].decode()}", "There")[0], "OK", "UID COPY")
    equal(client.response("COPYUID")[0], "COPYUID", "COPYUID")
    equal(client.uid("MOVE", uids[1].decode(), "There")[0], "OK", "UID MOVE")
    equal(client.uid("EXPUNGE", last)[0], "OK", "UID EXPUNGE")
    equal(client.uid("SEARCH", "ALL")[1][0].split(), [uids[0], uids[2]], "what is left")
    equal(client.select("There"), ("OK", [b"3"]), "what was copied and moved")
    equal(client.uid("FETCH", "999999", "(FLAGS)"), ("OK", [None]), "UID FETCH of what is not there")
    client.logout()


@case
def enable_utf8(server):
    account = server.account()
    client = connect(server, account)
    if b"UTF8=ACCEPT" not in client.capability()[1][0].split():
        equal(server.is_columba, False, "UTF8=ACCEPT missing")
        return
    equal(client.enable("UTF8=ACCEPT")[0], "OK", "ENABLE")
    equal(client.utf8_enabled, True, "utf8_enabled")
    equal(client.create('"Grüße"')[0], "OK", "CREATE of a UTF-8 name")
    assert any("Grüße".encode() in line for line in client.list()[1]), "LIST shows it in UTF-8"
    message = "Subject: Grüße\r\nFrom: <jürgen@bücher.example>\r\n\r\nHällo\r\n".encode()
    equal(client.append('"Grüße"', None, None, message)[0], "OK", "APPEND with UTF8 (…)")
    equal(client.select('"Grüße"'), ("OK", [b"1"]), "SELECT")
    stored = client.fetch("1", "(BODY.PEEK[])")[1][0][1]
    # imaplib's own mistake: its `UTF8 (` of RFC 6855 §4 goes into the literal and so into the message.
    assert stored in (message, b"UTF8 (" + message + b")"), stored
    client.logout()


@case
def replace_and_catenate_through_what_imaplib_has(server):
    _, client = with_messages(server, 3)
    if not {"REPLACE", "CATENATE"} <= set(client.capability()[1][0].decode().split()):
        raise Skip("no REPLACE or no CATENATE")
    imaplib.Commands.setdefault("REPLACE", ("SELECTED",))
    client.literal = b"Subject: new\r\n\r\nnew\r\n"
    equal(client._simple_command("REPLACE", "2", "INBOX", "(\\Seen)")[0], "OK", "REPLACE")
    contains(client.untagged_responses["APPENDUID"][-1], b" 4", "APPENDUID")
    equal(client.untagged_responses["EXPUNGE"], [b"2"], "what went")
    equal(client._simple_command("APPEND", "INBOX", "CATENATE", '(URL "/INBOX/;UID=4")')[0], "OK", "APPEND of a URL")
    equal(client.uid("FETCH", "4,5", "(BODY.PEEK[TEXT])")[1][0][1], b"new\r\n", "the new message")
    answer = client._simple_command("APPEND", "INBOX", "CATENATE", '(URL "/INBOX/;UID=9")')
    contains(answer[1][0], b'[BADURL "/INBOX/;UID=9"]', "a URL of nothing")
    del imaplib.Commands["REPLACE"]
    client.logout()


@case
def unannounced_commands_are_refused_and_the_connection_lives(server):
    _, client = with_messages(server, 1)
    capabilities = client.capability()[1][0].decode().split()
    for name, (capability, call) in EXTENSIONS.items():
        announced = capability in capabilities
        try:
            answer = call(client)
            assert announced or answer[0] in ("NO", "BAD"), f"{name} without {capability} was answered {answer}"
        except imaplib.IMAP4.abort as error:
            raise AssertionError(f"{name} ended the connection: {error}") from error
        except imaplib.IMAP4.error as error:
            assert not announced, f"{name} is announced and answered {error}"
            # imaplib itself refuses PROXYAUTH here: only before a mailbox is selected.
            assert "BAD" in str(error) or "illegal in state" in str(error), f"{name}: {error}"
    try:
        client.login_cram_md5("ada", "secret")
        raise AssertionError("CRAM-MD5 was accepted while logged in")
    except imaplib.IMAP4.error:
        pass
    equal(client.xatom("NOOP")[0], "OK", "xatom")
    equal(client.noop()[0], "OK", "NOOP in the end")
    client.logout()


@case
def imaplib_has_no_command_that_was_not_tried(server):
    equal(set(imaplib.Commands) - CORE - set(EXTENSIONS), set(), "commands of imaplib")


main(__name__)
