//! expunge
