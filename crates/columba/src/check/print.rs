//! Reports as people read them: at most 80 columns wide, grave things first; colour on a terminal alone. And the one line
//! that monitoring systems read.

use std::fmt::Write as _;
use std::io::IsTerminal;

use super::certificate::{Certificate, Chain, Trust};
use super::connect::State;
use super::endpoint::{Endpoint, Offer};
use super::findings::{Finding, Grade};
use super::judge::Thresholds;
use super::login::Login;
use super::shown::Shown;
use super::{Report, greeting};
use crate::output::counted;

const WIDTH: usize = 80;
/// Where values begin.
const VALUES: usize = 16;

/// Whether words may be coloured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Colour {
    Yes,
    No,
}

impl Colour {
    /// On a terminal, unless NO_COLOR says otherwise (no-color.org).
    pub(crate) fn for_stdout() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if std::io::stdout().is_terminal() && !unwanted && !dumb { Self::Yes } else { Self::No }
    }

    fn grade(self, grade: Grade, text: &str) -> String {
        let number = match (self, grade) {
            (Self::No, _) => return text.to_owned(),
            (Self::Yes, Grade::Ok) => 32,
            (Self::Yes, Grade::Note) => 36,
            (Self::Yes, Grade::Unknown | Grade::Warning) => 33,
            (Self::Yes, Grade::Critical) => 31,
        };
        format!("\x1b[1;{number}m{text}\x1b[0m")
    }
}

/// Words in lines of at most [`WIDTH`] columns, each begun by `indent` spaces but for the first.
pub(crate) fn wrapped(out: &mut String, used: usize, indent: usize, text: &str) {
    let mut column = used;
    let mut is_first = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let length = word.chars().count();
        if !is_first && column + 1 + length > WIDTH {
            let _ = write!(out, "\n{:indent$}", "");
            column = indent;
        } else if !is_first {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
        is_first = false;
    }
    out.push('\n');
}

/// `  name            value`, wrapped.
pub(crate) fn row(out: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        let _ = write!(out, "  {name:<width$}", width = VALUES - 2);
        wrapped(out, VALUES, VALUES, value);
    }
}

/// The whole report.
pub(crate) fn report(report: &Report, colour: Colour) -> String {
    let mut out = String::new();
    let resolved = &report.resolved;
    if !resolved.is_address && !resolved.addresses.is_empty() {
        let all: Vec<String> = resolved.addresses.iter().map(ToString::to_string).collect();
        row(&mut out, "name", &resolved.host);
        row(&mut out, "addresses", &format!("{} ({})", all.join(", "), time(resolved.milliseconds)));
        out.push('\n');
    }
    for seen in &report.ports {
        port(&mut out, seen);
    }
    if let Some(login) = &report.login {
        steps(&mut out, login);
    }
    findings(&mut out, &report.findings, colour);
    out
}

