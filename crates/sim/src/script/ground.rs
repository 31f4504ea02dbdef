//! Where a script is played: what a server under test has to offer, whether in this process or at an address.

use std::time::Duration;

use super::parse::{Outside, Peer};

/// A server under test. What it cannot do, it says with [`Refusal::Cannot`], and the script is passed over.
pub trait Ground {
    /// Does something that no connection of the script does. The octets of a message are given apart.
    ///
    /// # Errors
    /// In words.
    fn outside(&mut self, what: &Outside, octets: &[u8]) -> Result<(), Refusal>;

    /// Opens a connection.
    ///
    /// # Errors
    /// In words.
    fn connect(&mut self, peer: Peer) -> Result<Box<dyn Wire>, Refusal>;

    /// Lets time pass for everybody.
    ///
    /// # Errors
    /// In words.
    fn advance(&mut self, by: Duration) -> Result<(), Refusal>;

    /// After the last step, with all connections closed: everything has to be in order.
    ///
    /// # Errors
    /// What is not in order.
    fn finish(&mut self) -> Result<(), String>;
}

/// Why a ground did not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is not made for that.
    Cannot(&'static str),
    /// It went wrong.
    Failed(String),
}

impl<E: std::fmt::Display> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Failed(error.to_string())
    }
}

/// The client's end of a connection.
pub trait Wire {
    /// Sends octets; the server may read them at once or later.
    ///
    /// # Errors
    /// In words.
    fn send(&mut self, octets: &[u8]) -> Result<(), String>;

    /// What the server said. `wait`: something is expected, so [`Received::Idle`] is a failure, and an answer may
    /// take its time; else only what is there by now (in memory: all that will ever come by itself).
    fn receive(&mut self, wait: bool) -> Received;

    /// Closes the connection from the client's side.
    fn close(&mut self);

    /// Makes the server end this connection.
    ///
    /// # Errors
    /// Where that cannot be done.
    fn stop(&mut self, kicked: bool) -> Result<(), Refusal>;
}

/// What came of [`Wire::receive`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// These octets, never none.
    Octets(Vec<u8>),
    /// Nothing, and nothing will come until something else happens.
    Idle,
    /// Nothing, and the server has closed.
    Closed,
    /// The server neither answers nor waits for input.
    Stuck(String),
}
