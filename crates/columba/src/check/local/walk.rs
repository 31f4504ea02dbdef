//! A new TCP connection from elsewhere, walked through the rules of nftables: for everyone, for some, for nobody, or it
//! cannot be told. Knows the expressions that mail ports are guarded with; every other one makes it say so. Pure.

use std::net::IpAddr;

use columba_types::limits::{CHECK_RULES, NESTING_DEPTH};
use serde_json::Value;

use crate::check::shown::Shown;

/// What becomes of a new connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// No chain looks at incoming packets.
    Unconcerned,
    Accepted,
    /// Only from these sources.
    Only(Vec<String>),
    Dropped,
    /// It depends on rules that cannot be judged here.
    Unclear(Vec<String>),
    /// The rules cannot be read.
    Unreadable(String),
}

impl Verdict {
    pub(crate) fn words(&self) -> String {
        let few = |all: &[String]| {
            let more = if all.len() > 8 { format!(" and {} more", all.len() - 8) } else { String::new() };
            format!("{}{more}", all.iter().take(8).cloned().collect::<Vec<_>>().join(", "))
        };
        match self {
            Self::Unconcerned => "no rules for incoming packets".into(),
            Self::Accepted => "open for everyone".into(),
            Self::Only(sources) => format!("open for {}", few(sources)),
            Self::Dropped => "closed for everyone".into(),
            Self::Unclear(why) => format!("cannot be told: {}", few(why)),
            Self::Unreadable(why) => format!("not known: {why}"),
        }
    }
}

/// The text of a field.
pub(super) fn word<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get(key).and_then(Value::as_str)
}

/// Whether a chain sees packets for this machine first.
pub(super) fn is_input(chain: &Value) -> bool {
    word(chain, "hook") == Some("input") && word(chain, "type") == Some("filter")
}

/// The connection that is walked through.
struct Packet {
    port: u64,
    is_ipv4: bool,
}

/// Where a walk is.
struct Walk<'a> {
    objects: &'a [Value],
    packet: Packet,
    left: usize,
    /// Sources let in on the way.
    only: Vec<String>,
    /// Rules that may decide otherwise.
    unclear: Vec<String>,
}

/// How a chain ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Accept,
    Drop,
    /// Nothing was decided.
    Through,
}

/// Whether a rule's conditions hold.
enum Match {
    Yes,
    No,
    /// For these sources.
    From(String),
    Unknown,
}

/// Walks every base chain: one that drops is enough.
pub(super) fn verdict(objects: &[Value], port: u16, address: IpAddr) -> Verdict {
    let packet = Packet { port: port.into(), is_ipv4: address.is_ipv4() };
    let families = if packet.is_ipv4 { ["inet", "ip"] } else { ["inet", "ip6"] };
    let mut walk = Walk { objects, packet, left: CHECK_RULES, only: Vec::new(), unclear: Vec::new() };
    let mut is_concerned = false;
    let mut narrowed: Option<Vec<String>> = None;
    let bases = objects.iter().filter_map(|object| object.get("chain")).filter(|chain| is_input(chain));
    for chain in bases.filter(|chain| word(chain, "family").is_some_and(|family| families.contains(&family))) {
        is_concerned = true;
        walk.only.clear();
        let end = match walk.chain(chain, 0) {
            End::Through if word(chain, "policy") == Some("drop") => End::Drop,
            End::Through => End::Accept,
            end => end,
        };
        if end == End::Drop && walk.unclear.is_empty() {
            if walk.only.is_empty() {
                return Verdict::Dropped;
            }
            narrowed.get_or_insert_default().append(&mut walk.only);
        }
    }
    match (is_concerned, walk.unclear.is_empty(), narrowed) {
        (false, _, _) => Verdict::Unconcerned,
        (true, false, _) => Verdict::Unclear(walk.unclear),
        (true, true, Some(sources)) => Verdict::Only(sources),
        (true, true, None) => Verdict::Accepted,
    }
}

