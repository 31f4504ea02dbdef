//! The binary.
#![allow(dead_code)]
mod admin;
mod config;
mod failure;
mod formats;
fn main() {}
