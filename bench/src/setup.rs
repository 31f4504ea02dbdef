//! `bench setup`: runs `setup.sh`, which is part of this program, so that it can be run from anywhere.

use std::process::{Command, Stdio};

use clap::Args;

use crate::Failure;

const SCRIPT: &str = include_str!("../setup.sh");

#[derive(Args, Debug)]
pub(crate) struct Setup {
    /// Only tell what is there
    #[arg(long)]
    check: bool,
}

impl Setup {
    pub(crate) fn install(&self) -> Result<(), Failure> {
        // As an argument and not as its input, which what it runs might read.
        let status = Command::new("bash")
            .args(["-c", SCRIPT, "setup.sh"])
            .args(self.check.then_some("--check"))
            .stdin(Stdio::null())
            .status()?;
        if status.success() { Ok(()) } else { Err("not everything is there".into()) }
    }
}
