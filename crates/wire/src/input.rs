//! The octets a connection has received and not yet used: filled at the back, consumed at the front. It knows nothing
//! of what they mean.

/// A queue of octets that gives its memory back whenever it is empty.
#[derive(Debug, Default)]
pub struct Input {
    octets: Vec<u8>,
    /// How many of `octets` are consumed already; less than their number, or both are zero.
    start: usize,
}

impl Input {
    /// An empty queue; it holds no memory.
    pub const fn new() -> Self {
        Self { octets: Vec::new(), start: 0 }
    }

    /// What is there to be consumed.
    pub fn as_slice(&self) -> &[u8] {
        self.octets.get(self.start..).unwrap_or_default()
    }

    /// How many octets are there.
    pub fn len(&self) -> usize {
        self.octets.len() - self.start
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Adds octets at the back.
    pub fn push(&mut self, octets: &[u8]) {
        self.space(octets.len()).extend_from_slice(octets);
    }

    /// The vector to append received octets to, with room for `additional` of them. What is in it already must be left
    /// alone; it is the form that `read_buf` and its kin want.
    pub fn space(&mut self, additional: usize) -> &mut Vec<u8> {
        if self.start > 0 && self.octets.capacity() - self.octets.len() < additional {
            self.octets.drain(..self.start);
            self.start = 0;
        }
        self.octets.reserve(additional);
        &mut self.octets
    }

    /// Removes up to `count` octets from the front.
    pub fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count);
        if self.start >= self.octets.len() {
            self.clear();
        }
    }

    /// Forgets everything, as STARTTLS asks for (RFC 9051 §6.2.1), and gives the memory back.
    pub fn clear(&mut self) {
        *self = Self::new();
    }

    /// Takes up to `count` octets from the front. When that is everything, the buffer itself is handed over.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        let whole = self.start == 0 && self.octets.len() <= count;
        if whole && self.octets.capacity() <= 2 * self.octets.len() {
            return std::mem::take(&mut self.octets);
        }
        let slice = self.as_slice();
        let taken = slice.get(..count).unwrap_or(slice).to_vec();
        self.consume(count);
        taken
    }

    /// Gives back room that is not needed while a connection waits in the middle of a command.
    pub fn shrink(&mut self) {
        self.octets.drain(..self.start);
        self.start = 0;
        self.octets.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_queue_and_holds_nothing_when_empty() {
        let mut input = Input::new();
        input.push(b"abc");
        input.push(b"def");
        input.consume(2);
        assert_eq!((input.as_slice(), input.len()), (&b"cdef"[..], 4));
        assert_eq!(input.take(3), b"cde");
        input.push(b"gh");
        assert_eq!(input.as_slice(), b"fgh");
        input.consume(9);
        assert!(input.is_empty());
        assert_eq!(input.octets.capacity(), 0);
    }

    #[test]
    fn hands_its_buffer_over_when_all_is_taken() {
        let mut input = Input::new();
        input.push(&[7; 5000]);
        let place = input.as_slice().as_ptr();
        let taken = input.take(5000);
        assert_eq!((taken.as_ptr(), taken.len()), (place, 5000));
        assert!(input.is_empty());
    }

    #[test]
    fn room_is_made_at_the_front_before_memory_is_taken() {
        let mut input = Input::new();
        input.push(&[1; 4000]);
        input.consume(3990);
        let before = input.octets.capacity();
        input.push(&[2; 3000]);
        assert_eq!(input.octets.capacity(), before);
        assert_eq!(input.len(), 3010);
        input.shrink();
        assert!(input.octets.capacity() < before);
    }
}
