//! Every limit of Columba, with its reason and what a client is told when it is reached.
//!
//! A limit that people may want to change is the default of a setting; the rest are fixed.
//! Nothing else in the tree bounds a buffer, list, depth, loop or queue by a number of its own.

use std::time::Duration;

// --- the command line of the protocol (crate `wire`) ---

/// Octets of one command line without its literals. RFC 2683 §3.2.1.5 asks for 8,000 at least; Dovecot takes
/// 64 KiB; long UID lists of desktop clients come near that. Answer: tagged BAD, the line is drained.
pub const COMMAND_LINE_BYTES: usize = 64 * 1024;
/// The same before login, where no honest command is long. Answer: BYE.
pub const COMMAND_LINE_BYTES_UNAUTHENTICATED: usize = 8 * 1024;
/// Octets of one command with all literals that are held in memory (all but APPEND's messages).
/// Answer: tagged `BAD [TOOBIG]`; a literal that does not wait is drained.
pub const COMMAND_BYTES: usize = 1024 * 1024;
/// The same before login: a user name, a password or an initial response.
pub const COMMAND_BYTES_UNAUTHENTICATED: usize = 16 * 1024;
/// Literals in one command, APPEND's messages not counted. Answer: tagged BAD.
pub const COMMAND_LITERALS: usize = 256;
/// What LITERAL- allows without waiting (RFC 7888 §5).
pub const LITERAL_MINUS_BYTES: u64 = 4096;
/// Octets of one refused command that are read and dropped, where its literals do not wait (RFC 7888 §4), so that the
/// client reads why. It costs the client more than us: as much as several messages of the largest size. Beyond: BYE.
pub const DRAINED_BYTES: u64 = 4 * MESSAGE_BYTES;
/// The same before login, where nobody has anything large to say.
pub const DRAINED_BYTES_UNAUTHENTICATED: u64 = 1024 * 1024;
/// Messages of one APPEND (RFC 3502): they are one commit, which is bounded as those of COPY are. Answer: `NO [LIMIT]`.
pub const APPEND_MESSAGES: usize = COMMIT_MESSAGES;
/// Parts of one APPEND (RFC 4469): each may be empty, so their octets don't bound them. Answer: `NO [LIMIT]`, or tagged
/// BAD where they come in one line.
pub const APPEND_PARTS: usize = 10_000;
/// Octets of one APPEND's messages that are held in memory until they share a sync of the disk with those before.
pub const APPEND_IN_FLIGHT_BYTES: u64 = 4 * 1024 * 1024;
/// Octets of what clients will ask of the messages of one APPEND (envelopes, structures), which are held until its
/// commit. Answer: `NO [LIMIT]`.
pub const APPEND_SUMMARY_BYTES: usize = 16 * 1024 * 1024;
/// Octets of one APPEND in all, what is looked at to copy parts of messages included (RFC 3502, RFC 4469): until its commit
/// they are nobody's, and so many hold up the disk for everybody. One message may always have what APPENDLIMIT says.
/// Answer: `NO [TOOBIG]`.
pub const APPEND_BYTES: u64 = 2 * MESSAGE_BYTES;
/// Octets of a URL: a mailbox name and a section, each octet percent-encoded. Answer: tagged BAD.
pub const URL_BYTES: usize = 16 * 1024;
/// Depth of parentheses, NOT and OR in SEARCH, and of any parenthesised list. Answer: tagged BAD.
pub const NESTING_DEPTH: usize = 64;
/// Keys in one SEARCH. Answer: tagged BAD.
pub const SEARCH_KEYS: usize = 4096;
/// Ranges in one set of numbers, as the client wrote it. Answer: tagged BAD.
pub const SET_RANGES: usize = 16 * 1024;
/// Items in any other list of a command: flags, header names, FETCH items, patterns. Answer: tagged BAD.
pub const LIST_ITEMS: usize = 1024;
/// Mailboxes named in one NOTIFY (RFC 5465 §6.5, §6.6); a whole account is followed by one word. Answer: tagged BAD for one
/// list, `NO [NOTIFICATIONOVERFLOW]` for all of them together.
pub const NOTIFY_MAILBOXES: usize = 10_000;
/// Octets of those names, which the session keeps. Answer: `NO [NOTIFICATIONOVERFLOW]`.
pub const NOTIFY_NAME_BYTES: usize = 256 * 1024;
/// Groups of events in one NOTIFY: each is looked at for each change. Answer: `NO [NOTIFICATIONOVERFLOW]`.
pub const NOTIFY_GROUPS: usize = 64;
/// Items and header fields that NOTIFY fetches of new messages, which the session keeps. Answer: `NO [NOTIFICATIONOVERFLOW]`.
pub const NOTIFY_FETCH_BYTES: usize = 16 * 1024;
/// Fields of the ID command (RFC 2971 §3.3: 30) and octets of a value (1024).
pub const ID_FIELDS: usize = 30;
/// Octets of an ID value.
pub const ID_VALUE_BYTES: usize = 1024;
/// BAD answers in a row after which a connection ends with BYE: this is no IMAP client.
pub const BAD_COMMANDS_IN_A_ROW: u32 = 50;
/// The same before login.
pub const BAD_COMMANDS_UNAUTHENTICATED: u32 = 10;

