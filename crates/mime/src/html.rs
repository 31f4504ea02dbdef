//! HTML reduced to the words that are read in it. It knows which elements hold no text and which end a word, and nothing of
//! how a page looks; whatever it is given, it makes something of it in one pass.

use crate::preview::Words;

/// Elements whose content is no text to be read, up to their end tag.
const SILENT: [&str; 8] = ["style", "script", "title", "template", "svg", "math", "select", "textarea"];

/// Elements that may stand within a word.
const INLINE: [&str; 27] = [
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "em", "font", "i", "ins", "kbd", "label",
    "mark", "q", "s", "small", "span", "strike", "strong", "sub", "sup", "u", "wbr",
];

/// Longest name of an element that is looked at.
const NAME_BYTES: usize = 16;

/// Longest character reference that is looked at.
const REFERENCE_BYTES: usize = 12;

/// Appends what is read in `html`.
pub(crate) fn push_html(html: &str, words: &mut Words) {
    let mut rest = html;
    while !rest.is_empty() && !words.is_full() {
        let end = memchr::memchr2(b'<', b'&', rest.as_bytes()).unwrap_or(rest.len());
        let (text, after) = rest.split_at(end);
        words.push(text);
        rest = match after.as_bytes() {
            [b'<', b'!' | b'?', ..] => skip_declaration(after),
            [b'<', b'/', ..] => tag(after, "</", words),
            [b'<', first, ..] if first.is_ascii_alphabetic() => tag(after, "<", words),
            [b'&', ..] => reference(after, words),
            [] => after,
            _ => {
                words.push("<");
                after.get(1..).unwrap_or_default()
            }
        };
    }
}

/// `<!-- … -->`, `<!doctype …>`, `<?xml …>`; one that is not closed goes to the end.
fn skip_declaration(at: &str) -> &str {
    let end = match at.strip_prefix("<!--") {
        // What Outlook keeps for itself looks like "<!--[if mso]> … <![endif]-->".
        Some(_) => at.get(4..).and_then(|rest| rest.find("-->")).map(|end| 4 + end + 3),
        None => at.find('>').map(|end| end + 1),
    };
    end.and_then(|end| at.get(end..)).unwrap_or_default()
}

/// A start or end tag; what comes after it, and after the content that is not to be read.
fn tag<'a>(at: &'a str, open: &str, words: &mut Words) -> &'a str {
    let inside = at.get(open.len()..).unwrap_or_default();
    let length = inside.bytes().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(inside.len());
    let name = inside.get(..length.min(NAME_BYTES)).unwrap_or_default().to_ascii_lowercase();
    if !INLINE.contains(&name.as_str()) {
        words.space();
    }
    let rest = after_tag(inside);
    match SILENT.contains(&name.as_str()) && open == "<" {
        true => after_end_tag(rest, &name),
        false => rest,
    }
}

/// What comes after the `>` of a tag; one within quotes does not count, unless the quotes are never closed.
fn after_tag(inside: &str) -> &str {
    let mut quote = None;
    let mut first = None;
    for (at, b) in inside.bytes().enumerate() {
        match (b, quote) {
            (b'>', None) => return inside.get(at + 1..).unwrap_or_default(),
            (b'>', Some(_)) if first.is_none() => first = Some(at),
            // A quote only opens a value right behind its "=".
            (b'"' | b'\'', None) if inside.get(..at).is_some_and(|before| before.trim_end().ends_with('=')) => {
                quote = Some(b);
            }
            (b, Some(open)) if b == open => quote = None,
            _ => {}
        }
    }
    first.and_then(|at| inside.get(at + 1..)).unwrap_or_default()
}

/// What comes after `</name …>`; nothing if there is none.
fn after_end_tag<'a>(text: &'a str, name: &str) -> &'a str {
    let mut rest = text;
    while let Some(at) = rest.find("</") {
        let inside = rest.get(at + 2..).unwrap_or_default();
        if inside.get(..name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name)) {
            return inside.find('>').and_then(|end| inside.get(end + 1..)).unwrap_or_default();
        }
        rest = inside;
    }
    ""
}

/// A character reference: `&amp;`, `&#228;`, `&#xe4;`; what is none is text.
fn reference<'a>(at: &'a str, words: &mut Words) -> &'a str {
    let inside = at.get(1..).unwrap_or_default();
    let length = inside.bytes().take(REFERENCE_BYTES).position(|b| !(b.is_ascii_alphanumeric() || b == b'#'));
    let length = length.unwrap_or(inside.len().min(REFERENCE_BYTES));
    let name = inside.get(..length).unwrap_or_default();
    let c = match name.strip_prefix('#') {
        Some(number) => {
            let number = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            number.ok().and_then(char::from_u32)
        }
        None => NAMED.binary_search_by(|(known, _)| (*known).cmp(name)).ok().and_then(|at| NAMED.get(at)).map(|n| n.1),
    };
    let Some(c) = c else {
        words.push("&");
        return inside;
    };
    words.push_char(c);
    let rest = inside.get(length..).unwrap_or_default();
    rest.strip_prefix(';').unwrap_or(rest)
}

