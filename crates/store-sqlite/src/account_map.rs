//! Which shard an account lives in. It knows account numbers and shard numbers, and reads no file.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use columba_types::AccountId;

#[derive(Debug, Default)]
struct Map {
    shard_of: HashMap<AccountId, u16>,
    accounts_in: Vec<usize>,
}

/// The shards of all accounts. A new account goes to the shard that has the fewest.
///
/// The map is only a memory of what the shards say: the row that ties an account to its shard is written by the
/// account's first commit, so the choice costs no sync of its own, and a choice that was never used is forgotten.
#[derive(Debug)]
pub(crate) struct AccountMap(RwLock<Map>);

impl AccountMap {
    /// `known` are the accounts that the shards hold.
    pub(crate) fn new(shards: usize, known: impl IntoIterator<Item = (AccountId, usize)>) -> Self {
        let mut map = Map { shard_of: HashMap::new(), accounts_in: vec![0; shards.max(1)] };
        known.into_iter().for_each(|(account, shard)| map.put(account, shard));
        Self(RwLock::new(map))
    }

    /// Where the account is; `None` if it never wrote anything.
    pub(crate) fn find(&self, account: AccountId) -> Option<usize> {
        let map = self.0.read().unwrap_or_else(PoisonError::into_inner);
        map.shard_of.get(&account).map(|shard| usize::from(*shard))
    }

    /// Where the account is, or from now on will be.
    pub(crate) fn assign(&self, account: AccountId) -> usize {
        if let Some(shard) = self.find(account) {
            return shard;
        }
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(shard) = map.shard_of.get(&account) {
            return usize::from(*shard);
        }
        let emptiest = (0..map.accounts_in.len()).min_by_key(|shard| map.accounts_in.get(*shard)).unwrap_or(0);
        map.put(account, emptiest);
        emptiest
    }
}

impl Map {
    fn put(&mut self, account: AccountId, shard: usize) {
        if self.shard_of.insert(account, u16::try_from(shard).unwrap_or_default()).is_none()
            && let Some(count) = self.accounts_in.get_mut(shard)
        {
            *count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_stay_where_they_are_and_new_ones_even_out() {
        let map = AccountMap::new(3, (0..4).map(|n| (AccountId(n), 0)));
        assert_eq!(map.find(AccountId(9)), None);
        let homes: Vec<_> = (10..18).map(|n| map.assign(AccountId(n))).collect();
        assert_eq!(homes, [1, 2, 1, 2, 1, 2, 1, 2]);
        assert_eq!(map.assign(AccountId(18)), 0);
        assert_eq!(map.find(AccountId(10)), Some(1));
        assert_eq!(map.assign(AccountId(2)), 0);
    }
}
