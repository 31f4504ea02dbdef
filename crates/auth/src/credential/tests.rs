//! Fixed vectors, made by `doveadm pw -s SCHEME -p PASSWORD` of Dovecot 2.3 and 2.4.

#![allow(clippy::unwrap_used)]

use super::*;
