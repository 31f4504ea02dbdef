//! An account as octets.

use bytes::Bytes;
use columba_types::AccountId;

use super::{DecodeError, Reader, Writer};
use crate::accounts::Account;

/// It may not log in.
const DISABLED: u8 = 1;
/// It has a limit on its messages, after the credentials.
const MESSAGE_BYTES: u8 = 2;

pub(crate) fn encode(account: &Account, version: u64) -> Bytes {
    let mut out = Writer::guarded(version);
    out.text(&account.name);
    let disabled = if account.disabled { DISABLED } else { 0 };
    out.u8(disabled | account.message_bytes.map_or(0, |_| MESSAGE_BYTES));
    out.zigzag(account.created_millis);
    out.varint(account.credentials.len() as u64);
    account.credentials.iter().for_each(|credential| out.text(credential));
    if let Some(octets) = account.message_bytes {
        out.varint(octets);
    }
    out.finish()
}

/// The account and its version.
pub(crate) fn decode(octets: &[u8], id: AccountId) -> Result<(Account, u64), DecodeError> {
    let (version, mut input) = Reader::guarded(octets)?;
    let name = input.text()?.to_owned();
    let flags = input.u8()?;
    if flags & !(DISABLED | MESSAGE_BYTES) != 0 {
        return Err(DecodeError::Field("account flag"));
    }
    let created_millis = input.zigzag()?;
    let count = input.count()?;
    let mut credentials = Vec::new();
    for _ in 0..count {
        credentials.push(input.text()?.to_owned());
    }
    let message_bytes = if flags & MESSAGE_BYTES == 0 { None } else { Some(input.varint()?) };
    input.end()?;
    let disabled = flags & DISABLED != 0;
    Ok((Account { id, name, credentials, disabled, created_millis, message_bytes }, version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn accounts_come_back(name in ".{0,20}", credentials in proptest::collection::vec(".{0,9}", 0..4), disabled: bool, created_millis: i64, message_bytes: Option<u64>) {
            let account = Account { id: AccountId(4), name, credentials, disabled, created_millis, message_bytes };
            prop_assert_eq!(decode(&encode(&account, 77), AccountId(4)), Ok((account, 77)));
        }

        #[test]
        fn any_octets_decode_or_are_refused(mut octets in proptest::collection::vec(any::<u8>(), 9..60)) {
            octets[8] = super::super::FORMAT;
            _ = decode(&octets, AccountId(1));
        }
    }
}