/// Ranges in one VANISHED response; more go in several, for clients with short line buffers.
pub const VANISHED_RANGES: usize = 1_000;
/// Messages in a batch of UIDBATCHES at least (RFC 10022 §3.1.3.1). Answer: `NO [TOOFEW]`.
pub const UID_BATCH_MESSAGES: u32 = 500;
/// Messages of all batches that one UIDBATCHES asks for (RFC 10022 §3.1.5, §3.1.7). Without a range of batches all are
/// meant, and sent. Answer: `NO [TOOMANY]`.
pub const UID_BATCHES_MESSAGES: u64 = 100_000;

// --- names and flags ---

/// Octets of a mailbox name in UTF-8. Answer: `NO [CANNOT]`.
pub const MAILBOX_NAME_BYTES: usize = 1000;
/// Components of a mailbox name. Answer: `NO [CANNOT]`.
pub const MAILBOX_NAME_DEPTH: usize = 64;
/// Mailboxes of one account. Answer: `NO [LIMIT]`.
pub const MAILBOXES_PER_ACCOUNT: usize = 50_000;
/// Keywords of one mailbox; they are bits of a 128-bit word. Answer: `NO [LIMIT]`.
pub const KEYWORDS_PER_MAILBOX: usize = 128;
/// Octets of a keyword. Answer: tagged BAD.
pub const KEYWORD_BYTES: usize = 255;
/// Octets of an account's name.
pub const ACCOUNT_NAME_BYTES: usize = 255;
/// Octets of a password; hashing time grows with it (RFC 4616 §2 leaves it open).
pub const PASSWORD_BYTES: usize = 1024;
/// Octets of an objectid (RFC 8474 §7). Answer: tagged BAD.
pub const OBJECT_ID_BYTES: usize = 255;

// --- annotations (RFC 5464) ---

/// Octets of the name of an annotation. Answer: tagged BAD.
pub const METADATA_ENTRY_BYTES: usize = 255;
/// Octets of one annotation (RFC 5464 §4.1: 1,024 at least). Answer: `NO [METADATA MAXSIZE n]`.
pub const METADATA_VALUE_BYTES: usize = 64 * 1024;
/// Annotations of one mailbox, and of the server for one account (RFC 5464 §4.1: 10 at least). Answer: `NO [METADATA TOOMANY]`.
pub const METADATA_ENTRIES: usize = 200;
/// Octets of all of them together: they are one value in the store. Answer: `NO [METADATA TOOMANY]`.
pub const METADATA_BYTES: usize = 256 * 1024;
/// Changes of annotations that an account in memory remembers, for sessions which were not yet told; older ones are not told.
pub const METADATA_NEWS: usize = 1_024;

// --- messages ---

