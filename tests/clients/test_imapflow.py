"""imapflow, the JavaScript client that enables IMAP4rev2 by itself; the cases are in imapflow.mjs.

Needs `npm ci` in this directory (`./test` does it).
"""

import json
import os
import pathlib
import signal
import subprocess
import threading

import mail
import servers
from cases import case, main

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 120
CASES = 13


@case
def all_of_imapflow(server):
    account = server.account()
    settings = {
        "host": servers.HOST,
        "port": server.port,
        "tlsPort": server.tls_port,
        "user": account.user,
        "password": account.password,
        "certificate": str(server.certificate),
        "name": server.name,
    }
    assert (HERE / "node_modules/imapflow").is_dir(), "imapflow is not installed: run `npm ci` in tests/clients"
    process = subprocess.Popen(
        [os.environ.get("NODE", "node"), "imapflow.mjs", json.dumps(settings)],
        cwd=HERE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    clock = threading.Timer(SECONDS, lambda: os.killpg(process.pid, signal.SIGKILL))
    clock.start()
    passed, failed = [], []
    try:
        for line in process.stdout:
            line = line.rstrip("\n")
            if line == "deliver":
                server.deliver([f"{account.user}@example.com"], mail.plain("told"))
            elif line.startswith("ok "):
                passed.append(line[3:])
            else:
                failed.append(line)
        process.wait()
    finally:
        clock.cancel()
    for name in passed:
        print(f"        ok {name}")
    assert not failed, "\n        ".join(["imapflow:", *failed])
    assert len(passed) == CASES, f"{len(passed)} of {CASES} cases ran"


main(__name__)
