//! Memory engine
/// Keys in memory.
#[derive(Debug, Default)]
pub struct MemoryEngine {}
/// Bytes in memory.
#[derive(Debug, Default)]
pub struct MemoryBlobs {}
