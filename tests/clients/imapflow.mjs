// imapflow against one account: prints `ok NAME` or `not ok NAME: REASON` for each case.
//
// imapflow enables IMAP4rev2, UTF8=ACCEPT and CONDSTORE by itself when the server announces them, so this is the test
// of a client that speaks IMAP4rev2. Started by test_imapflow.py, which delivers a message when it reads `deliver`.

import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import fs from 'node:fs';
import { ImapFlow } from 'imapflow';

globalThis.crypto ??= webcrypto; // Debian 12 has Node 18, imapflow wants 20

const { host, port, tlsPort, user, password, certificate, name: serverName } = JSON.parse(process.argv[2]);
const ca = fs.readFileSync(certificate);

function connect(options = {}) {
    const implicit = options.implicit ?? true;
    return new ImapFlow({
        host, // an address: Node 18 tries only the first one of a name
        port: implicit ? tlsPort : port,
        secure: implicit,
        doSTARTTLS: implicit ? undefined : true,
        servername: 'localhost',
        tls: { ca },
        auth: { user, pass: password },
        logger: false,
        clientInfo: { name: 'columba-tests' },
        ...options
    });
}

async function opened(options) {
    const client = connect(options);
    await client.connect();
    return client;
}

function message(id, text = 'Hello.') {
    return Buffer.from(
        [
            'From: Ada <ada@example.org>',
            'To: Bob <bob@example.com>',
            `Subject: Subject ${id}`,
            'Date: Mon, 7 Feb 1994 21:52:25 -0800',
            `Message-ID: <${id}@example.org>`,
            `X-Test-Id: ${id}`,
            'MIME-Version: 1.0',
            'Content-Type: multipart/mixed; boundary="b"',
            '',
            '--b',
            'Content-Type: text/plain; charset=utf-8',
            'Content-Transfer-Encoding: 8bit',
            '',
            `${text} Grüße 🐦`,
            '--b',
            'Content-Type: application/octet-stream; name="data.bin"',
            'Content-Transfer-Encoding: base64',
            'Content-Disposition: attachment; filename="data.bin"',
            '',
            Buffer.from(Array.from({ length: 300 }, (_, i) => i % 256)).toString('base64').replace(/(.{76})/g, '$1\r\n'),
            '--b--',
            ''
        ].join('\r\n')
    );
}

async function contentOf(stream) {
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    return Buffer.concat(chunks);
}

// \Recent is only there with a server that speaks IMAP4rev1.
function sorted(flags) {
    return [...flags].filter(flag => flag !== '\\Recent').sort();
}

async function all(iterator) {
    const found = [];
    for await (const one of iterator) found.push(one);
    return found;
}

async function refusal(promise, pattern) {
    await assert.rejects(promise, error => {
        const said = `${error.responseStatus} ${error.serverResponseCode} ${error.responseText} ${error.message}`;
        assert.match(said, pattern);
        return true;
    });
}

