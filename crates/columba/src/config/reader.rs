//! Takes typed values out of TOML tables and collects every mistake on the way. Knows types and spans, no setting.

use std::ops::Range;
use std::time::Duration;

use toml_edit::{Item, TableLike, Value};

use super::mistake::{Mistake, nearest};

/// A value and the octets of the file it was written in.
#[derive(Clone, Debug)]
pub(crate) struct Spanned<T> {
    pub(crate) value: T,
    pub(crate) span: Range<usize>,
}

/// Reads one file; the mistakes gather in it.
#[derive(Debug)]
pub(crate) struct Reader<'t> {
    text: &'t str,
    pub(crate) mistakes: Vec<Mistake>,
}

/// One table of the file, and the settings it may hold.
pub(crate) struct Section<'d> {
    /// As people write it: `[tls]`.
    name: &'static str,
    table: &'d dyn TableLike,
    known: &'static [&'static str],
}

impl<'t> Reader<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, mistakes: Vec::new() }
    }

    pub(crate) fn mistake(&mut self, span: &Range<usize>, what: impl Into<String>, fix: impl Into<String>) {
        self.mistakes.push(Mistake::new(self.text, span.clone(), what, fix));
    }

    /// Opens a table as a section. Every key that is not `known` is a mistake.
    pub(crate) fn section<'d>(
        &mut self,
        name: &'static str,
        table: &'d dyn TableLike,
        known: &'static [&'static str],
    ) -> Section<'d> {
        for (key, item) in table.iter() {
            if known.contains(&key) || item.is_none() {
                continue;
            }
            let span = key_span(table, key);
            let place = if name.is_empty() { "at the top level".to_owned() } else { format!("in {name}") };
            let fix = match nearest(key, known) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("remove it; {place} there are {}", known.join(", ")),
            };
            self.mistake(&span, format!("there is no setting `{key}` {place}"), fix);
        }
        Section { name, table, known }
    }

    /// The table `key` of a section, opened; `None` if it is not there or no table.
    pub(crate) fn subsection<'d>(
        &mut self,
        parent: &Section<'d>,
        key: &'static str,
        name: &'static str,
        known: &'static [&'static str],
    ) -> Option<(Section<'d>, Range<usize>)> {
        let item = parent.item(key)?;
        let span = parent.key_span(key);
        match item.as_table_like() {
            Some(table) => Some((self.section(name, table, known), span)),
            None => {
                let what = format!("`{key}` is a table, not {}", type_of(item));
                self.mistake(&span, what, format!("begin the table with a line {name}"));
                None
            }
        }
    }

    /// The tables of an array of tables, `[[key]]`, opened, with the octets of each.
    pub(crate) fn subsections<'d>(
        &mut self,
        parent: &Section<'d>,
        key: &'static str,
        name: &'static str,
        known: &'static [&'static str],
    ) -> Vec<(Section<'d>, Range<usize>)> {
        let Some(item) = parent.item(key) else { return Vec::new() };
        let span = parent.key_span(key);
        let tables: Option<Vec<(&dyn TableLike, Range<usize>)>> = match item {
            Item::ArrayOfTables(tables) => {
                Some(tables.iter().map(|t| (t as &dyn TableLike, t.span().unwrap_or(span.clone()))).collect())
            }
            Item::Value(Value::Array(array)) => array
                .iter()
                .map(|v| Some((v.as_inline_table()? as &dyn TableLike, v.span().unwrap_or(span.clone()))))
                .collect(),
            _ => None,
        };
        let Some(tables) = tables else {
            let what = format!("`{key}` is a list of tables, not {}", type_of(item));
            self.mistake(&span, what, format!("begin each with a line {name}, in double brackets"));
            return Vec::new();
        };
        tables.into_iter().map(|(table, span)| (self.section(name, table, known), span)).collect()
    }

    fn value<'d>(&mut self, section: &Section<'d>, key: &'static str) -> Option<(&'d Item, Range<usize>)> {
        debug_assert!(section.known.contains(&key), "{key} is not among the known settings of {}", section.name);
        let item = section.item(key)?;
        Some((item, item.span().unwrap_or_else(|| section.key_span(key))))
    }

    fn wrong_type(&mut self, key: &str, item: &Item, span: &Range<usize>, wanted: &str, example: &str) {
        self.mistake(span, format!("`{key}` is {wanted}, not {}", type_of(item)), format!("write {key} = {example}"));
    }

    /// A string.
    pub(crate) fn string(&mut self, section: &Section<'_>, key: &'static str) -> Option<Spanned<String>> {
        let (item, span) = self.value(section, key)?;
        match item.as_str() {
            Some(text) => Some(Spanned { value: text.to_owned(), span }),
            None => {
                let written = self.text.get(span.clone()).unwrap_or_default().trim().replace('"', "");
                let example = if item.is_value() && !written.contains('\n') { written } else { "…".into() };
                self.wrong_type(key, item, &span, "a text in quotes", &format!("\"{example}\""));
                None
            }
        }
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(
        &mut self,
        section: &Section<'_>,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<Spanned<T>> {
        let written = self.string(section, key)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == written.value) {
            return Some(Spanned { value: *value, span: written.span });
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let fix = match nearest(&written.value, &names) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("write one of \"{}\"", names.join("\", \"")),
        };
        self.mistake(&written.span, format!("`{key}` cannot be \"{}\"", written.value), fix);
        None
    }

    /// A whole number within `range`.
    pub(crate) fn number(
        &mut self,
        section: &Section<'_>,
        key: &'static str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<Spanned<u64>> {
        let (item, span) = self.value(section, key)?;
        let Some(number) = item.as_integer() else {
            self.wrong_type(key, item, &span, "a whole number", &range.start().to_string());
            return None;
        };
        match u64::try_from(number).ok().filter(|n| range.contains(n)) {
            Some(value) => Some(Spanned { value, span }),
            None => {
                let fix = format!("write a number from {} to {}", range.start(), range.end());
                self.mistake(&span, format!("`{key}` cannot be {number}"), fix);
                None
            }
        }
    }

    /// A number of octets: a whole number, or a text like `"25 MiB"`.
    pub(crate) fn octets(&mut self, section: &Section<'_>, key: &'static str) -> Option<Spanned<u64>> {
        let (item, span) = self.value(section, key)?;
        if item.is_integer() {
            return self.number(section, key, 1..=u64::MAX >> 1);
        }
        let Some(text) = item.as_str() else {
            self.wrong_type(key, item, &span, "a size", "\"256 MiB\"");
            return None;
        };
        match parse_octets(text) {
            Some(value) => Some(Spanned { value, span }),
            None => {
                let fix = "write a number with KiB, MiB or GiB (or KB, MB, GB), for instance \"256 MiB\"";
                self.mistake(&span, format!("`{key}` cannot be \"{text}\""), fix);
                None
            }
        }
    }

    /// A time span: a text like `"7d"`.
    pub(crate) fn duration(&mut self, section: &Section<'_>, key: &'static str) -> Option<Spanned<Duration>> {
        let (item, span) = self.value(section, key)?;
        let Some(text) = item.as_str() else {
            self.wrong_type(key, item, &span, "a time span", "\"7d\"");
            return None;
        };
        match parse_duration(text) {
            Some(value) => Some(Spanned { value, span }),
            None => {
                let fix = "write a number with s, m, h, d or w, for instance \"7d\"";
                self.mistake(&span, format!("`{key}` cannot be \"{text}\""), fix);
                None
            }
        }
    }

    /// A list of strings.
    pub(crate) fn strings(&mut self, section: &Section<'_>, key: &'static str) -> Option<Vec<Spanned<String>>> {
        let (item, span) = self.value(section, key)?;
        let Some(array) = item.as_array() else {
            self.wrong_type(key, item, &span, "a list", "[\"…\"]");
            return None;
        };
        let mut list = Vec::new();
        for value in array.iter() {
            let span = value.span().unwrap_or_else(|| span.clone());
            match value.as_str() {
                Some(text) => list.push(Spanned { value: text.to_owned(), span }),
                None => {
                    let what = format!("`{key}` is a list of texts, and this is {}", value_type(value));
                    self.mistake(&span, what, "put it in quotes");
                }
            }
        }
        Some(list)
    }
}

