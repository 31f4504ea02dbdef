//! The house a run takes place in: what the server announces, what each client enables, how the store was opened. All of
//! it follows from the seed.

use columba_store::Options;
use columba_types::limits;

use super::actions::Dice;
use super::client::Traits;
use super::conversation::Conversation;
use super::foresee::Limits;
use super::notify::Notify;
use super::record::Record;
use crate::link::LinkOptions;
use crate::script::MemoryGround;

/// What clients may enable here: what the server announces.
pub(super) fn announced() -> Result<Vec<String>, String> {
    let mut ground = MemoryGround::new(LinkOptions::default())?;
    let mut scout = Conversation::open(&mut ground, "scout".into(), Record::default())?;
    let features = scout.announced()?;
    scout.disconnect();
    Ok(features)
}

/// What kind of house a run takes place in.
#[derive(Clone, Debug)]
pub(super) struct House {
    /// What the server announces.
    pub(super) features: Vec<String>,
    /// What each client enables.
    pub(super) seats: Vec<Traits>,
    /// UIDs in the history of what was expunged.
    pub(super) history: u64,
    /// Messages that one command may be about, and of a batch of UIDBATCHES.
    pub(super) limits: Limits,
    /// Mailboxes kept in memory without need.
    pub(super) cached: usize,
    /// Whether even pages of one message get packs.
    pub(super) packs: bool,
}

impl House {
    pub(super) fn draw(seed: u64, features: &[String]) -> Self {
        let mut dice = Dice::new(seed ^ 0x686f_7573_6500);
        let clients = 2 + dice.below(4);
        let history = dice.pick(&[2, 8, 40]).filter(|_| dice.once_in(2));
        let any = dice.pick(&[1, 2, 3, 5]).filter(|_| dice.once_in(4));
        let saving = any.map(|any| any + dice.below(3) as u32).filter(|_| dice.once_in(2));
        let batch = dice.pick(&[1, 1, 2, 3]).unwrap_or(1);
        Self {
            limits: Limits { any, saving, batch },
            features: features.to_vec(),
            seats: traits(&mut dice, clients, features),
            history: history.unwrap_or(limits::LOG_EXPUNGED_UIDS),
            cached: if dice.once_in(3) { 0 } else { 1_000 },
            packs: dice.once_in(2),
        }
    }

    pub(super) fn options(&self) -> Options {
        let packed_page = if self.packs { 1 } else { limits::PAGE_RECORDS };
        Options { expunge_history: self.history, cache_mailboxes: self.cached, packed_page, ..Options::default() }
    }
}

/// What each client enables.
fn traits(dice: &mut Dice, clients: usize, features: &[String]) -> Vec<Traits> {
    let has = |name: &str| features.iter().any(|feature| feature == name);
    let one = |_| Traits {
        rev2: has("IMAP4REV2") && dice.once_in(2),
        condstore: has("CONDSTORE") && dice.once_in(3),
        qresync: has("QRESYNC") && dice.once_in(2),
        uid_only: has("UIDONLY") && dice.once_in(6),
        notify: (has("NOTIFY") && dice.once_in(3)).then(|| Notify::draw(dice)),
    };
    (0..clients).map(one).collect()
}
