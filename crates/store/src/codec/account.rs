//! An account as octets.

use bytes::Bytes;
use columba_types::{AccountId, Network, Networks};

use super::{DecodeError, Reader, Writer};
use crate::accounts::Account;

/// It may not log in.
const DISABLED: u8 = 1;
/// It has a limit on its messages, after the credentials.
const MESSAGE_BYTES: u8 = 2;
/// It is there for some networks alone: a list of those allowed and one of those denied, after that.
const NETWORKS: u8 = 4;

pub(crate) fn encode(account: &Account, version: u64) -> Bytes {
    let mut out = Writer::guarded(version);
    out.text(&account.name);
    let flag = |there: bool, flag: u8| if there { flag } else { 0 };
    let networks = flag(!account.networks.is_open(), NETWORKS);
    out.u8(flag(account.disabled, DISABLED) | flag(account.message_bytes.is_some(), MESSAGE_BYTES) | networks);
    out.zigzag(account.created_millis);
    out.varint(account.credentials.len() as u64);
    account.credentials.iter().for_each(|credential| out.text(credential));
    if let Some(octets) = account.message_bytes {
        out.varint(octets);
    }
    if networks != 0 {
        for list in [&account.networks.allow, &account.networks.deny] {
            out.varint(list.len() as u64);
            list.iter().for_each(|network| out.text(&network.to_string()));
        }
    }
    out.finish()
}

/// The account and its version.
pub(crate) fn decode(octets: &[u8], id: AccountId) -> Result<(Account, u64), DecodeError> {
    let (version, mut input) = Reader::guarded(octets)?;
    let name = input.text()?.to_owned();
    let flags = input.u8()?;
    if flags & !(DISABLED | MESSAGE_BYTES | NETWORKS) != 0 {
        return Err(DecodeError::Field("account flag"));
    }
    let created_millis = input.zigzag()?;
    let count = input.count()?;
    let mut credentials = Vec::new();
    for _ in 0..count {
        credentials.push(input.text()?.to_owned());
    }
    let message_bytes = if flags & MESSAGE_BYTES == 0 { None } else { Some(input.varint()?) };
    let mut networks = Networks::default();
    if flags & NETWORKS != 0 {
        networks = Networks { allow: network_list(&mut input)?, deny: network_list(&mut input)? };
    }
    input.end()?;
    let disabled = flags & DISABLED != 0;
    Ok((Account { id, name, credentials, disabled, created_millis, message_bytes, networks }, version))
}

fn network_list(input: &mut Reader<'_>) -> Result<Vec<Network>, DecodeError> {
    let count = input.count()?;
    (0..count).map(|_| input.text()?.parse().map_err(|_| DecodeError::Field("network"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn accounts_come_back(name in ".{0,20}", credentials in proptest::collection::vec(".{0,9}", 0..4), disabled: bool, created_millis: i64, message_bytes: Option<u64>, allow: bool, deny: bool) {
            let list = |there: bool, networks: [&str; 2]| if there { networks.map(|n| n.parse().unwrap()).to_vec() } else { Vec::new() };
            let networks = Networks { allow: list(allow, ["10.0.0.0/8", "::1"]), deny: list(deny, ["2001:db8::/32", "192.0.2.1"]) };
            let account = Account { id: AccountId(4), name, credentials, disabled, created_millis, message_bytes, networks };
            prop_assert_eq!(decode(&encode(&account, 77), AccountId(4)), Ok((account, 77)));
        }

        #[test]
        fn any_octets_decode_or_are_refused(mut octets in proptest::collection::vec(any::<u8>(), 9..60)) {
            octets[8] = super::super::FORMAT;
            _ = decode(&octets, AccountId(1));
        }
    }
}
