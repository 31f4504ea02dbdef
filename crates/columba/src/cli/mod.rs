//! The command line: every command with its options and an example. It says what can be asked, and does nothing.

mod check;
mod mail;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use columba_types::{InvalidNetwork, Network};

use crate::config::{Address, parse_octets};

pub(crate) use check::Check;
pub(crate) use mail::{Export, Import, ImportEml};

const ABOUT: &str = "An IMAP server. `columba quickstart` runs one with no configuration at all.";

const EXAMPLES: &str = "\
Examples:
  columba quickstart                         a working server in ./columba-data, and how to reach it
  columba --data ./columba-data account add ann
  columba serve --config /etc/columba/columba.toml

Without --config and --data, commands look for ./columba-data and then for /etc/columba/columba.toml.
Exit status: 0 done, 1 not done (the reason is on standard error), 2 the command line is wrong; but see `check`.";

/// The whole command line.
#[derive(Parser, Debug)]
#[command(name = "columba", version, about = ABOUT, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) place: Place,

    /// Print one JSON document instead of text for people
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// What is logged to standard error: error, warn, info, debug, trace, or `columba_server=debug,info`
    #[arg(long, global = true, value_name = "FILTER", env = "COLUMBA_LOG")]
    pub(crate) log: Option<String>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which data directory is meant.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Place {
    /// The configuration file
    #[arg(long, global = true, value_name = "FILE", env = "COLUMBA_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// The data directory; with a configuration too, this one counts
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run a server with no configuration: certificate, account and mailboxes are made at the first start
    Quickstart(Quickstart),
    /// Run the server
    #[command(after_help = "Example:\n  columba serve --config /etc/columba/columba.toml\n\n\
        SIGTERM and SIGINT end it once commands in work are done; SIGHUP reads the certificate again.")]
    Serve,
    /// Make, list, change and delete accounts
    #[command(subcommand, after_help = "Example:\n  columba account add ann")]
    Account(Account),
    /// List, make and delete an account's mailboxes
    #[command(subcommand, after_help = "Example:\n  columba mailbox list ann")]
    Mailbox(Mailbox),
    /// Bring mail of other programs into an account
    #[command(subcommand, after_help = "Example:\n  columba import maildir ann ~/Maildir")]
    Import(Import),
    /// Write an account's mail as files that other programs read
    #[command(subcommand, after_help = "Example:\n  columba export maildir ann ./ann-maildir")]
    Export(Export),
    /// Check, show and print configurations
    #[command(subcommand, after_help = "Example:\n  columba config check /etc/columba/columba.toml")]
    Config(Config),
    /// Check all that is stored: every message, every count, every checksum
    #[command(after_help = "Example:\n  columba verify --data ./columba-data\n\n\
        Exit status 1 if anything is damaged or not as it should be. Works beside a running server.")]
    Verify,
    /// Look at IMAP ports from outside, or at this machine's from within, and say what to do
    Check(Box<Check>),
    /// Print the version
    #[command(after_help = "Example:\n  columba version --json")]
    Version,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  columba quickstart
  columba quickstart --account ann@example.org --imap 0.0.0.0:143 --imaps 0.0.0.0:993
  echo secret | columba quickstart --password-stdin --imap 127.0.0.1:0 --imaps 127.0.0.1:0 --json

It listens on this machine alone unless --imap and --imaps say otherwise. When it serves, it prints a line that
begins with \"Ready\" (with --json: one line with a JSON object).")]
pub(crate) struct Quickstart {
    /// The account; without it, your user name, or the first account there is
    #[arg(long, value_name = "NAME")]
    pub(crate) account: Option<String>,

    /// Read the account's password from standard input instead of making one up
    #[arg(long)]
    pub(crate) password_stdin: bool,

    /// Where IMAP with STARTTLS listens; port 0: any free one (default: loopback, port 143, or 1143 where that is refused)
    #[arg(long, value_name = "ADDR")]
    pub(crate) imap: Vec<Address>,

