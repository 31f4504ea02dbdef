//! BODYSTRUCTURE printed, and BODY made from it.

/// BODY, the non-extensible form, from a BODYSTRUCTURE that this crate printed (RFC 9051 §7.5.2).
pub fn without_extensions(body_structure: &[u8]) -> Vec<u8> {
    body_structure.to_vec()
}
