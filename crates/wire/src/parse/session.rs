//! Commands about the connection itself: ID, LOGIN, AUTHENTICATE, ENABLE, COMPRESS.

use columba_types::limits::{ID_FIELDS, ID_VALUE_BYTES, LIST_ITEMS};

use super::cursor::{Cursor, Parsed};
use crate::command::{CommandBody, Secret};

// id              = "ID" SP id-params-list
// id-params-list  = "(" [string SP nstring *(SP string SP nstring)] ")" / nil        (RFC 2971 §4)
pub(super) fn id(c: &mut Cursor<'_>) -> Parsed<CommandBody> {
    c.space()?;
    if c.take_name("NIL") {
        return Ok(CommandBody::Id(None));
    }
    let fields = c.list("expected NIL or a list of names and values", |c| {
        let at = c.place();
        let name = c.string("expected the name of a field as a string")?;
        c.space()?;
        let value = c.nstring("expected the value of the field as a string or NIL")?;
        if name.len().max(value.as_ref().map_or(0, Vec::len)) > ID_VALUE_BYTES {
            return c.fail_at(at, "the field is too long");
        }
        Ok((name, value))
    })?;
    // RFC 2971 §3.3
    if fields.len() > ID_FIELDS {
        return c.fail("the list has too many fields");
    }
    Ok(CommandBody::Id(Some(fields)))
}

// login           = "LOGIN" SP userid SP password
// userid          = astring
// password        = astring
pub(super) fn login(c: &mut Cursor<'_>) -> Parsed<CommandBody> {
    c.space()?;
    let user = c.astring("expected a user name")?;
    c.space()?;
    let password = Secret(c.astring("expected a password")?);
    Ok(CommandBody::Login { user, password })
}

// authenticate    = "AUTHENTICATE" SP auth-type [SP initial-resp] *(CRLF base64)
// initial-resp    =  (base64 / "=")
pub(super) fn authenticate(c: &mut Cursor<'_>) -> Parsed<CommandBody> {
    c.space()?;
    let mechanism = c.atom("expected the name of a mechanism")?.to_ascii_uppercase();
    let mut initial = None;
    if c.take(b' ') && c.peek().is_some() {
        let response = c.run(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
        if response.is_empty() {
            return c.fail("expected an initial response in base64, or =");
        }
        initial = Some(Secret(response.to_vec()));
    }
    Ok(CommandBody::Authenticate { mechanism, initial })
}

// compress        = "COMPRESS" SP algorithm
// algorithm       = "DEFLATE"                                                        (RFC 4978 §5)
pub(super) fn compress(c: &mut Cursor<'_>) -> Parsed<CommandBody> {
    c.space()?;
    Ok(CommandBody::Compress(c.atom("expected the name of a mechanism")?.to_ascii_uppercase()))
}

// enable          = "ENABLE" 1*(SP capability)
pub(super) fn enable(c: &mut Cursor<'_>) -> Parsed<CommandBody> {
    let mut names = Vec::new();
    loop {
        c.space()?;
        names.push(c.atom("expected the name of a capability")?.to_ascii_uppercase());
        if matches!(c.rest(), [] | [b' ']) {
            return Ok(CommandBody::Enable(names));
        }
        if names.len() >= LIST_ITEMS {
            return c.fail("the list has too many items");
        }
    }
}
