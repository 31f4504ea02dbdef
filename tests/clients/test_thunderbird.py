"""Thunderbird, the real one, without a window: finding folders, reading, flagging, moving, deleting, new mail by IDLE.

It compresses (COMPRESS=DEFLATE) and takes UTF-8 (UTF8=ACCEPT) by itself. What it did is asserted on the server by a
second connection.
"""

import re

import mail
import wire
from boxes import filled, flags
from cases import case, contains, equal, main, until
from thunderbird import Thunderbird


@case
def folders_are_found_with_their_uses(server):
    account = filled(server, 4)
    with server.connect(account) as connection:
        connection.ok("CREATE " + wire.quote("Äpfel & Birnen"))
        connection.ok("SUBSCRIBE " + wire.quote("Äpfel & Birnen"))
    with Thunderbird(server, account) as thunderbird:
        found = thunderbird.run(
            """
            await until("the last folder", () => server.rootFolder.containsChildNamed("Äpfel & Birnen"));
            const uses = { Archive: "Archive", Drafts: "Drafts", Junk: "Junk", Sent: "SentMail", Trash: "Trash" };
            return Object.entries(uses).map(([name, flag]) => [name, folder(name).getFlag(Ci.nsMsgFolderFlags[flag])]);
            """
        )
        equal(
            found, [[name, True] for name in ("Archive", "Drafts", "Junk", "Sent", "Trash")], "folders and their uses"
        )
        subjects = thunderbird.run("return messages('INBOX').map(m => m.subject);")
        equal(sorted(subjects), [f"Subject {n}" for n in range(1, 5)], "subjects")
        log = thunderbird.log()
    for command in ("COMPRESS DEFLATE", "ENABLE UTF8=ACCEPT"):
        assert command in log, f"Thunderbird did not say {command}"


@case
def reading_flagging_moving_deleting(server):
    account = filled(server, 6)
    with Thunderbird(server, account) as thunderbird:
        body = thunderbird.run(
            """
            const read = await message("INBOX", "Subject 1");
            const uri = folder("INBOX").getUriForMsg(read);
            const service = MailServices.messageServiceFromURI(uri);
            const text = await new Promise((resolve, reject) => {
                const chunks = [];
                service.streamMessage(uri, {
                    QueryInterface: ChromeUtils.generateQI(["nsIStreamListener"]),
                    onStartRequest() {},
                    onDataAvailable(request, stream, offset, count) {
                        const input = Cc["@mozilla.org/scriptableinputstream;1"].createInstance(Ci.nsIScriptableInputStream);
                        input.init(stream);
                        chunks.push(input.readBytes(count));
                    },
                    onStopRequest(request, status) { status ? reject(new Error(status)) : resolve(chunks.join("")); },
                }, null, null, false, "", false);
            });
            folder("INBOX").markMessagesRead([read], true);
            folder("INBOX").markMessagesFlagged([await message("INBOX", "Subject 2")], true);
            folder("INBOX").addKeywordsToMessages([await message("INBOX", "Subject 3")], "$label1");
            const move = async (subject, to, isMove) => {
                const moved = await message("INBOX", subject);
                await copying(listener =>
                    MailServices.copy.copyMessages(folder("INBOX"), [moved], folder(to), isMove, listener, null, false));
            };
            await move("Subject 4", "Archive", true);
            await move("Subject 5", "Junk", false);
            const gone = await message("INBOX", "Subject 6");
            await copying(listener => folder("INBOX").deleteMessages([gone], null, false, true, listener, false));
            await update("INBOX");
            return text;
            """
        )
        contains(body, "Body of 1.", "the message that was read")
        wanted = {"n1": {"\\Seen"}, "n2": {"\\Flagged"}, "n3": {"$label1"}, "n5": set()}
        until(lambda: flags(server, account) == wanted, 20, "the inbox as Thunderbird left it")
        equal(list(flags(server, account, "Archive")), ["n4"], "what was archived")
        equal(list(flags(server, account, "Junk")), ["n5"], "what was copied")
        equal(list(flags(server, account, "Trash")), ["n6"], "what was deleted")


@case
def new_mail_and_changes_elsewhere_come_by_themselves(server):
    account = filled(server, 3)
    with Thunderbird(server, account) as thunderbird, server.connect(account) as other:
        # Once all headers are there, the next look at the folder ends in IDLE.
        thunderbird.run("await message('INBOX', 'Subject 3'); await update('INBOX');")
        until(lambda: re.search(r"SendData: \d+ IDLE", thunderbird.log()), 20, "Thunderbird to idle")
        server.deliver([f"{account.user}@example.com"], mail.plain("told", "News.\r\n", "Told by IDLE"))
        equal(thunderbird.run("return (await message('INBOX', 'Told by IDLE')).isRead;"), False, "new mail")
        other.ok("SELECT INBOX")
        other.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
        other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
        other.ok("EXPUNGE")
        thunderbird.run(
            """
            await until("a flag", () => messages("INBOX").find(m => m.subject === "Subject 1").isFlagged);
            await until("an expunge", () => !messages("INBOX").some(m => m.subject === "Subject 2"));
            """
        )


@case
def what_changed_while_it_was_closed(server):
    account = filled(server, 4)
    with Thunderbird(server, account) as thunderbird:
        thunderbird.run("await message('INBOX', 'Subject 4');")
    with server.connect(account) as other:
        other.ok("SELECT INBOX")
        other.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
        other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
        other.ok("EXPUNGE")
        other.append("INBOX", mail.plain("late", "Late.\r\n", "Late"))
    with Thunderbird(server, account) as thunderbird:
        read = thunderbird.run(
            """
            await update("INBOX");
            await message("INBOX", "Late");
            await until("an expunge", () => !messages("INBOX").some(m => m.subject === "Subject 2"));
            return messages("INBOX").map(m => [m.subject, m.isRead]).sort();
            """
        )
    wanted = [["Late", False], ["Subject 1", True], ["Subject 3", False], ["Subject 4", False]]
    equal(read, wanted, "the inbox after the second start")


@case
def folders_are_made_renamed_and_deleted_and_drafts_kept(server):
    account = filled(server, 1)
    with Thunderbird(server, account) as thunderbird:
        thunderbird.run(
            """
            server.rootFolder.createSubfolder("Grüße", null);
            await until("a new folder", () => server.rootFolder.containsChildNamed("Grüße"));
            folder("Grüße").rename("Neue & Grüße", null);
            await until("its new name", () => server.rootFolder.containsChildNamed("Neue & Grüße"));
            const file = Services.dirsvc.get("TmpD", Ci.nsIFile);
            file.append("draft.eml");
            file.createUnique(Ci.nsIFile.NORMAL_FILE_TYPE, 0o600);
            await IOUtils.writeUTF8(file.path, args[0]);
            await copying(listener =>
                MailServices.copy.copyFileMessage(file, folder("Drafts"), null, false, 0, "", listener, null));
            """,
            mail.plain("draft", "Grüße.\r\n".encode("ascii", "replace").decode(), "A draft").decode(),
        )
        equal(list(flags(server, account, "Drafts")), ["draft"], "drafts")
        with server.connect(account) as connection:
            listed = connection.ok(f"LIST {wire.quote('')} {wire.quote('Neue & Grüße')}").of("LIST")
            equal(len(listed), 1, "LIST of the folder that Thunderbird made and renamed")


main(__name__)
