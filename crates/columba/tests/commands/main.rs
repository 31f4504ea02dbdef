//! The built binary as people and scripts use it: on data directories of its own, alone and beside a server.

#![allow(clippy::unwrap_used)]

mod accounts;
mod check;
mod configuration;
mod confined;
mod harness;
mod help;
mod mail;
mod quickstart;
mod server;
mod stubs;
