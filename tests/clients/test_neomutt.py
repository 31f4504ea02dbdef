"""neomutt in a pseudo terminal: reading, flagging, moving, deleting, drafts, new mail while it is open.

Keys come from the command line (`-e 'push …'`), as a user would press them; what happened is asserted on the server by
a second connection. Nothing is sent.
"""

import mail
import wire
from boxes import filled, flags
from cases import case, contains, equal, main, until
from terminal import Terminal

SETTINGS = """
set imap_user = "{user}"
set imap_pass = "{password}"
set folder = "imap{s}://localhost:{port}/"
set spoolfile = "+INBOX"
set postponed = "+Drafts"
set record = "+Sent"
set trash = ""
set ssl_starttls = yes
set ssl_force_tls = yes
set certificate_file = "{certificate}"
set ssl_verify_host = yes
set header_cache = "{home}/headers"
set message_cachedir = "{home}/bodies"
set from = "bob@example.com"
set realname = "Bob"
set quit = yes
set delete = yes
set move = no
set confirmappend = no
set confirmcreate = no
set mark_old = no
set wait_key = no
set sleep_time = 0
set imap_idle = yes
set imap_keepalive = 5
set mail_check = 1
set timeout = 1
set editor = "true"
set abort_unmodified = no
set abort_nosubject = no
set abort_noattach = no
set charset = "utf-8"
set sort = mailbox-order
set beep = no
set imap_check_subscribed = no
set imap_list_subscribed = no
unset prompt_after
set pager_index_lines = 0
"""


def neomutt(server, account, keys="", implicit=False, mailbox="INBOX", extra=(), options=()):
    """A neomutt that has been given these keys; the caller waits for its end."""
    home = server.directory / f"{account.user}-neomutt"
    home.mkdir(exist_ok=True)
    for cache in ("headers", "bodies"):
        (home / cache).mkdir(exist_ok=True)
    config = home / f"muttrc{int(implicit)}"
    config.write_text(
        SETTINGS.format(
            user=account.user,
            password=account.password,
            s="s" if implicit else "",
            port=server.tls_port if implicit else server.port,
            certificate=server.certificate,
            home=home,
        )
    )
    argv = ["neomutt", "-n", "-F", config, "-f", f"+{mailbox}", *options]
    for line in extra:
        argv += ["-e", line]
    if keys:
        argv += ["-e", f'push "{keys}"']
    return Terminal(argv, env={"HOME": str(home), "LC_ALL": "C.UTF-8"})


def press(server, account, keys, **options):
    """Runs neomutt with these keys to its end."""
    with neomutt(server, account, keys, **options) as terminal:
        status = terminal.finish()
        equal(status, 0, f"neomutt's status; it showed {terminal.shown[-800:]!r}")
        return terminal.shown


@case
def reading_marks_as_seen(server):
    account = filled(server)
    shown = press(server, account, "<first-entry><display-message><exit><quit>")
    contains(shown, "Subject 1", "the screen")
    equal(flags(server, account)["n1"], {"\\Seen"}, "flags of the message that was read")
    equal(flags(server, account)["n2"], set(), "flags of one that was not")
    press(server, account, "<last-entry><display-message><exit><quit>", implicit=True)
    equal(flags(server, account)["n6"], {"\\Seen"}, "flags of the message read over IMAPS")


@case
def qresync_tells_what_was_missed(server):
    """With its header cache filled, neomutt asks only for what changed and vanished since."""
    account = filled(server)
    settings = ("set imap_condstore = yes", "set imap_qresync = yes")
    press(server, account, "<first-entry><display-message><exit><quit>", extra=settings)
    with server.connect(account) as connection:
        connection.ok("SELECT INBOX")
        connection.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
        connection.ok("STORE 3 +FLAGS.SILENT (\\Flagged)")
        connection.ok("EXPUNGE")
        connection.append("INBOX", mail.plain("n7", "Body of 7.\r\n", "Subject 7"))
    log = server.directory / f"{account.user}-neomutt" / "debug"
    shown = press(
        server,
        account,
        "<last-entry><display-message><exit><first-entry><next-entry><delete-message><sync-mailbox><quit>",
        extra=settings,
        options=("-d", "2", "-l", log),
    )
    contains(shown, "Subject 7", "the screen")
    assert "Subject 2" not in shown, "a message that vanished is shown"
    logged = "".join(part.read_text(errors="replace") for part in log.parent.glob("debug*"))
    contains(logged, " VANISHED)", "neomutt's log")
    kept = flags(server, account)
    equal(set(kept), {"n1", "n4", "n5", "n6", "n7"}, "what is left: 2 was expunged elsewhere, 3 deleted here")
    equal((kept["n1"], kept["n4"], kept["n7"]), ({"\\Seen"}, set(), {"\\Seen"}), "flags")