/// Octets of one message by default. Answer: `NO [TOOBIG]`; 552 5.3.4 in LMTP.
pub const MESSAGE_BYTES: u64 = 256 * 1024 * 1024;
/// Depth of MIME nesting; deeper parts are shown as one opaque part.
pub const MIME_DEPTH: usize = 100;
/// MIME parts of one message; what follows belongs to the last one.
pub const MIME_PARTS: usize = 10_000;
/// Octets of one header block that are looked at; the rest of the block is kept, and not parsed.
pub const HEADER_BLOCK_BYTES: usize = 1024 * 1024;
/// Fields of one header block that are looked at.
pub const HEADER_FIELDS: usize = 10_000;
/// Octets of one field that go into ENVELOPE or BODYSTRUCTURE; the rest of the field is cut off there only.
pub const STRUCTURED_FIELD_BYTES: usize = 64 * 1024;
/// Addresses of one ENVELOPE list.
pub const ENVELOPE_ADDRESSES: usize = 10_000;
/// Parameters of one MIME header field.
pub const MIME_PARAMETERS: usize = 200;
/// Octets of one ready-to-send BODYSTRUCTURE or ENVELOPE; above, it is cut to an opaque one.
pub const STRUCTURE_BYTES: usize = 8 * 1024 * 1024;
/// Octets of a multipart's boundary; RFC 2046 §5.1.1 allows 70. With a longer one the multipart is opaque text.
pub const MIME_BOUNDARY_BYTES: usize = 1000;
/// Octets of a quoted string that is sent; a longer one goes as a literal, for clients with short token buffers.
pub const QUOTED_STRING_BYTES: usize = 4096;
/// Message ids kept of a References field: the first, and the last ones. Threads are rarely deeper.
pub const REFERENCES: usize = 100;
/// Characters of a preview (RFC 8970 §3.3: 200 should be the most).
pub const PREVIEW_CHARS: usize = 200;
/// Octets of a part that a preview is made from: more than the style sheets that many pages begin with.
pub const PREVIEW_SOURCE_BYTES: usize = 64 * 1024;
/// Parts of a message that are looked into for a preview; then there is none.
pub const PREVIEW_PARTS: usize = 4;
/// A message up to this size is held in memory while it arrives; a larger one goes to a file of its own.
pub const MESSAGE_IN_MEMORY_BYTES: usize = 1024 * 1024;
/// Octets read from a message at once when it is sent or searched.
pub const MESSAGE_CHUNK_BYTES: usize = 256 * 1024;
/// Octets of small messages that are read together before they are sent.
pub const READ_AHEAD_BYTES: u64 = 256 * 1024;

// --- the store ---

