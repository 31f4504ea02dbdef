//! The options of `check`.

use std::path::PathBuf;

use clap::Args;
use columba_types::limits::{CHECK_NETWORKS, CHECK_TIMEOUT_SECS};

use crate::check::{Firewall, Target};
use crate::config::Network;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  columba check mail.example.org
  columba check mail.example.org:993 --nagios --warn-days 14
  columba check [2001:db8::1]:143 --starttls --name mail.example.org
  columba check mail.example.org --login ann
  columba check --local --allow 192.0.2.0/24 --allow 2001:db8::/32

Any IMAP server can be looked at. Without a host, this machine is; without a port, 143 and 993 are. Nothing is
changed anywhere, and nobody is logged in unless --login says so. docs/check.md explains every finding.
Exit status, as monitoring systems want it: 0 fine, 1 a warning, 2 critical, 3 it could not be told.")]
pub(crate) struct Check {
    /// HOST, HOST:PORT, or an IPv6 address in brackets with :PORT
    #[arg(value_name = "HOST[:PORT]", conflicts_with = "local")]
    pub(crate) target: Option<Target>,

    /// Look at this port alone [default: 143 and 993]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..), conflicts_with = "local")]
    pub(crate) port: Option<u16>,

    /// The port speaks TLS from the start
    #[arg(long, group = "security", conflicts_with = "local")]
    pub(crate) tls: bool,

    /// The port speaks IMAP, and TLS after STARTTLS
    #[arg(long, group = "security", conflicts_with = "local")]
    pub(crate) starttls: bool,

    /// Ask for no TLS; with --login, the password goes over the network as it is
    #[arg(long, group = "security", conflicts_with = "local")]
    pub(crate) plain: bool,

    /// IPv4 alone
    #[arg(short = '4', long, group = "family")]
    pub(crate) ipv4: bool,

    /// IPv6 alone
    #[arg(short = '6', long, group = "family")]
    pub(crate) ipv6: bool,

    /// Name that the certificate has to be for [default: the host]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,

    /// Trust the PEM certificates in this file, and not those of the system
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// Seconds for each step: connecting, the greeting, the handshake, an answer
    #[arg(long, value_name = "SECS", default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=CHECK_TIMEOUT_SECS))]
    pub(crate) timeout: u64,

    /// Warn when the certificate is good for fewer days than this
    #[arg(long, value_name = "DAYS", default_value_t = 21)]
    pub(crate) warn_days: i64,

    /// It is critical when the certificate is good for fewer days than this
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    pub(crate) crit_days: i64,

    /// One connection to each port; try out no old TLS, no weak ciphers, no injection
    #[arg(long)]
    pub(crate) quick: bool,

    /// Print one line for a monitoring system (Nagios, Icinga, Checkmk)
    #[arg(long)]
    pub(crate) nagios: bool,

    /// Try to log in with this name, and say which step failed; the password is asked for
    #[arg(long, value_name = "NAME", conflicts_with = "local")]
    pub(crate) login: Option<String>,

    /// Read the password from standard input: its first line
    #[arg(long, requires = "login")]
    pub(crate) password_stdin: bool,

    /// Send the password even where the certificate is not good
    #[arg(long, requires = "login")]
    pub(crate) insecure: bool,

    /// Look at this machine from within: what listens, which process, from where it is reachable
    #[arg(long)]
    pub(crate) local: bool,

    /// A network that may reach port 143, in the rules that --local prints; may be given several times
    #[arg(long, value_name = "CIDR", requires = "local", num_args = 1, value_parser = network)]
    pub(crate) allow: Vec<Network>,

    /// For which firewall --local prints rules [default: the one found here]
    #[arg(long, value_name = "KIND", requires = "local")]
    pub(crate) firewall: Option<Firewall>,
}

impl Check {
    /// What clap cannot say.
    pub(crate) fn mistake(&self) -> Option<String> {
        if self.allow.len() > CHECK_NETWORKS {
            return Some(format!("more than {CHECK_NETWORKS} networks are named"));
        }
        (self.crit_days > self.warn_days).then(|| "--crit-days is more than --warn-days".into())
    }
}

fn network(text: &str) -> Result<Network, String> {
    text.parse::<Network>().map_err(|wrong| wrong.to_string())
}