@case
def flagging_replying_marks_and_new_again(server):
    account = filled(server)
    press(
        server,
        account,
        "<first-entry><flag-message><next-undeleted><set-flag>r<next-undeleted><set-flag>N<sync-mailbox><quit>",
    )
    found = flags(server, account)
    contains(found["n1"], "\\Flagged", "the flagged one")
    assert any("\\Answered" in f for f in found.values()), f"no message is answered: {found}"
    press(server, account, "<first-entry><flag-message><sync-mailbox><quit>")
    assert "\\Flagged" not in flags(server, account)["n1"], "the flag is still there after taking it away"


@case
def deleting_a_pattern_and_purging(server):
    account = filled(server)
    press(server, account, "<delete-pattern>~s 'Subject [25]'<enter><sync-mailbox><quit>")
    equal(set(flags(server, account)), {"n1", "n3", "n4", "n6"}, "what is left")
    press(server, account, "<first-entry><delete-message><first-entry><undelete-pattern>~A<enter><quit>")
    equal(set(flags(server, account)), {"n1", "n3", "n4", "n6"}, "undeleted again before leaving")


@case
def moving_and_copying_between_folders(server):
    account = filled(server)
    press(server, account, "<first-entry><save-message><kill-line>+Archive<enter><sync-mailbox><quit>")
    equal(set(flags(server, account, "Archive")), {"n1"}, "what was saved")
    equal(set(flags(server, account)), {"n2", "n3", "n4", "n5", "n6"}, "what is left")
    press(
        server,
        account,
        "<tag-pattern>~s 'Subject [34]'<enter><tag-prefix><copy-message><kill-line>+Archive<enter><quit>",
    )
    equal(set(flags(server, account, "Archive")), {"n1", "n3", "n4"}, "what was copied")
    equal(len(flags(server, account)), 5, "what is left after copying")
    press(
        server, account, "<tag-pattern>~A<enter><tag-prefix><save-message><kill-line>+Grüße<enter><sync-mailbox><quit>"
    )
    equal(set(flags(server, account, "Grüße")), {"n2", "n3", "n4", "n5", "n6"}, "a folder made on the way")
    equal(flags(server, account), {}, "INBOX in the end")


@case
def searching_on_the_server(server):
    account = filled(server)
    press(server, account, "<limit>=b 'Body of 4'<enter><display-message><exit><limit>all<enter><quit>")
    equal(flags(server, account)["n4"], {"\\Seen"}, "only the one that was found was read")
    equal(flags(server, account)["n1"], set(), "and no other")


@case
def a_draft_is_kept_on_the_server(server):
    account = filled(server, 1)
    press(server, account, "<mail>ada@example.org<enter>A draft<enter><postpone-message><quit>")
    with server.connect(account, "Drafts") as connection:
        found = wire.messages(connection)
        equal(len(found), 1, "drafts")
        octets, kept = next(iter(found.values()))
        contains(octets, b"Subject: A draft\r\n", "the draft")
        contains(kept, "\\Draft", "flags of the draft")


@case
def new_mail_shows_up_while_it_is_open(server):
    account = filled(server, 1)
    with neomutt(server, account) as terminal:
        terminal.expect("Subject 1")
        server.deliver([f"{account.user}@example.com"], mail.plain("late", "Late.\r\n", "Just arrived"))
        terminal.expect("Just arrived")
        terminal.type("j\n")
        terminal.expect("Late.")
        terminal.type("i$")
        until(lambda: flags(server, account)["late"] == {"\\Seen"}, 10, "the late message is seen")
        with server.connect(account, "INBOX") as other:
            other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
            other.ok("EXPUNGE")
        terminal.expect("externally modified")
        terminal.type("q")
        equal(terminal.finish(), 0, "neomutt's status")
    equal(flags(server, account), {"late": {"\\Seen"}}, "the late message is alone")


@case
def folders_are_browsed_and_made(server):
    account = filled(server, 1)
    with server.connect(account) as connection:
        connection.ok("CREATE " + wire.quote("Äpfel & Birnen"))
    with neomutt(server, account) as terminal:
        terminal.expect("Subject 1")
        terminal.type("c?")
        terminal.expect("Mailboxes [0]")
        terminal.type("\t")
        terminal.expect("Äpfel & Birnen")
        terminal.expect("Drafts")
        terminal.expect("File mask")
        terminal.type("C")
        terminal.expect("Create mailbox: ")
        terminal.type("Grünes\n")
        terminal.expect("Mailbox created")
    with server.connect(account) as connection:
        listed = connection.ok(f"LIST {wire.quote('')} {wire.quote('Grünes')}").of("LIST")
        equal(len(listed), 1, "LIST of the folder that neomutt made")


main(__name__)