impl Walk<'_> {
    fn chain(&mut self, chain: &Value, depth: usize) -> End {
        let objects = self.objects;
        let is_in = |rule: &&Value| {
            word(rule, "chain") == word(chain, "name")
                && ["family", "table"].iter().all(|k| rule.get(*k) == chain.get(*k))
        };
        for rule in objects.iter().filter_map(|object| object.get("rule")).filter(is_in) {
            if self.left == 0 || depth > NESTING_DEPTH {
                self.unclear.push("too many rules".into());
                return End::Through;
            }
            self.left -= 1;
            if let Some(end) = self.rule(rule, depth) {
                return end;
            }
        }
        End::Through
    }

    /// How a rule ends its chain, if it does.
    fn rule(&mut self, rule: &Value, depth: usize) -> Option<End> {
        let mut from: Option<String> = None;
        let mut is_unknown = false;
        for expression in rule.get("expr").and_then(Value::as_array)? {
            let Some((kind, content)) = expression.as_object().and_then(|object| object.iter().next()) else {
                continue;
            };
            match kind.as_str() {
                "match" => match self.packet.matches(content) {
                    Match::Yes => {}
                    Match::No => return None,
                    Match::From(source) => from = Some(from.map_or(source.clone(), |one| format!("{one} {source}"))),
                    Match::Unknown => is_unknown = true,
                },
                "counter" | "log" | "comment" | "meta" | "mangle" | "notrack" => {}
                "vmap" => match self.packet.vmap(content) {
                    Some(None) => {}
                    Some(Some(verdict)) => return self.decide(&verdict, from, is_unknown, depth, rule),
                    None => is_unknown = true,
                },
                "accept" | "drop" | "reject" | "return" | "jump" | "goto" | "queue" | "continue" => {
                    return self.decide(expression, from, is_unknown, depth, rule);
                }
                _ => is_unknown = true,
            }
        }
        None
    }

    fn decide(
        &mut self,
        verdict: &Value,
        from: Option<String>,
        is_unknown: bool,
        depth: usize,
        rule: &Value,
    ) -> Option<End> {
        let (kind, content) = verdict.as_object().and_then(|object| object.iter().next())?;
        let end = match kind.as_str() {
            "accept" => End::Accept,
            "drop" | "reject" => End::Drop,
            "return" => End::Through,
            "jump" | "goto" if !is_unknown && from.is_none() => {
                let target = word(content, "target")?;
                let same = |chain: &&Value| {
                    word(chain, "name") == Some(target)
                        && ["family", "table"].iter().all(|k| chain.get(*k) == rule.get(*k))
                };
                let objects = self.objects;
                let chain = objects.iter().filter_map(|object| object.get("chain")).find(same)?;
                let end = self.chain(chain, depth + 1);
                return (end != End::Through || kind == "goto").then_some(end);
            }
            "continue" => return None,
            // A jump for some, a queue: what becomes of it is not known here.
            _ => {
                self.unclear.push(describe(rule));
                return None;
            }
        };
        if is_unknown {
            // Rules that may let pass or not, for whom is not known.
            self.unclear.push(describe(rule));
            return None;
        }
        match (from, end) {
            (None, end) => Some(end),
            (Some(source), End::Accept) => {
                self.only.push(source);
                None
            }
            // Some are shut out: bans, and nothing that decides for everyone.
            (Some(_), _) => None,
        }
    }
}

impl Packet {
    fn matches(&self, content: &Value) -> Match {
        let (Some(left), Some(right)) = (content.get("left"), content.get("right")) else { return Match::Unknown };
        let is_not = word(content, "op") == Some("!=");
        let told = |holds: Option<bool>| match holds {
            Some(holds) if holds != is_not => Match::Yes,
            Some(_) => Match::No,
            None => Match::Unknown,
        };
        if let Some(payload) = left.get("payload") {
            return match (word(payload, "protocol"), word(payload, "field")) {
                (Some("tcp" | "th"), Some("dport")) => told(self.port_in(right)),
                (Some("tcp" | "th"), Some("sport" | "flags")) => Match::Unknown,
                (Some("udp" | "icmp" | "icmpv6" | "igmp" | "sctp" | "dccp"), _) => Match::No,
                (Some("ip"), _) if !self.is_ipv4 => Match::No,
                (Some("ip6"), _) if self.is_ipv4 => Match::No,
                (Some("ip"), Some("protocol")) | (Some("ip6"), Some("nexthdr")) => told(any(right, &["tcp", "6"])),
                (Some("ip" | "ip6"), Some("saddr")) => source(right, is_not),
                _ => Match::Unknown,
            };
        }
        if let Some(key) = left.get("meta").and_then(|meta| word(meta, "key")) {
            return match key {
                "l4proto" => told(any(right, &["tcp", "6"])),
                "nfproto" => told(any(right, if self.is_ipv4 { &["ipv4", "2"] } else { &["ipv6", "10"] })),
                // From elsewhere: not by the loopback interface.
                "iifname" | "iif" if right.as_str() == Some("lo") => told(Some(false)),
                _ => Match::Unknown,
            };
        }
        if left.get("ct").and_then(|ct| word(ct, "key")) == Some("state") {
            return told(any(right, &["new"]));
        }
        Match::Unknown
    }

