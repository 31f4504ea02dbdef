"""A Thunderbird without a window, with one account, told what to do over Marionette.

What a user would click is done by the functions behind the buttons, so that Thunderbird's own IMAP code speaks with the
server; nothing here speaks IMAP. Marionette's messages are `LENGTH:JSON`, commands `[0, id, name, arguments]`.
"""

import json
import os
import signal
import socket
import subprocess
import time

import servers

SECONDS = 60

# What every program run in Thunderbird finds at hand.
PROLOGUE = """
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const server = MailServices.accounts.accounts[0].incomingServer;
const until = async (what, condition) => {
    for (let i = 0; i < 1200; i++) {
        const value = condition();
        if (value) return value;
        await new Promise(resolve => window.setTimeout(resolve, 25));
    }
    throw new Error("waited in vain: " + what);
};
const folder = path => path.split("/").reduce((at, name) => at.getChildNamed(name), server.rootFolder);
const imap = path => folder(path).QueryInterface(Ci.nsIMsgImapMailFolder);
const done = (resolve, reject) => status => (status ? reject(new Error("0x" + status.toString(16))) : resolve());
const update = path => new Promise((resolve, reject) => {
    const end = done(resolve, reject);
    imap(path).updateFolderWithListener(null, { OnStartRunningUrl() {}, OnStopRunningUrl(url, status) { end(status); } });
});
const messages = path => [...folder(path).messages];
const message = (path, subject) => until(`${subject} in ${path}`, () => messages(path).find(m => m.subject === subject));
const copying = start => new Promise((resolve, reject) => {
    const end = done(resolve, reject);
    start({ onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() { return ""; }, onStopCopy: end });
});
"""

SET_UP = """
const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
login.init("imap://localhost", null, "imap://localhost", args[0], args[1], "", "");
await Services.logins.addLoginAsync(login);
const database = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
const trust = Cc["@mozilla.org/security/certoverride;1"].getService(Ci.nsICertOverrideService);
trust.rememberValidityOverride("localhost", args[2], {}, database.constructX509FromBase64(args[3]), false);
server.performExpand(null);
await until("the inbox", () => server.rootFolder.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox));
await update("INBOX");
"""

SETTINGS = {
    "mail.accountmanager.accounts": "account1",
    "mail.accountmanager.defaultaccount": "account1",
    "mail.account.account1.server": "server1",
    "mail.account.account1.identities": "id1",
    "mail.identity.id1.fullName": "Bob",
    "mail.identity.id1.useremail": "bob@example.com",
    "mail.identity.id1.valid": True,
    "mail.server.server1.type": "imap",
    "mail.server.server1.hostname": "localhost",
    "mail.server.server1.name": "bob",
    "mail.server.server1.socketType": 3,
    "mail.server.server1.authMethod": 3,
    "mail.server.server1.login_at_startup": False,
    "mail.server.server1.check_new_mail": False,
    # Nothing but the server under test is to be spoken with, and nobody is there to answer a question.
    "app.update.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
    "extensions.update.enabled": False,
    "mail.inappnotifications.enabled": False,
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "mailnews.start_page.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.proxy.type": 0,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
}


class Failed(AssertionError):
    """Thunderbird could not do it."""


class Thunderbird:
    """Runs as long as the `with` block; the profile stays, so that another one goes on with what this one knows."""

    def __init__(self, server, account):
        self.server, self.account = server, account
        self.home = server.directory / f"{account.user}-thunderbird"
        self.port = servers.free_port()
        self.received, self.commands = b"", 0

    def __enter__(self):
        profile = self.home / "profile"
        known = profile.is_dir()
        profile.mkdir(parents=True, exist_ok=True)
        settings = {
            **SETTINGS,
            "mail.server.server1.port": self.server.tls_port,
            "mail.server.server1.userName": self.account.user,
            "marionette.port": self.port,
        }
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in settings.items()]
        (profile / "user.js").write_text("".join(lines))
        argv = ["thunderbird", "--headless", "--marionette", "--remote-allow-system-access", "--no-remote"]
        with open(self.home / "output", "ab") as output:
            self.process = subprocess.Popen(
                [*argv, "--profile", str(profile)],
                env={
                    **os.environ,
                    "HOME": str(self.home),
                    "MOZ_HEADLESS": "1",
                    "MOZ_LOG": "IMAP:4",
                    "MOZ_LOG_FILE": str(self.home / "imap"),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.begin()
            if not known:
                lines = self.server.certificate.read_text().split("-----")[2].split()
                self.run(SET_UP, self.account.user, self.account.password, self.server.tls_port, "".join(lines))
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_):
        try:
            # Folder databases are written at the end of a session.
            self.command("Marionette:Quit", flags=["eForceQuit"])
            self.process.wait(SECONDS)
        except (OSError, Failed, subprocess.TimeoutExpired):
            self.kill()

    def kill(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def begin(self):
        end = time.monotonic() + SECONDS
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS)
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise Failed(f"Thunderbird did not start: {(self.home / 'output').read_text()[-500:]}") from None
                self.wait_a_little()
        self.receive()
        self.command("WebDriver:NewSession")
        self.command("Marionette:SetContext", value="chrome")
        self.command("WebDriver:SetTimeouts", script=SECONDS * 1000)

    def wait_a_little(self):
        """Until Thunderbird ends, or a moment has passed: its port says nothing of itself."""
        try:
            self.process.wait(0.05)
        except subprocess.TimeoutExpired:
            return

    def receive(self):
        while b":" not in self.received:
            self.more()
        size, self.received = self.received.split(b":", 1)
        while len(self.received) < int(size):
            self.more()
        octets, self.received = self.received[: int(size)], self.received[int(size) :]
        return json.loads(octets)

    def more(self):
        octets = self.socket.recv(65536)
        if not octets:
            raise Failed("Thunderbird closed the connection")
        self.received += octets

    def command(self, name, **arguments):
        self.commands += 1
        octets = json.dumps([0, self.commands, name, arguments]).encode()
        self.socket.sendall(b"%d:%s" % (len(octets), octets))
        _, _, error, result = self.receive()
        if error:
            raise Failed(f"{name}: {error.get('message', error)}")
        return result

    def run(self, program, *arguments):
        """Runs JavaScript inside Thunderbird, with `args`, and gives what it returns."""
        script = f"""
            const resolve = arguments[arguments.length - 1], args = Array.from(arguments).slice(0, -1);
            (async () => {{ {PROLOGUE} {program} }})().then(
                value => resolve({{ value }}), error => resolve({{ error: `${{error}} ${{error.stack || ""}}` }}));
        """
        result = self.command("WebDriver:ExecuteAsyncScript", script=script, args=list(arguments), newSandbox=True)
        if "error" in result["value"]:
            raise Failed(f"Thunderbird: {result['value']['error']}")
        return result["value"].get("value")

    def log(self):
        """What it said on the wire, and what it heard."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.home.glob("imap*")))