/// Message records of one page.
pub const PAGE_RECORDS: usize = 128;
/// Messages of a page from which on packs of it are worth their room.
pub const PACK_LEAST: usize = PAGE_RECORDS / 4;
/// Octets of one pack before compression. What has no room in it is read message by message.
pub const PACK_BYTES: usize = 1024 * 1024;
/// Octets of one message in a pack; one with more is read by itself.
pub const PACK_ENTRY_BYTES: usize = 32 * 1024;
/// Messages of one page that are read from its packs; fewer are read one by one, which then is faster.
pub const PACK_READ_LEAST: usize = 16;
/// Pages whose packs are read at once; the next ones are read while these are being sent. So a connection holds at most
/// twice as many packs of each kind, which are 10 to 50 KB as a rule and at most [`PACK_BYTES`].
pub const PACK_READ_PAGES: usize = 8;
/// The same where whole headers are among them, which are larger.
pub const PACK_READ_HEADER_PAGES: usize = 2;
/// While others commit, making packs takes one part of time and rests so many.
pub const PACK_REST: u32 = 9;
/// Pages that wait for packs; others are noticed again when they are read.
pub const PACK_QUEUE: usize = 16 * 1024;
/// Expunged records that a mailbox in memory remembers, so that a client not yet told can still read them.
pub const GHOST_RECORDS: usize = 10_000;
/// Ranges of UIDs in one value of the expunge history before a new one is begun: about 1 KB.
pub const LOG_PAGE_RANGES: usize = 256;
/// UIDs in a mailbox's durable expunge history; above, the oldest go and the floor rises (RFC 7162 §3.2.5).
pub const LOG_EXPUNGED_UIDS: u64 = 100_000;
/// Messages of one commit when many are changed: COPY, MOVE and import go in steps of this.
pub const COMMIT_MESSAGES: usize = 1_000;
/// Changes of an account kept for those who follow it (about 60 octets each; names count too). One who falls behind
/// further than this is told `* OK [NOTIFICATIONOVERFLOW]` (RFC 5465 §5.8).
pub const FEED_NEWS: usize = 1_024;
/// Commits of a whole store that are in line at its engine; whoever has one more waits for a place, and the engine's own
/// lines need no bound. A shard takes as many into one transaction.
pub const COMMIT_QUEUE: usize = 4_096;
/// Times a commit is tried again after a conflict. Answer: `NO [UNAVAILABLE]`.
pub const COMMIT_RETRIES: usize = 16;
/// References of one message that take part in finding its thread; the newest count.
pub const THREAD_REFERENCES: usize = 16;
/// Threads that an account in memory remembers while they are being written, for messages that come meanwhile; above, the
/// oldest go.
pub const RECENT_THREADS: usize = 1_024;
/// Records copied at once when a segment is rewritten, so that they share a sync of the disk.
pub const SEGMENT_COPIES: usize = 64;
/// Unwanted bytes the store remembers until they are noted as dead; those of others are found when their segment is rewritten.
pub const ORPHANED_BYTES: usize = 4_096;
/// Accounts the store keeps by name for the login path.
pub const ACCOUNTS_IN_MEMORY: usize = 20_000;
/// Accounts made in one commit.
pub const COMMIT_ACCOUNTS: usize = 500;
/// Keys read from an engine at once when a whole range of small values is gone through.
pub const SCAN_KEYS: usize = 1_000;
/// The same for messages, whose values may be large.
pub const SCAN_MESSAGES: usize = 100;
/// Octets of commits that one transaction of a shard takes; more only makes the ones at its head wait longer.
pub const COMMIT_GROUP_BYTES: usize = 8 * 1024 * 1024;
/// Octets of a shard's log before it is copied into its file: they are read again after a crash.
pub const WAL_BYTES: u64 = 16 * 1024 * 1024;
/// Silence after which a thread gives back what it holds of a database's pages in memory: up to 16 MB each.
pub const DATABASE_REST: Duration = Duration::from_secs(2);
/// Octets of messages that are made durable with one sync, for the same reason as with commits.
pub const BLOB_GROUP_BYTES: usize = 8 * 1024 * 1024;
/// A message up to this size becomes durable with its commit's sync, in the shard's log, which then writes it twice; a
/// larger one has a sync of its own before.
pub const MESSAGE_IN_LOG_BYTES: usize = 16 * 1024;
/// Octets of such messages that wait for a shard's next commit. Beyond, they share a sync of their own: then many wait for
/// each sync anyway, and what is written twice is what slows them down.
pub const LOGGED_GROUP_BYTES: usize = 32 * 1024;
/// Octets of such messages after which their segment is synced, so that the log can forget them.
pub const LOGGED_BYTES: usize = 256 * 1024;
/// Octets of a segment file before a new one is begun.
pub const SEGMENT_BYTES: u64 = 128 * 1024 * 1024;
/// Octets of zeros written ahead of the messages of a segment, which spares its syncs the file system's journal.
pub const SEGMENT_ZEROED_BYTES: u64 = 1024 * 1024;
/// Segment files kept open for reading.
pub const OPEN_SEGMENTS: usize = 256;
/// Octets of a message copied from the page cache on the thread that asks; more is copied elsewhere.
pub const BLOB_READ_AT_ONCE_BYTES: u64 = 256 * 1024;

// --- connections (crate `server`) ---