    /// The verdict that a map has for this connection: `Some(None)` where it has none.
    fn vmap(&self, content: &Value) -> Option<Option<Value>> {
        let key = content.get("key")?;
        let is_state = key.get("ct").and_then(|ct| word(ct, "key")) == Some("state");
        let is_port = key
            .get("payload")
            .is_some_and(|p| matches!(word(p, "protocol"), Some("tcp" | "th")) && word(p, "field") == Some("dport"));
        for pair in content.get("data")?.get("set")?.as_array()? {
            let [key, verdict] = pair.as_array()?.as_slice() else { return None };
            let holds = match (is_state, is_port) {
                (true, _) => any(key, &["new"])?,
                (_, true) => self.port_in(key)?,
                _ => return None,
            };
            if holds {
                return Some(Some(verdict.clone()));
            }
        }
        (is_state || is_port).then_some(None)
    }

    /// Whether the port is in a number, range, prefix or set; names of services are those of mail.
    fn port_in(&self, value: &Value) -> Option<bool> {
        match value {
            Value::Number(number) => Some(number.as_u64()? == self.port),
            Value::String(name) => match name.as_str() {
                "imap" | "imap2" => Some(self.port == 143),
                "imaps" => Some(self.port == 993),
                // A named set, whose elements may change.
                set if set.starts_with('@') => None,
                other => Some(other.parse::<u64>().ok()? == self.port),
            },
            Value::Array(all) => {
                let each: Option<Vec<bool>> = all.iter().map(|one| self.port_in(one)).collect();
                Some(each?.contains(&true))
            }
            Value::Object(object) => {
                if let Some(set) = object.get("set") {
                    return self.port_in(set);
                }
                let [low, high] = object.get("range")?.as_array()?.as_slice() else { return None };
                Some((low.as_u64()?..=high.as_u64()?).contains(&self.port))
            }
            _ => None,
        }
    }
}

/// Whether one of `words` is among the values; `None` where they are not plain ones.
fn any(value: &Value, words: &[&str]) -> Option<bool> {
    match value {
        Value::String(text) if text.starts_with('@') => None,
        Value::String(text) => Some(words.contains(&text.as_str())),
        Value::Number(number) => Some(words.contains(&number.to_string().as_str())),
        Value::Array(all) => all.iter().map(|one| any(one, words)).try_fold(false, |found, one| Some(found | one?)),
        Value::Object(object) => any(object.get("set")?, words),
        _ => None,
    }
}

/// Sources as people write them.
fn source(value: &Value, is_not: bool) -> Match {
    let text = addresses(value);
    match (text, is_not) {
        (Some(text), false) => Match::From(text),
        (Some(text), true) => Match::From(format!("all but {text}")),
        (None, _) => Match::Unknown,
    }
}

fn addresses(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(all) => {
            let each: Option<Vec<String>> = all.iter().take(20).map(addresses).collect();
            let more = if all.len() > 20 { format!(" and {} more", all.len() - 20) } else { String::new() };
            format!("{}{more}", each?.join(" "))
        }
        Value::Object(object) => {
            if let Some(prefix) = object.get("prefix") {
                format!("{}/{}", word(prefix, "addr")?, prefix.get("len")?.as_u64()?)
            } else if let Some(range) = object.get("range").and_then(Value::as_array) {
                format!("{}-{}", range.first()?.as_str()?, range.get(1)?.as_str()?)
            } else {
                return addresses(object.get("set")?);
            }
        }
        _ => return None,
    };
    Some(Shown::text(&text).to_string())
}