const cases = {
    async 'STARTTLS, IMAPS, enabled extensions'() {
        for (const implicit of [true, false]) {
            const client = await opened({ implicit });
            assert.ok(client.authenticated);
            assert.equal(client.secureConnection, true);
            if (serverName === 'columba') {
                assert.ok(client.enabled.has('IMAP4REV2'), `enabled: ${[...client.enabled]}`);
            }
            await client.logout();
        }
    },

    async 'a wrong password is refused as such'() {
        const client = connect({ auth: { user, pass: 'wrong' } });
        await assert.rejects(client.connect(), error => error.authenticationFailed === true);
    },

    async 'a foreign certificate is refused'() {
        await assert.rejects(connect({ tls: {} }).connect(), error => /SELF_SIGNED|UNABLE_TO_VERIFY/.test(error.code));
    },

    async 'list, special use, status'() {
        const client = await opened();
        const list = await client.list({ statusQuery: { messages: true, uidNext: true, uidValidity: true, unseen: true } });
        const uses = Object.fromEntries(list.filter(m => m.specialUse).map(m => [m.specialUse, m.path]));
        assert.deepEqual(
            ['\\Drafts', '\\Sent', '\\Junk', '\\Trash', '\\Archive'].map(use => uses[use]),
            ['Drafts', 'Sent', 'Junk', 'Trash', 'Archive']
        );
        const inbox = list.find(m => m.path === 'INBOX');
        assert.equal(inbox.status.messages, 0);
        assert.equal(inbox.status.uidNext, 1);
        assert.equal(inbox.delimiter, '/');
        const tree = await client.listTree();
        assert.ok(tree.folders.some(f => f.path === 'INBOX'));
        await client.logout();
    },

    async 'create, rename, subscribe, delete, also with names in UTF-8'() {
        const client = await opened();
        assert.equal((await client.mailboxCreate('Grüße')).created, true);
        const made = await client.mailboxCreate(['Grüße', '日本語 🐦']);
        assert.equal(made.created, true);
        assert.equal(made.path, 'Grüße/日本語 🐦');
        assert.equal((await client.mailboxCreate('Grüße/日本語 🐦')).created, false);
        await client.mailboxRename('Grüße/日本語 🐦', 'A & B "quoted"');
        let paths = (await client.list()).map(m => m.path);
        assert.ok(paths.includes('A & B "quoted"'), `${paths}`);
        assert.equal(await client.mailboxUnsubscribe('A & B "quoted"'), true);
        assert.ok(!(await client.list()).find(m => m.path === 'A & B "quoted"').subscribed);
        assert.equal(await client.mailboxSubscribe('A & B "quoted"'), true);
        assert.equal((await client.list()).find(m => m.path === 'A & B "quoted"').subscribed, true);
        await client.mailboxDelete('A & B "quoted"');
        await client.mailboxDelete('Grüße');
        paths = (await client.list()).map(m => m.path);
        assert.ok(!paths.some(path => /Gr|quoted/.test(path)), `${paths}`);
        await refusal(client.mailboxDelete('Nowhere'), /NO/);
        await refusal(client.mailboxOpen('Nowhere'), /NO/);
        await client.logout();
    },

    async 'append, open, fetch everything'() {
        const client = await opened();
        const date = new Date('2001-02-03T04:05:06Z');
        const first = await client.append('INBOX', message('one'), ['\\Seen', '$Work'], date);
        assert.equal(first.destination, 'INBOX');
        assert.ok(first.uidValidity > 0n);
        const lock = await client.getMailboxLock('INBOX');
        try {
            assert.equal(client.mailbox.exists, 1);
            assert.equal(client.mailbox.readOnly, false);
            const second = await client.append('INBOX', message('two'), []);
            await client.noop();
            assert.equal(client.mailbox.exists, 2);
            const got = await client.fetchOne(String(first.uid), {
                uid: true, flags: true, envelope: true, bodyStructure: true, internalDate: true, size: true, source: true,
                headers: ['subject', 'x-test-id'], bodyParts: ['1', '2.mime', 'text']
            }, { uid: true });
            assert.equal(got.uid, first.uid);
            assert.deepEqual(sorted(got.flags), ['$Work', '\\Seen']);
            assert.equal(got.envelope.subject, 'Subject one');
            assert.deepEqual(got.envelope.from, [{ name: 'Ada', address: 'ada@example.org' }]);
            assert.equal(got.envelope.messageId, '<one@example.org>');
            assert.equal(new Date(got.internalDate).getTime(), date.getTime());
            assert.deepEqual(got.source, message('one'));
            assert.equal(got.size, message('one').length);
            assert.equal(got.bodyStructure.type, 'multipart/mixed');
            assert.deepEqual(got.bodyStructure.childNodes.map(node => [node.part, node.type]), [
                ['1', 'text/plain'], ['2', 'application/octet-stream']
            ]);
            assert.equal(got.headers.toString(), 'Subject: Subject one\r\nX-Test-Id: one\r\n\r\n');
            assert.equal(got.bodyParts.get('1').toString(), 'Hello. Grüße 🐦');
            assert.match(got.bodyParts.get('2.mime').toString(), /Content-Disposition: attachment/);
            const uids = (await all(client.fetch('1:*', { uid: true }))).map(m => m.uid);
            assert.deepEqual(uids, [first.uid, second.uid]);
            const partial = await client.fetchOne('*', { source: { start: 5, maxLength: 20 } });
            assert.deepEqual(partial.source, message('two').subarray(5, 25));
        } finally {
            lock.release();
        }
        await client.logout();
    },

    async 'QRESYNC: what vanished and what changed while away'() {
        const client = await opened({ qresync: true });
        assert.ok(client.enabled.has('QRESYNC'), `enabled: ${[...client.enabled]}`);
        await client.mailboxCreate('Away');
        const uids = [];
        for (const id of ['a', 'b', 'c']) uids.push((await client.append('Away', message(id), [])).uid);
        const { uidValidity, highestModseq } = await client.mailboxOpen('Away');
        await client.mailboxClose();
        const other = await opened();
        await other.mailboxOpen('Away');
        await other.messageDelete(String(uids[1]), { uid: true });
        await other.messageFlagsAdd(String(uids[2]), ['\\Flagged'], { uid: true });
        await other.logout();
        const vanished = [], changed = [];
        client.on('expunge', event => vanished.push([event.uid, event.vanished, event.earlier]));
        client.on('flags', event => changed.push([event.uid, sorted(event.flags)]));
        const again = await client.mailboxOpen('Away', { uidValidity, changedSince: highestModseq });
        assert.ok(again.highestModseq > highestModseq);
        const since = await all(client.fetch('1:*', { uid: true, flags: true }, { uid: true, changedSince: highestModseq }));
        // Once by SELECT (QRESYNC), once by UID FETCH (CHANGEDSINCE VANISHED).
        assert.deepEqual(vanished, [[uids[1], true, true], [uids[1], true, true]]);
        assert.deepEqual(since.map(m => [m.uid, sorted(m.flags)]), [[uids[2], ['\\Flagged']]]);
        await client.mailboxClose();
        await client.mailboxDelete('Away');
        await client.logout();
    },

    async 'download of a part and of a whole message'() {
        const client = await opened();
        await client.mailboxOpen('INBOX');
        const attachment = await client.download('1', '2');
        assert.equal(attachment.meta.filename, 'data.bin');
        assert.deepEqual(await contentOf(attachment.content), Buffer.from(Array.from({ length: 300 }, (_, i) => i % 256)));
        const text = await client.download('1', '1');
        assert.equal((await contentOf(text.content)).toString(), 'Hello. Grüße 🐦');
        const whole = await client.download('1');
        assert.deepEqual(await contentOf(whole.content), message('one'));
        const many = await client.downloadMany('1', ['1', '2']);
        assert.equal(many['2'].content.length, 300);
        await client.logout();
    },

    async 'flags'() {
        const client = await opened();
        await client.mailboxOpen('INBOX');
        assert.equal(await client.messageFlagsAdd('1:2', ['\\Flagged', 'Project']), true);
        const read = async () => (await all(client.fetch('1:*', { flags: true }))).map(m => sorted(m.flags));
        assert.deepEqual(await read(), [['$Work', 'Project', '\\Flagged', '\\Seen'], ['Project', '\\Flagged']]);
        assert.equal(await client.messageFlagsRemove('1', ['$Work', '\\Seen']), true);
        assert.equal(await client.messageFlagsSet('2', ['\\Answered']), true);
        assert.deepEqual(await read(), [['Project', '\\Flagged'], ['\\Answered']]);
        await client.logout();
    },

    async 'search'() {
        const client = await opened();
        await client.mailboxOpen('INBOX');
        assert.deepEqual(await client.search({ flagged: true }), [1]);
        assert.deepEqual(await client.search({ answered: true }, { uid: true }), [2]);
        assert.deepEqual(await client.search({ subject: 'subject TWO' }), [2]);
        assert.deepEqual(await client.search({ body: 'Grüße 🐦' }), [1, 2]);
        assert.deepEqual(await client.search({ header: { 'x-test-id': 'one' } }), [1]);
        assert.deepEqual(await client.search({ or: [{ keyword: 'Project' }, { answered: true }], not: { flagged: true } }), [2]);
        assert.deepEqual(await client.search({ before: new Date('2002-01-01') }), [1]);
        assert.deepEqual(await client.search({ subject: 'nothing like this' }), []);
        assert.deepEqual(await client.search({ all: true }, { uid: true }), [1, 2]);
        await client.logout();
    },

    async 'copy, move, delete and their UIDs'() {
        const client = await opened();
        await client.mailboxOpen('INBOX');
        const copied = await client.messageCopy('1:2', 'Archive');
        assert.deepEqual([...copied.uidMap.keys()], [1, 2]);
        assert.equal(copied.destination, 'Archive');
        const moved = await client.messageMove('1', 'Trash');
        assert.deepEqual([...moved.uidMap.keys()], [1]);
        assert.equal(client.mailbox.exists, 1);
        await refusal(client.messageMove('1', 'Nowhere').then(done => { if (!done) throw new Error('NO'); }), /NO|TRYCREATE/);
        assert.equal(await client.messageDelete('1'), true);
        assert.equal(client.mailbox.exists, 0);
        await client.mailboxOpen('Archive');
        assert.equal(client.mailbox.exists, 2);
        assert.deepEqual(sorted((await client.fetchOne('1', { flags: true })).flags), ['Project', '\\Flagged']);
        await client.mailboxClose();
        assert.equal((await client.status('Trash', { messages: true })).messages, 1);
        await client.logout();
    },

    async 'idle tells of new mail, flags and expunges'() {
        const client = await opened();
        await client.mailboxOpen('INBOX');
        const next = event => new Promise((resolve, reject) => {
            const late = setTimeout(() => reject(new Error(`no ${event} within 20 s`)), 20_000);
            client.once(event, data => { clearTimeout(late); resolve(data); });
        });
        let idling = client.idle();
        const arrived = next('exists');
        process.stdout.write('deliver\n');
        const told = await arrived;
        assert.deepEqual([told.path, told.count, told.prevCount], ['INBOX', 1, 0]);
        const other = await opened();
        await other.mailboxOpen('INBOX');
        const flagged = next('flags');
        await other.messageFlagsAdd('1', ['\\Flagged']);
        const change = await flagged;
        assert.equal(change.seq, 1);
        assert.ok(change.flags.has('\\Flagged'));
        const gone = next('expunge');
        await other.messageDelete('1');
        assert.equal((await gone).seq, 1);
        await client.noop();
        await idling;
        assert.equal(client.mailbox.exists, 0);
        await other.logout();
        await client.logout();
    },

    async 'many messages in one fetch while another connection changes them'() {
        const client = await opened();
        const other = await opened();
        await client.mailboxCreate('Many');
        for (let i = 0; i < 60; i++) await client.append('Many', message(`many${i}`, 'x'.repeat(i * 100)), []);
        await client.mailboxOpen('Many');
        await other.mailboxOpen('Many');
        const [answers] = await Promise.all([
            all(client.fetch('1:*', { uid: true, flags: true, source: true })),
            other.messageFlagsAdd('1:*', ['\\Seen'])
        ]);
        // Between them may come FETCH responses about the other's flags, which have no source.
        const fetched = answers.filter(m => m.source);
        assert.equal(fetched.length, 60);
        fetched.forEach((m, i) => assert.deepEqual(m.source, message(`many${i}`, 'x'.repeat(i * 100))));
        assert.equal(await other.messageDelete('1:30'), true);
        await client.noop();
        assert.equal(client.mailbox.exists, 30);
        assert.deepEqual(await client.search({ seen: true }, { uid: true }), Array.from({ length: 30 }, (_, i) => i + 31));
        await other.logout();
        await client.mailboxClose();
        await client.mailboxDelete('Many');
        await client.logout();
    }
};

for (const [label, run] of Object.entries(cases)) {
    try {
        await run();
        console.log(`ok ${label}`);
    } catch (error) {
        console.log(`not ok ${label}: ${String(error.stack || error).replace(/\n/g, ' | ')} ${error.responseText ?? ''}`);
    }
}
process.exit(0);
