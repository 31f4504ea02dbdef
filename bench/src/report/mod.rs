//! A comparison as one page of HTML that needs nothing else: no script, no font, no picture from anywhere. It is dark or light
//! as its reader has it, and narrow where the screen is.

mod curve;
mod strip;

use std::fmt::Write as _;

use crate::compare::{Comparison, Line, Spread, Verdict, amount, left_out};
use crate::record::Latency;
use strip::{Scale, bar, legend_mark, range};

/// The page.
pub(crate) fn page(comparison: &Comparison) -> String {
    let lines = comparison.lines();
    let mut page = String::from(HEAD);
    head(&mut page, comparison, &lines);
    ratios(&mut page, comparison, &lines);
    curve::curves(&mut page, comparison);
    latencies(&mut page, comparison, &lines);
    details(&mut page, comparison);
    page.push_str("</main></body></html>\n");
    page
}

/// Text that may hold any character.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The number of a server's colour.
pub(super) fn colour(comparison: &Comparison, peer: &str) -> usize {
    comparison.peers.iter().position(|(name, _)| name == peer).unwrap_or(0) % COLOURS
}

/// The style sheet has so many.
const COLOURS: usize = 8;

fn head(page: &mut String, comparison: &Comparison, lines: &[Line]) {
    let machine = &comparison.machine;
    let goals = |wanted| lines.iter().filter(|line| line.goal.is_some_and(|(_, verdict)| verdict == wanted)).count();
    let _ = write!(
        page,
        "<h1>Columba and its peers</h1><p class=sub>{} · {} rounds, the servers in turn · <code>bench {}</code></p>\
         <p class=sub>{}, {} cores, {} GiB · {} · Linux {} · {}; 4 KB are durable after {} µs</p><p class=tiles>",
        escape(&comparison.when),
        comparison.rounds,
        escape(&comparison.command),
        escape(&machine.processor),
        machine.cores,
        machine.memory_gib,
        escape(&machine.system),
        escape(&machine.kernel),
        escape(&machine.filesystem),
        machine.sync_micros,
    );
    let tiles = [
        ("met", "goals met", goals(Verdict::Met)),
        ("almost", "met in the median", goals(Verdict::Almost)),
        ("missed", "missed", goals(Verdict::Missed)),
    ];
    for (class, word, count) in tiles {
        let _ = write!(page, "<span class='tile {class}'><b>{count}</b> {word}</span>");
    }
    page.push_str("</p><ul class=peers>");
    for (name, version) in &comparison.peers {
        let mark = legend_mark(colour(comparison, name));
        let _ = write!(page, "<li>{mark} <b>{}</b> <span class=sub>{}</span></li>", escape(name), escape(version));
    }
    page.push_str("</ul>");
    if !comparison.ceiling.is_empty() {
        let rows = comparison.ceiling.iter();
        let rows = rows
            .map(|row| format!("{} {} {}", escape(&row.variant), amount(row.figure.value), escape(&row.figure.unit)));
        let _ = write!(
            page,
            "<p class=sub>The load generator against a stub that has its answers ready: {}. No server can seem faster.</p>",
            rows.collect::<Vec<_>>().join(" · ")
        );
    }
}

fn ratios(page: &mut String, comparison: &Comparison, lines: &[Line]) {
    let ends = lines.iter().flat_map(|line| &line.rivals).flat_map(|rival| [rival.ratio.low, rival.ratio.high]);
    let scale = Scale::around(ends.chain([0.5, 8.0]));
    page.push_str(
        "<h2>How many times better</h2><p class=sub>The bar goes from 1× (no difference) to the median of the rounds, the thin line \
         over all of them; to the right Columba is better. The upright mark is the goal. The scale is \
         logarithmic, with faint lines at 1, 10, 100.</p>",
    );
    let mut scenario = "";
    for line in lines.iter().filter(|line| !line.rivals.is_empty() || line.goal.is_some()) {
        if line.scenario != scenario {
            if !scenario.is_empty() {
                page.push_str("</section>");
            }
            scenario = &line.scenario;
            let _ = write!(page, "<section class=card><h3>{}</h3>", escape(scenario));
        }
        let ours = line
            .columba
            .map_or_else(|| "no number".to_owned(), |ours| format!("{} {}", amount(ours.median), escape(&line.unit)));
        let _ = write!(
            page,
            "<div class=what><span>{}</span> <span class=sub>Columba {ours}</span>{}</div>",
            escape(&line.variant),
            verdict(line)
        );
        let goal = line.goal.and_then(|(goal, _)| goal.times());
        for rival in &line.rivals {
            let colour = colour(comparison, &rival.peer);
            let apart = rival.apart.map_or(String::new(), |why| format!(" title=\"{}\"", escape(why)));
            let _ = write!(
                page,
                "<div class=row{apart}><span class=who>{}{}</span>{}<span class=num>{}</span></div>",
                escape(&rival.peer),
                if rival.apart.is_some() { " *" } else { "" },
                bar(&scale, &rival.ratio, goal.filter(|_| rival.apart.is_none()), colour),
                ratio(rival.ratio),
            );
        }
    }
    page.push_str(if scenario.is_empty() { "" } else { "</section>" });
    let mut apart: Vec<String> = Vec::new();
    for rival in lines.iter().flat_map(|line| &line.rivals) {
        let note = rival
            .apart
            .map(|why| format!("* {} {}: shown, and no measure of the goal.", escape(&rival.peer), escape(why)));
        apart.extend(note.filter(|note| !apart.contains(note)));
    }
    let _ = write!(page, "<p class=sub>{}</p>", apart.join("<br>"));
}