impl<'d> Section<'d> {
    /// A table of which just `version` is looked at.
    pub(crate) fn only(table: &'d dyn TableLike) -> Self {
        Self { name: "", table, known: &["version"] }
    }

    fn item(&self, key: &str) -> Option<&'d Item> {
        self.table.get(key).filter(|item| !item.is_none())
    }

    /// The octets of a key; an empty range when it is not there.
    pub(crate) fn key_span(&self, key: &str) -> Range<usize> {
        key_span(self.table, key)
    }

    /// Whether a list is written, of values or of tables.
    pub(crate) fn is_list(&self, key: &str) -> bool {
        self.item(key).is_some_and(|item| item.is_array() || item.is_array_of_tables())
    }

    /// Whether the setting is written, whatever it holds.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.item(key).is_some()
    }
}

fn key_span(table: &dyn TableLike, key: &str) -> Range<usize> {
    let by_key = table.get_key_value(key).and_then(|(key, item)| key.span().or_else(|| item.span()));
    by_key.unwrap_or(0..0)
}

fn type_of(item: &Item) -> &'static str {
    match item {
        Item::None => "nothing",
        Item::Value(value) => value_type(value),
        Item::Table(_) => "a table",
        Item::ArrayOfTables(_) => "a list of tables",
    }
}

fn value_type(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number with a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::InlineTable(_) => "a table",
    }
}

/// `90s`, `15m`, `12h`, `7d`, `2w`; a space before the unit is allowed.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        _ => return None,
    };
    // A hundred years are enough, and keep every sum of times far from overflow.
    number.checked_mul(seconds).filter(|s| *s <= 100 * 366 * 86_400).map(Duration::from_secs)
}

/// A number with `B`, `KiB`, `MiB`, `GiB`, `TiB` or `KB`, `MB`, `GB`, `TB`; a space before the unit is allowed.
pub(crate) fn parse_octets(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let factor: u64 = match unit {
        "B" | "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return None,
    };
    number.checked_mul(factor).filter(|n| *n >= 1 && *n <= u64::MAX >> 1)
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_read_with_their_units() {
        assert_eq!(parse_duration("7d"), Some(Duration::from_secs(7 * 86_400)));
        assert_eq!(parse_duration("0s"), Some(Duration::ZERO));
        assert_eq!(parse_octets("25 MiB"), Some(25 << 20));
        assert_eq!(parse_octets("25MB"), Some(25_000_000));
        for bad in ["", "d", "7", "7 days", "-7d", "99999999999999999999d", "9999999999999d"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
        for bad in ["", "MiB", "0", "1 mb", "99999999999 GiB"] {
            assert_eq!(parse_octets(bad), None, "{bad}");
        }
    }
}
