//! Capabilities: all of them, gone from every set.

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
};

use crate::ConfineError;

/// The one that is needed to change the bounding set; it goes last (linux/capability.h).
const SETPCAP: u32 = 8;
/// A set has 64 bits; the kernel refuses those it does not know.
const CAPABILITIES: u32 = 64;

/// Takes every capability out of the bounding set, so that no program started from here could have one. Who may not do it
/// has none to give on.
pub(crate) fn empty_bounding_set() -> Result<(), ConfineError> {
    for number in (0..CAPABILITIES).filter(|number| *number != SETPCAP).chain([SETPCAP]) {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            Ok(()) | Err(Errno::INVAL | Errno::PERM) => {}
            Err(error) => return Err(refused("the bounding set of capabilities", error)),
        }
    }
    Ok(())
}

/// Empties the other sets.
pub(crate) fn give_up() -> Result<(), ConfineError> {
    match clear_ambient_capability_set() {
        // A kernel before 4.3 has no such set.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(error) => return Err(refused("ambient capabilities", error)),
    }
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    set_capabilities(None, sets).map_err(|error| refused("capabilities", error))
}

fn refused(what: &'static str, error: Errno) -> ConfineError {
    ConfineError::Refused { what, error: error.into() }
}