fn time(milliseconds: f64) -> String {
    match milliseconds {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}

fn port(out: &mut String, seen: &Endpoint) {
    let security = seen.security.map(|security| format!(", {}", security.name())).unwrap_or_default();
    let _ = writeln!(out, "{} is {}{security}", seen.address, seen.state.name());
    if seen.state != State::Open {
        row(out, "told by", &seen.how);
        out.push('\n');
        return;
    }
    let mut times = vec![format!("connect {}", time(seen.connect_milliseconds))];
    let tls = seen.tls.as_ref().map(|tls| tls.milliseconds);
    let named = [("greeting", seen.greeting_milliseconds), ("TLS", tls), ("answer", seen.answer_milliseconds)];
    times.extend(named.iter().filter_map(|(name, took)| took.map(|took| format!("{name} {}", time(took)))));
    row(out, "times", &times.join(", "));
    row(out, "software", seen.software.as_ref().map(Shown::as_str).unwrap_or_default());
    row(out, "greeting", seen.greeting.as_ref().map(Shown::as_str).unwrap_or_default());
    if let Some(tls) = &seen.tls {
        let group = tls.group.as_ref().map(|group| format!(", {group}")).unwrap_or_default();
        row(out, "TLS", &format!("{}, {}{group}", tls.version.name(), tls.cipher));
    }
    if let (Some(why), true) = (&seen.tls_failure, seen.tls.is_none()) {
        row(out, "TLS", &format!("none: {why}"));
    }
    let offered: Vec<&str> =
        seen.versions.iter().filter(|v| matches!(v.offer, Offer::Yes(_))).map(|v| v.version.name()).collect();
    row(out, "versions", &offered.join(", "));
    if let Some(chain) = &seen.certificate {
        certificate(out, chain);
    }
    if let Some(before) = &seen.capabilities_before_tls {
        let title = if seen.tls.is_some() { "before TLS" } else { "capabilities" };
        row(out, title, &words(before));
    }
    if let Some(all) = seen.capabilities.as_ref().filter(|_| seen.tls.is_some()) {
        row(out, "within TLS", &words(all));
    }
    let mechanisms = seen.capabilities.as_deref().map(greeting::mechanisms).unwrap_or_default();
    row(out, "mechanisms", &mechanisms.join(", "));
    out.push('\n');
}

fn words(all: &[Shown]) -> String {
    all.iter().map(Shown::as_str).collect::<Vec<_>>().join(" ")
}

fn certificate(out: &mut String, chain: &Chain) {
    let Some(own) = chain.certificates.first() else { return };
    row(out, "certificate", own.subject.as_str());
    let more = if own.names_left_out > 0 { format!(" and {} more", own.names_left_out) } else { String::new() };
    let names: Vec<&str> = own.names.iter().map(Shown::as_str).collect();
    row(out, "  for", &format!("{}{more}", names.join(", ")));
    row(out, "  issuer", if own.is_self_signed { "itself" } else { own.issuer.as_str() });
    row(out, "  valid", &validity(own));
    row(out, "  key", &format!("{}, signed by {}", own.key, own.signature));
    row(out, "  SHA-256", &own.fingerprint);
    let above: Vec<String> = chain.certificates.iter().skip(1).map(|c| c.subject.to_string()).collect();
    row(out, "  chain", &above.join("; "));
    let trust = match &chain.trust {
        Trust::Trusted => "trusted".to_owned(),
        Trust::SelfSigned => "not trusted: self-signed".into(),
        Trust::Untrusted(why) => format!("not trusted: {why}"),
    };
    row(out, "  trust", &trust);
}

fn validity(own: &Certificate) -> String {
    let left = match own.days_left {
        days if own.is_expired => format!("expired {} ago", counted(days.unsigned_abs(), "day", "days")),
        days => format!("{} left", counted(days.unsigned_abs(), "day", "days")),
    };
    format!("{} to {} ({left})", own.not_before, own.not_after)
}

fn steps(out: &mut String, login: &Login) {
    out.push_str("Login\n");
    for taken in &login.steps {
        let mark = if taken.is_ok { "ok" } else { "FAILED" };
        let _ = write!(out, "  {:<13} {mark:<6} {:>8}  ", taken.step.name(), time(taken.milliseconds));
        wrapped(out, 34, 34, taken.what.as_str());
    }
    out.push('\n');
}

/// The findings, worst first; the same one at several places is said once.
pub(crate) fn findings(out: &mut String, all: &[Finding], colour: Colour) {
    let mut groups: Vec<(&Finding, Vec<&str>)> = Vec::new();
    for finding in all {
        match groups.iter_mut().find(|(first, _)| first.code == finding.code && first.what == finding.what) {
            Some((_, places)) => places.push(&finding.place),
            None => groups.push((finding, vec![&finding.place])),
        }
    }
    groups.sort_by_key(|(finding, _)| std::cmp::Reverse(finding.grade));
    out.push_str("Findings\n");
    for (finding, places) in groups {
        let name = if finding.grade == Grade::Ok { "ok".into() } else { finding.grade.name().to_uppercase() };
        let places = places.join(" ");
        let id = finding.code.kind().id;
        let _ = write!(out, "  {}  ", colour.grade(finding.grade, &format!("{name:<8}")));
        if finding.remedy.is_empty() {
            // Nothing is to be done, so little is said.
            wrapped(out, 12, 12, &format!("{id}: {}", finding.what));
            continue;
        }
        wrapped(out, 12, 12, &format!("{id} {places}"));
        let _ = write!(out, "{:12}", "");
        wrapped(out, 12, 12, &finding.what);
        let _ = write!(out, "{:12}", "");
        wrapped(out, 12, 14, &format!("> {}", finding.remedy));
    }
    out.push('\n');
    let of = |grade| all.iter().filter(|finding| finding.grade == grade).count() as u64;
    let counts = [
        counted(of(Grade::Critical), "critical", "critical"),
        counted(of(Grade::Warning), "warning", "warnings"),
        counted(of(Grade::Note), "note", "notes"),
    ];
    let worst = super::findings::worst(all);
    let word = if worst <= Grade::Note { "OK".into() } else { worst.name().to_uppercase() };
    let _ = writeln!(out, "{}: {}", colour.grade(worst, &word), counts.join(", "));
}

/// One line as monitoring systems want it: status, text, and numbers behind a bar.
pub(crate) fn nagios(report: &Report, thresholds: Thresholds) -> String {
    let worst = report.status;
    let word = if worst <= Grade::Note { "OK".into() } else { worst.name().to_uppercase() };
    let grave: Vec<&Finding> = report.findings.iter().filter(|f| f.grade > Grade::Note && f.grade <= worst).collect();
    let mut said: Vec<String> = grave
        .iter()
        .filter(|finding| finding.grade == worst)
        .take(3)
        .map(|f| format!("{} {}: {}", f.code.kind().id, f.place, f.what))
        .collect();
    if grave.len() > said.len() {
        said.push(format!("{} more", grave.len() - said.len()));
    }
    if said.is_empty() {
        let open = report.ports.iter().filter(|seen| seen.state == State::Open).map(|seen| seen.address.to_string());
        said.push(if report.login.is_some() { "login works".into() } else { open.collect::<Vec<_>>().join(", ") });
    }
    let text = format!("IMAP {word}: {}: {}", report.resolved.host, said.join("; "));
    // A bar begins the numbers.
    let text = text.replace('|', "/");
    let mut numbers = vec![format!("time={:.3}s", report.milliseconds / 1000.0)];
    let days = report.ports.iter().filter_map(|seen| seen.certificate.as_ref()?.certificates.first());
    if let Some(days) = days.map(|own| own.days_left).min() {
        numbers.push(format!("certificate_days={days};{}:;{}:", thresholds.warn_days, thresholds.crit_days));
    }
    for seen in report.ports.iter().filter(|seen| seen.state == State::Open) {
        numbers.push(format!("'{} connect'={:.4}s", seen.address, seen.connect_milliseconds / 1000.0));
    }
    format!("{text} | {}\n", numbers.join(" "))
}

#[cfg(test)]
mod tests {
    use super::super::findings::Code;
    use super::*;

    #[test]
    fn lines_stay_within_80_columns() {
        let mut out = String::new();
        row(&mut out, "capabilities", &"IMAP4rev1 LITERAL+ ".repeat(30));
        assert!(out.lines().all(|line| line.chars().count() <= WIDTH), "{out}");
        assert!(out.lines().skip(1).all(|line| line.starts_with(&" ".repeat(VALUES))), "{out}");
    }

    #[test]
    fn the_same_finding_is_said_once_and_the_worst_first() {
        let found = [
            Finding::new(Code::TlsNo13, "[::1]:143", "x"),
            Finding::new(Code::TlsNo13, "127.0.0.1:143", "x"),
            Finding::new(Code::NotImap, "127.0.0.1:993", "SSH"),
        ];
        let mut out = String::new();
        findings(&mut out, &found, Colour::No);
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[1], "  CRITICAL  not-imap 127.0.0.1:993");
        assert_eq!(lines[2], "            SSH");
        assert!(lines[3].starts_with("            > See which process"), "{}", lines[3]);
        assert!(lines.contains(&"  NOTE      tls-no-1.3 [::1]:143 127.0.0.1:143"), "{out}");
        assert_eq!(lines.last(), Some(&"CRITICAL: 1 critical, 0 warnings, 2 notes"));
        assert!(!out.contains('\x1b'));
        let mut coloured = String::new();
        findings(&mut coloured, &found, Colour::Yes);
        assert!(coloured.contains("\x1b[1;31mCRITICAL\x1b[0m"), "{coloured}");
    }
}