/// The named characters of HTML 4, and `&apos;`, by name.
#[rustfmt::skip]
const NAMED: [(&str, char); 253] = [
    ("AElig", 'Æ'), ("Aacute", 'Á'), ("Acirc", 'Â'), ("Agrave", 'À'), ("Alpha", 'Α'), ("Aring", 'Å'), ("Atilde", 'Ã'),
    ("Auml", 'Ä'), ("Beta", 'Β'), ("Ccedil", 'Ç'), ("Chi", 'Χ'), ("Dagger", '‡'), ("Delta", 'Δ'), ("ETH", 'Ð'),
    ("Eacute", 'É'), ("Ecirc", 'Ê'), ("Egrave", 'È'), ("Epsilon", 'Ε'), ("Eta", 'Η'), ("Euml", 'Ë'), ("Gamma", 'Γ'),
    ("Iacute", 'Í'), ("Icirc", 'Î'), ("Igrave", 'Ì'), ("Iota", 'Ι'), ("Iuml", 'Ï'), ("Kappa", 'Κ'), ("Lambda", 'Λ'),
    ("Mu", 'Μ'), ("Ntilde", 'Ñ'), ("Nu", 'Ν'), ("OElig", 'Œ'), ("Oacute", 'Ó'), ("Ocirc", 'Ô'), ("Ograve", 'Ò'),
    ("Omega", 'Ω'), ("Omicron", 'Ο'), ("Oslash", 'Ø'), ("Otilde", 'Õ'), ("Ouml", 'Ö'), ("Phi", 'Φ'), ("Pi", 'Π'),
    ("Prime", '″'), ("Psi", 'Ψ'), ("Rho", 'Ρ'), ("Scaron", 'Š'), ("Sigma", 'Σ'), ("THORN", 'Þ'), ("Tau", 'Τ'),
    ("Theta", 'Θ'), ("Uacute", 'Ú'), ("Ucirc", 'Û'), ("Ugrave", 'Ù'), ("Upsilon", 'Υ'), ("Uuml", 'Ü'), ("Xi", 'Ξ'),
    ("Yacute", 'Ý'), ("Yuml", 'Ÿ'), ("Zeta", 'Ζ'), ("aacute", 'á'), ("acirc", 'â'), ("acute", '´'), ("aelig", 'æ'),
    ("agrave", 'à'), ("alefsym", 'ℵ'), ("alpha", 'α'), ("amp", '&'), ("and", '∧'), ("ang", '∠'), ("apos", '\''),
    ("aring", 'å'), ("asymp", '≈'), ("atilde", 'ã'), ("auml", 'ä'), ("bdquo", '„'), ("beta", 'β'), ("brvbar", '¦'),
    ("bull", '•'), ("cap", '∩'), ("ccedil", 'ç'), ("cedil", '¸'), ("cent", '¢'), ("chi", 'χ'), ("circ", 'ˆ'),
    ("clubs", '♣'), ("cong", '≅'), ("copy", '©'), ("crarr", '↵'), ("cup", '∪'), ("curren", '¤'), ("dArr", '⇓'),
    ("dagger", '†'), ("darr", '↓'), ("deg", '°'), ("delta", 'δ'), ("diams", '♦'), ("divide", '÷'), ("eacute", 'é'),
    ("ecirc", 'ê'), ("egrave", 'è'), ("empty", '∅'), ("emsp", '\u{2003}'), ("ensp", '\u{2002}'), ("epsilon", 'ε'),
    ("equiv", '≡'), ("eta", 'η'), ("eth", 'ð'), ("euml", 'ë'), ("euro", '€'), ("exist", '∃'), ("fnof", 'ƒ'),
    ("forall", '∀'), ("frac12", '½'), ("frac14", '¼'), ("frac34", '¾'), ("frasl", '⁄'), ("gamma", 'γ'), ("ge", '≥'),
    ("gt", '>'), ("hArr", '⇔'), ("harr", '↔'), ("hearts", '♥'), ("hellip", '…'), ("iacute", 'í'), ("icirc", 'î'),
    ("iexcl", '¡'), ("igrave", 'ì'), ("image", 'ℑ'), ("infin", '∞'), ("int", '∫'), ("iota", 'ι'), ("iquest", '¿'),
    ("isin", '∈'), ("iuml", 'ï'), ("kappa", 'κ'), ("lArr", '⇐'), ("lambda", 'λ'), ("lang", '〈'), ("laquo", '«'),
    ("larr", '←'), ("lceil", '⌈'), ("ldquo", '“'), ("le", '≤'), ("lfloor", '⌊'), ("lowast", '∗'), ("loz", '◊'),
    ("lrm", '\u{200e}'), ("lsaquo", '‹'), ("lsquo", '‘'), ("lt", '<'), ("macr", '¯'), ("mdash", '—'), ("micro", 'µ'),
    ("middot", '·'), ("minus", '−'), ("mu", 'μ'), ("nabla", '∇'), ("nbsp", '\u{a0}'), ("ndash", '–'), ("ne", '≠'),
    ("ni", '∋'), ("not", '¬'), ("notin", '∉'), ("nsub", '⊄'), ("ntilde", 'ñ'), ("nu", 'ν'), ("oacute", 'ó'),
    ("ocirc", 'ô'), ("oelig", 'œ'), ("ograve", 'ò'), ("oline", '‾'), ("omega", 'ω'), ("omicron", 'ο'), ("oplus", '⊕'),
    ("or", '∨'), ("ordf", 'ª'), ("ordm", 'º'), ("oslash", 'ø'), ("otilde", 'õ'), ("otimes", '⊗'), ("ouml", 'ö'),
    ("para", '¶'), ("part", '∂'), ("permil", '‰'), ("perp", '⊥'), ("phi", 'φ'), ("pi", 'π'), ("piv", 'ϖ'),
    ("plusmn", '±'), ("pound", '£'), ("prime", '′'), ("prod", '∏'), ("prop", '∝'), ("psi", 'ψ'), ("quot", '"'),
    ("rArr", '⇒'), ("radic", '√'), ("rang", '〉'), ("raquo", '»'), ("rarr", '→'), ("rceil", '⌉'), ("rdquo", '”'),
    ("real", 'ℜ'), ("reg", '®'), ("rfloor", '⌋'), ("rho", 'ρ'), ("rlm", '\u{200f}'), ("rsaquo", '›'), ("rsquo", '’'),
    ("sbquo", '‚'), ("scaron", 'š'), ("sdot", '⋅'), ("sect", '§'), ("shy", '\u{ad}'), ("sigma", 'σ'), ("sigmaf", 'ς'),
    ("sim", '∼'), ("spades", '♠'), ("sub", '⊂'), ("sube", '⊆'), ("sum", '∑'), ("sup", '⊃'), ("sup1", '¹'),
    ("sup2", '²'), ("sup3", '³'), ("supe", '⊇'), ("szlig", 'ß'), ("tau", 'τ'), ("there4", '∴'), ("theta", 'θ'),
    ("thetasym", 'ϑ'), ("thinsp", '\u{2009}'), ("thorn", 'þ'), ("tilde", '˜'), ("times", '×'), ("trade", '™'),
    ("uArr", '⇑'), ("uacute", 'ú'), ("uarr", '↑'), ("ucirc", 'û'), ("ugrave", 'ù'), ("uml", '¨'), ("upsih", 'ϒ'),
    ("upsilon", 'υ'), ("uuml", 'ü'), ("weierp", '℘'), ("xi", 'ξ'), ("yacute", 'ý'), ("yen", '¥'), ("yuml", 'ÿ'),
    ("zeta", 'ζ'), ("zwj", '\u{200d}'), ("zwnj", '\u{200c}'),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn words(html: &str) -> String {
        let mut words = Words::default();
        push_html(html, &mut words);
        words.finish()
    }

    #[test]
    fn markup_is_taken_away() {
        assert_eq!(words("<html><body><p>Hello <b>W</b>orld</p><p>Bye</p></body></html>"), "Hello World Bye");
        assert_eq!(words("one<br>two<br/>three<td>four"), "one two three four");
        assert_eq!(words("a < b && c <3 d"), "a < b && c <3 d");
        assert_eq!(words("<a href=\"x>y\" title='>'>link</a>ed"), "linked");
        assert_eq!(words("<a href=\"open>link</a>"), "link");
    }

    #[test]
    fn what_is_not_read_is_left_out() {
        let head = "<!DOCTYPE html><head><title>T</title><style>p { x > y }</style><meta a=b></head>";
        assert_eq!(words(&format!("{head}<body>text")), "text");
        assert_eq!(words("a<!-- <p>no</p> -->b<![CDATA[c]]>"), "ab");
        assert_eq!(words("a<script>if (a</b) x</SCRIPT >b"), "a b");
        assert_eq!(words("a<!--[if mso]>no<![endif]-->b"), "ab");
        for open in ["a<style>no", "a<!-- no", "a<p no", "a<", "a</", "a<script>no</scrip"] {
            assert!(words(open).starts_with('a') && !words(open).contains("no"), "{open}");
        }
    }

    #[test]
    fn references() {
        assert!(NAMED.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(words("&lt;&amp;&gt;&quot;&apos;&nbsp;&auml;&euro;&#228;&#xE4;&#x1F4E5;"), "<&>\"' ä€ää📥");
        assert_eq!(words("AT&T &unknown; &#xd800; &#; &amp &"), "AT&T &unknown; &#xd800; &#; & &");
        assert_eq!(words("pre&zwnj;&nbsp;&#847;&shy;text"), "pre text");
    }
}