fn verdict(line: &Line) -> String {
    let Some((goal, verdict)) = line.goal else { return String::new() };
    let class = match verdict {
        Verdict::Met => "met",
        Verdict::Almost => "almost",
        Verdict::Missed => "missed",
        Verdict::Unknown => "unknown",
    };
    format!(
        "<span class='goal {class}'>goal {}: {}</span>",
        escape(&goal.to_string()),
        verdict.to_string().to_lowercase()
    )
}

fn ratio(spread: Spread) -> String {
    let short = |ratio: f64| {
        if ratio >= 20.0 {
            format!("{ratio:.0}")
        } else if ratio >= 2.0 {
            format!("{ratio:.1}")
        } else {
            format!("{ratio:.2}")
        }
    };
    let ends = format!("{}–{}", short(spread.low), short(spread.high));
    match spread.rounds {
        1 => format!("<b>{}×</b>", short(spread.median)),
        _ if spread.includes_one() => format!("no difference seen <small>{ends}</small>"),
        _ => format!("<b>{}×</b> <small>{ends}</small>", short(spread.median)),
    }
}

/// The latency of a variant with a server: the median of the rounds of each quantile.
fn latency(comparison: &Comparison, line: &Line, peer: &str) -> Option<[f64; 3]> {
    let rows = comparison.rows.iter().map(|measured| &measured.row);
    let rows = rows.filter(|row| row.scenario == line.scenario && row.variant == line.variant && row.peer == peer);
    let all: Vec<Latency> = rows.filter_map(|row| row.latency).collect();
    let middle = |of: fn(&Latency) -> u64| {
        Spread::of(all.iter().map(|one| of(one) as f64 / 1e3).collect()).map(|spread| spread.median)
    };
    Some([middle(|l| l.p50_micros)?, middle(|l| l.p99_micros)?, middle(|l| l.max_micros)?])
}

fn latencies(page: &mut String, comparison: &Comparison, lines: &[Line]) {
    let peers = || comparison.peers.iter().map(|(name, _)| name.as_str());
    let all = lines.iter().flat_map(|line| peers().filter_map(|peer| latency(comparison, line, peer)));
    let scale = Scale::around(all.flatten());
    let mut any = false;
    for line in lines {
        let of: Vec<_> = peers().filter_map(|peer| Some((peer, latency(comparison, line, peer)?))).collect();
        if of.is_empty() {
            continue;
        }
        if !any {
            page.push_str(
                "<h2>Latency of one command</h2><p class=sub>The dot is the median, the bar goes to the slowest of a hundred (p99), the \
                 thin line to the slowest of all. Logarithmic; medians over the rounds.</p>",
            );
            any = true;
        }
        let _ = write!(
            page,
            "<section class=card><div class=what><span>{} <span class=sub>{}</span></span></div>",
            escape(&line.scenario),
            escape(&line.variant)
        );
        for (peer, [p50, p99, max]) in of {
            let _ = write!(
                page,
                "<div class=row><span class=who>{}</span>{}<span class=num><b>{}</b> <small>p99 {} · max {} ms</small></span></div>",
                escape(peer),
                range(&scale, [p50, p99, max], colour(comparison, peer)),
                amount(p50),
                amount(p99),
                amount(max),
            );
        }
        page.push_str("</section>");
    }
}

/// All rows, and what was left out.
fn details(page: &mut String, comparison: &Comparison) {
    page.push_str(
        "<h2>Every row</h2><details><summary>Show the table</summary><div class=wide><table><thead><tr><th>scenario<th>variant<th>server<th>round\
         <th>figure<th>p50 ms<th>p99 ms<th>max ms<th>CPU µs each<th>peak MB<th>written MB</tr></thead><tbody>",
    );
    for measured in &comparison.rows {
        let row = &measured.row;
        let of =
            |of: fn(&Latency) -> u64| row.latency.map_or(String::new(), |latency| amount(of(&latency) as f64 / 1e3));
        let _ = write!(
            page,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{} {}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
            escape(&row.scenario),
            escape(&row.variant),
            escape(&row.peer),
            measured.round,
            amount(row.figure.value),
            escape(&row.figure.unit),
            of(|l| l.p50_micros),
            of(|l| l.p99_micros),
            of(|l| l.max_micros),
            amount(row.cpu_micros_per_operation),
            amount(row.peak_pss as f64 / 1e6),
            amount(row.written as f64 / 1e6),
        );
    }
    page.push_str("</tbody></table></div></details>");
    let left_out = left_out(&comparison.skipped);
    if !left_out.is_empty() {
        page.push_str("<h2>Left out</h2><ul>");
        for one in left_out {
            let _ = write!(
                page,
                "<li>{} ({}) by {}: {}</li>",
                escape(&one.scenario),
                escape(&one.variant),
                escape(&one.peer),
                escape(&one.reason)
            );
        }
        page.push_str("</ul>");
    }
}

const HEAD: &str = include_str!("head.html");