/// Connections of one account. Answer on the excess one: `NO [LIMIT]` at login, never a failed login.
pub const CONNECTIONS_PER_ACCOUNT: usize = 64;
/// Connections of one address. Answer on the excess one: `BYE [LIMIT]`.
pub const CONNECTIONS_PER_ADDRESS: usize = 64;
/// Connections of the whole server. Answer: `BYE [LIMIT]`.
pub const CONNECTIONS: usize = 100_000;
/// Networks of one list: they are gone through at each connection or login. Answer: a mistake, told by the command.
pub const NETWORKS: usize = 256;
/// How long a proxy may take for the header that says for whom it speaks. Then the connection is closed.
pub const PROXY_HEADER: Duration = Duration::from_secs(5);
/// Octets of that header: an address, and what the proxy knows of the client's TLS, its certificate's names among it. The
/// specification allows 64 KiB. Answer: the connection is closed.
pub const PROXY_HEADER_BYTES: usize = 4096;
/// Connections whose header has not come; nothing else counts them yet. Further ones are closed.
pub const PROXY_PENDING: usize = 1_000;
/// Silence after which a logged-in connection ends with BYE (RFC 9051 §5.4: 30 minutes at least).
pub const IDLE_AUTHENTICATED: Duration = Duration::from_secs(30 * 60);
/// The same before login, counted from the start of the connection.
pub const IDLE_UNAUTHENTICATED: Duration = Duration::from_secs(60);
/// Messages that a search looks into before others get their turn on the same core, and whoever waits can be told how far it
/// is.
pub const SEARCH_BREATH: u64 = 16;
/// Octets of text that it looks through before that.
pub const SEARCH_BREATH_BYTES: u64 = 1024 * 1024;
/// Criteria that it holds against what is in memory before that.
pub const SEARCH_BREATH_CRITERIA: usize = 100_000;
/// The same where they look into texts.
pub const SEARCH_BREATH_TEXTS: usize = 10_000;
/// How long a command is at work before it says so (RFC 9585).
pub const PROGRESS_FIRST: Duration = Duration::from_secs(1);
/// And how often from then on (RFC 9585 §4: 10 to 15 seconds).
pub const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);
/// Between two `* OK Still here` during IDLE, so that middle boxes keep the connection.
pub const IDLE_KEEPALIVE: Duration = Duration::from_secs(120);
/// How long a command may be left half sent, and how long a client may take none of what it asked for.
pub const STALLED: Duration = Duration::from_secs(5 * 60);
/// Answers of fewer octets are sent uncompressed under COMPRESS while no compressor is at work: one is about 300 KB.
pub const COMPRESSED_BYTES: usize = 512;
/// Octets that a client's compressed ones may become, those of APPEND's messages not counted: so many at any rate, and
/// then so many times what it sent. DEFLATE can make a thousand times as many, but no honest command does. Answer: BYE.
pub const INFLATED_BYTES: u64 = 32 * 1024 * 1024;
/// How many times as many.
pub const INFLATED_RATIO: u64 = 32;
/// Silence after which a connection's compressor is dropped; the next long answer makes a new one.
pub const COMPRESSOR_REST: Duration = Duration::from_secs(1);
/// Compressors at work in the whole server: about 300 MB. Beyond, answers are sent uncompressed within COMPRESS.
pub const COMPRESSORS: usize = 1_000;
/// Answers held for a client before the command that makes them has to wait.
pub const OUTPUT_BYTES: usize = 64 * 1024;
/// How long a client may take for a TLS handshake. Then the connection is closed.
pub const TLS_HANDSHAKE: Duration = Duration::from_secs(30);
/// Connections beyond a limit that are told so over TLS at once; the rest are closed without a word, because a
/// handshake costs more than a connection.
pub const TLS_REFUSALS: usize = 16;
/// How long a closed connection may take for its last octets.
pub const LINGER: Duration = Duration::from_secs(5);
/// Octets that are still read from a client whose connection is over, so that it sees the last words.
pub const LINGER_BYTES: u64 = 1024 * 1024;
/// Silence after which the kernel asks whether a client is still there; middle boxes forget after five minutes or more.
pub const TCP_KEEPALIVE: Duration = Duration::from_secs(4 * 60);
/// Connections that the kernel holds for a listener which has not taken them yet.
pub const LISTEN_BACKLOG: i32 = 4096;
/// Octets read from a connection at once.
pub const READ_BYTES: usize = 16 * 1024;
/// Waits after a failed accept: at first, and at most (no file descriptors left, no memory).
pub const ACCEPT_BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// How often certificate files are looked at, for file systems that tell nothing of changes.
pub const CERTIFICATE_CHECK: Duration = Duration::from_secs(5 * 60);
/// Certificates of one server: all are gone through at each handshake. Answer: a mistake in the configuration.
pub const CERTIFICATES: usize = 1_000;
/// Octets of a certificate or key file.
pub const CERTIFICATE_BYTES: u64 = 1024 * 1024;
/// How long a connection has to finish its command at shutdown.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
/// Failed logins on one connection before BYE.
pub const LOGIN_FAILURES: u32 = 3;
/// Password checks at work at once; further ones wait, so that a flood cannot take every core.
pub const PASSWORD_CHECKS: usize = 4;
/// How long after its check began a refused login is told, whatever the check cost: longer than any usual hash takes,
/// so that the time says nothing about why.
pub const REFUSAL_DELAY: Duration = Duration::from_millis(250);
/// Passwords found right that are known again without a slow hash, twice this at most (32 octets each).
pub const PASSWORD_CACHE_ENTRIES: usize = 20_000;
/// How long they are known at most, by default.
pub const PASSWORD_CACHE: Duration = Duration::from_secs(30 * 60);
/// Memory of one Argon2 check, in KiB. Imported credentials that cost more than this and the next ones are refused.
pub const ARGON2_MEMORY_KIB: u32 = 1024 * 1024;
/// Passes of one Argon2 check.
pub const ARGON2_PASSES: u32 = 32;
/// Cost of bcrypt, as the exponent of two; 15 takes about three seconds.
pub const BCRYPT_COST: u32 = 15;
/// Rounds of SHA-256-crypt and SHA-512-crypt.
pub const SHA_CRYPT_ROUNDS: u32 = 5_000_000;
/// Rounds of PBKDF2 and SCRAM.
pub const PBKDF2_ROUNDS: u32 = 5_000_000;