/// Which rule it is.
fn describe(rule: &Value) -> String {
    let words = ["family", "table", "chain"].map(|key| word(rule, key).unwrap_or_default());
    let handle = rule.get("handle").and_then(Value::as_u64).unwrap_or_default();
    Shown::text(&format!("rule {handle} of {}", words.join(" "))).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn base(policy: &str) -> Value {
        json!({"chain": {"family": "inet", "table": "filter", "name": "input", "handle": 1, "type": "filter",
            "hook": "input", "prio": 0, "policy": policy}})
    }

    fn rule(chain: &str, expressions: Value) -> Value {
        json!({"rule": {"family": "inet", "table": "filter", "chain": chain, "handle": 7, "expr": expressions}})
    }

    fn dport(right: Value) -> Value {
        json!({"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": right}})
    }

    fn saddr(right: Value) -> Value {
        json!({"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": right}})
    }

    fn of(objects: &[Value], port: u16) -> Verdict {
        verdict(objects, port, "192.0.2.1".parse().unwrap())
    }

    #[test]
    fn the_usual_rules_are_judged() {
        let state =
            json!({"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}});
        let lo = json!({"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "lo"}});
        let objects = [
            base("drop"),
            rule("input", json!([state, {"accept": null}])),
            rule("input", json!([lo, {"accept": null}])),
            rule("input", json!([dport(json!({"set": [22, 993]})), {"counter": {"packets": 0}}, {"accept": null}])),
            rule(
                "input",
                json!([saddr(json!({"prefix": {"addr": "10.0.0.0", "len": 8}})), dport(json!(143)), {"accept": null}]),
            ),
            rule("input", json!([dport(json!({"range": [4000, 5000]})), {"reject": {"type": "tcp reset"}}])),
        ];
        assert_eq!(of(&objects, 993), Verdict::Accepted);
        assert_eq!(of(&objects, 143), Verdict::Only(vec!["10.0.0.0/8".into()]));
        assert_eq!(verdict(&objects, 143, "::".parse().unwrap()), Verdict::Dropped);
        assert_eq!(of(&objects, 25), Verdict::Dropped);
        assert_eq!(of(&[base("accept")], 143), Verdict::Accepted);
        assert_eq!(of(&[], 143), Verdict::Unconcerned);
    }

    #[test]
    fn jumps_maps_and_several_chains_are_followed() {
        let states = json!({"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [
            ["established", {"accept": null}], ["invalid", {"drop": null}], ["new", {"jump": {"target": "mail"}}]]}}});
        let mail = json!({"chain": {"family": "inet", "table": "filter", "name": "mail", "handle": 2}});
        let objects = [
            base("drop"),
            mail,
            rule("input", json!([states])),
            rule("mail", json!([dport(json!("imaps")), {"accept": null}])),
        ];
        assert_eq!(of(&objects, 993), Verdict::Accepted);
        assert_eq!(of(&objects, 143), Verdict::Dropped);
        let mut second = base("drop");
        second["chain"]["name"] = "other".into();
        assert_eq!(of(&[&objects[..], &[second]].concat(), 993), Verdict::Dropped);
    }

    #[test]
    fn what_is_not_known_is_said() {
        let limited = json!({"limit": {"rate": 5, "per": "second"}});
        let objects = [base("drop"), rule("input", json!([dport(json!(143)), limited, {"accept": null}]))];
        assert_eq!(of(&objects, 143), Verdict::Unclear(vec!["rule 7 of inet filter input".into()]));
        let set = [base("drop"), rule("input", json!([dport(json!("@mail")), {"accept": null}]))];
        assert!(matches!(of(&set, 143), Verdict::Unclear(_)));
        // It calls itself.
        let endless = [base("drop"), rule("input", json!([{"jump": {"target": "input"}}]))];
        assert!(matches!(of(&endless, 143), Verdict::Unclear(_)));
    }

    proptest! {
        #[test]
        fn any_rules_are_walked(words in proptest::collection::vec("[a-z@0-9]{0,8}", 0..6), number: u64) {
            let value = json!({"op": "==", "left": {"payload": {"protocol": words.first(), "field": "dport"}},
                "right": {"set": [number, {"range": [number]}, words]}});
            for kind in ["match", "vmap", "jump", "limit"] {
                let mut expression = serde_json::Map::new();
                expression.insert(kind.into(), value.clone());
                let _ = of(&[base("drop"), rule("input", json!([expression, {"accept": null}]))], 143);
            }
        }
    }
}
