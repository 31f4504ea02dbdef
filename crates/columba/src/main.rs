//! The binary.
#![allow(dead_code)]
mod config;
mod formats;
fn main() {}