// --- LMTP ---

/// Octets of an LMTP command line (RFC 5321 §4.5.3.1.4: 512, with room for parameters).
pub const LMTP_LINE_BYTES: usize = 4096;
/// Recipients of one transaction (RFC 5321 §4.5.3.1.8: 100 at least). Answer: 452 4.5.3.
pub const LMTP_RECIPIENTS: usize = 1_000;
/// Silence after which an LMTP connection ends with 421 4.4.2 (RFC 5321 §4.5.3.2: 5 minutes).
pub const LMTP_IDLE: Duration = Duration::from_secs(5 * 60);
/// Errors on one LMTP connection before 421.
pub const LMTP_ERRORS: u32 = 50;
/// Received fields above which a message is going in circles (RFC 5321 §6.3: 100). Answer: 554 5.4.6.
pub const LMTP_RECEIVED_FIELDS: usize = 100;

// --- administration (crate `columba`) ---

/// Octets of one frame between the administration commands and the server; longer lists go in several.
pub const ADMIN_FRAME_BYTES: usize = 1024 * 1024;
/// Accounts of one administration request: a frame holds their names and credentials.
pub const ADMIN_ACCOUNTS: usize = 500;
/// Octets of messages that an import holds between reading them and their commit.
pub const IMPORT_IN_FLIGHT_BYTES: usize = 32 * 1024 * 1024;
/// Between two looks for what expunged messages leave behind.
pub const RECLAIM_INTERVAL: Duration = Duration::from_secs(15 * 60);
/// Recipients of one message that are written to at once.
pub const LMTP_DELIVERIES: usize = 8;

// --- looking at ports (`columba check`) ---

/// Octets of one line a looked-at server sends, literals in it counted. Longer ones end the look at that connection.
pub const CHECK_LINE_BYTES: usize = 16 * 1024;
/// Octets read from one looked-at connection in all: nobody has that much to say before a login.
pub const CHECK_ANSWER_BYTES: usize = 256 * 1024;
/// Lines that may come before the one that is waited for.
pub const CHECK_ANSWER_LINES: usize = 500;
/// Octets of TLS handshake records read by hand: a long certificate chain, and no more.
pub const CHECK_HANDSHAKE_BYTES: usize = 128 * 1024;
/// Characters shown of one text that a looked-at server sent; the rest is cut.
pub const CHECK_TEXT_CHARS: usize = 400;
/// Capabilities, mechanisms or ID fields taken from one answer.
pub const CHECK_WORDS: usize = 200;
/// Addresses of a name that are looked at; further ones are counted.
pub const CHECK_ADDRESSES: usize = 16;
/// Certificates of a chain, and names of a certificate, that are read.
pub const CHECK_CERTIFICATES: usize = 10;
/// Names of one certificate that are shown.
pub const CHECK_NAMES: usize = 100;
/// Steps (connect, greeting, handshake, an answer) whose time one port may use up in all; what is left then is not tried.
pub const CHECK_STEPS: u32 = 8;
/// Seconds that `--timeout` may give each step.
pub const CHECK_TIMEOUT_SECS: u64 = 300;
/// Octets of a file of trusted certificates.
pub const CHECK_CA_BYTES: u64 = 16 * 1024 * 1024;
/// Octets read of /proc/net/tcp and of what `nft` prints; a busy machine has a few megabytes.
pub const CHECK_SYSTEM_BYTES: u64 = 64 * 1024 * 1024;
/// Processes and their file descriptors searched for who listens.
pub const CHECK_DESCRIPTORS: usize = 4_000_000;
/// Firewall rules walked through for one port, jumps counted.
pub const CHECK_RULES: usize = 100_000;
/// Networks that `--allow` may name.
pub const CHECK_NETWORKS: usize = 1_000;
/// How long `nft` and other tools may take.
pub const CHECK_TOOL: Duration = Duration::from_secs(10);