    /// Where IMAP with TLS listens (default: loopback, port 993, or 1993 where that is refused)
    #[arg(long, value_name = "ADDR")]
    pub(crate) imaps: Vec<Address>,

    /// Where LMTP listens [default: the Unix socket lmtp in the data directory]
    #[arg(long, value_name = "ADDR")]
    pub(crate) lmtp: Option<Address>,
}

/// Where a password comes from. Never the command line: others can read that.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PasswordFrom {
    /// Read the password from standard input: its first line
    #[arg(long, conflicts_with = "random")]
    pub(crate) password_stdin: bool,

    /// Make up a password and print it
    #[arg(long)]
    pub(crate) random: bool,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Account {
    /// Make an account; its password is asked for
    #[command(after_help = "Examples:\n  columba account add ann\n  columba account add ann@example.org --random\n  \
        pass mail/ann | columba account add ann --password-stdin")]
    Add {
        /// What its owner logs in with
        name: String,
        #[command(flatten)]
        password: PasswordFrom,
        /// Make it so that nobody can log in yet
        #[arg(long)]
        disabled: bool,
    },
    /// List all accounts
    #[command(after_help = "Example:\n  columba account list --json")]
    List,
    /// Show one account and how much mail it has
    #[command(after_help = "Example:\n  columba account show ann")]
    Show { name: String },
    /// Set an account's password; its connections end
    #[command(after_help = "Examples:\n  columba account passwd ann\n  columba account passwd ann --random")]
    Passwd {
        name: String,
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Let nobody log in to an account; its connections end, its mail stays, new mail is refused
    #[command(after_help = "Example:\n  columba account disable ann")]
    Disable { name: String },
    /// Undo `disable`
    #[command(after_help = "Example:\n  columba account enable ann")]
    Enable { name: String },
    /// Set how large a message an account takes, and from where it may be used, from its next login on
    #[command(after_help = "Examples:\n  columba account limit ann --message-size 25MiB\n  \
        columba account limit ann --networks 192.0.2.0/24,2001:db8::/32 --deny-networks 192.0.2.66\n  \
        columba account limit ann --message-size default --networks any --deny-networks none\n\n\
        A login from elsewhere is answered like a wrong password. Mail is delivered all the same.")]
    Limit {
        name: String,
        #[command(flatten)]
        limits: AccountLimits,
    },
    /// Delete an account and all its mail
    #[command(after_help = "Example:\n  columba account delete ann --yes")]
    Delete {
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Make accounts from a Dovecot passwd-file, `user:{SCHEME}hash:…` a line
    #[command(after_help = "Examples:\n  columba account import /etc/dovecot/users\n  \
        doveadm user '*' | my-script | columba account import - --default-scheme SHA512-CRYPT\n\n\
        Hashes stay valid and become Argon2id at the first login. A bad line is reported and stops nothing.")]
    Import {
        /// The file, or - for standard input
        file: PathBuf,
        /// The scheme of passwords without one, such as PLAIN or SHA512-CRYPT
        #[arg(long, value_name = "SCHEME")]
        default_scheme: Option<String>,
    },
}

/// What limits an account. What is not given stays as it is.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = true)]
pub(crate) struct AccountLimits {
    /// Octets, such as 25MiB; or default, which is `message_bytes` of the configuration
    #[arg(long, value_name = "SIZE", value_parser = message_size)]
    pub(crate) message_size: Option<MessageSize>,
    /// Networks from which alone it may be used, with commas between; or any
    #[arg(long, value_name = "LIST", value_parser = network_list)]
    pub(crate) networks: Option<NetworkList>,
    /// Networks from which it may not be used; or none
    #[arg(long, value_name = "LIST", value_parser = network_list)]
    pub(crate) deny_networks: Option<NetworkList>,
}

/// Networks as they are written, each checked.
#[derive(Clone, Debug)]
pub(crate) struct NetworkList(pub(crate) Vec<String>);

fn network_list(text: &str) -> Result<NetworkList, String> {
    if ["any", "none"].contains(&text) {
        return Ok(NetworkList(Vec::new()));
    }
    let check = |written: &str| {
        let network: Result<Network, InvalidNetwork> = written.trim().parse();
        network.map(|network| network.to_string()).map_err(|error| error.to_string())
    };
    text.split(',').map(check).collect::<Result<_, _>>().map(NetworkList)
}

/// A limit on messages; `None`: the server's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MessageSize(pub(crate) Option<u64>);

fn message_size(text: &str) -> Result<MessageSize, &'static str> {
    match text {
        "default" => Ok(MessageSize(None)),
        size => parse_octets(size)
            .map(|octets| MessageSize(Some(octets)))
            .ok_or("a number with KiB, MiB or GiB, or default"),
    }
}

#[derive(Subcommand, Debug)]
pub(crate) enum Mailbox {
    /// List an account's mailboxes
    #[command(after_help = "Example:\n  columba mailbox list ann")]
    List { account: String },
    /// Show one mailbox
    #[command(after_help = "Example:\n  columba mailbox show ann Work/2026")]
    Show { account: String, mailbox: String },
    /// Make a mailbox, subscribed, with those above it
    #[command(after_help = "Examples:\n  columba mailbox create ann Work/2026\n  \
        columba mailbox create ann Spam --use junk")]
    Create {
        account: String,
        mailbox: String,
        /// What it is for: all, archive, drafts, flagged, important, junk, sent or trash
        #[arg(long = "use", value_name = "USE")]
        special_use: Option<String>,
    },
    /// Delete a mailbox and its messages; mailboxes below it stay
    #[command(after_help = "Example:\n  columba mailbox delete ann Work/2026 --yes")]
    Delete {
        account: String,
        mailbox: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Config {
    /// Check a configuration file and tell every mistake in it
    #[command(after_help = "Example:\n  columba config check /etc/columba/columba.toml")]
    Check {
        /// The file; without it, the one that `serve` would take
        file: Option<PathBuf>,
    },
    /// Print what holds in the end, defaults included
    #[command(after_help = "Example:\n  columba config show --config /etc/columba/columba.toml")]
    Show,
    /// Print a commented configuration file with every default
    #[command(after_help = "Example:\n  columba config default > columba.toml")]
    Default,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn leaves(command: &clap::Command, above: &str) -> Vec<(String, clap::Command)> {
        let name = format!("{above} {}", command.get_name());
        let mut found = vec![(name.clone(), command.clone())];
        found.extend(command.get_subcommands().flat_map(|sub| leaves(sub, &name)));
        found
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example_that_parses() {
        for (name, command) in leaves(&Cli::command(), "") {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Example"), "{name} has no example");
            let examples =
                help.lines().filter_map(|line| line.split("columba ").nth(1).filter(|_| line.starts_with("  ")));
            let mut tried = 0;
            for example in examples {
                let words = example.split("   ").next().unwrap_or_default().split('>').next().unwrap_or_default();
                let words = std::iter::once("columba").chain(words.split_whitespace());
                let parsed = Cli::try_parse_from(words);
                assert!(parsed.is_ok(), "{name}: {example}: {}", parsed.unwrap_err());
                tried += 1;
            }
            assert!(tried > 0, "{name}: no example was understood");
        }
    }

    #[test]
    fn no_password_is_ever_an_argument() {
        for (name, command) in leaves(&Cli::command(), "") {
            for argument in command.get_arguments() {
                let secret = ["password", "secret", "token"].iter().any(|w| argument.get_id().as_str().contains(w));
                let takes_value = argument.get_action().takes_values();
                assert!(!(secret && takes_value), "{name} takes {}", argument.get_id());
            }
        }
    }
}
