//! `stride doctor`: what this program and this machine can compute on.

mod cards;
mod check;
mod machine;

use std::io::Write as _;

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use stride_kernels::device::DeviceName;

use crate::compute::present_device;
use machine::Machine;

/// Show what this program and this machine can compute on
///
/// Lists the processor, its memory, the graphics adapters under the numbers that --device takes, which of them
/// --device auto takes, and what is missing with what to do about it.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Compute every network, objective, a picture and short training runs on this device and on the processor, and
    /// compare them: seconds on a GPU, minutes on a driver that imitates one
    #[arg(long, value_name = "DEVICE", value_parser = present_device)]
    check: Option<DeviceName>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Looks, and compares if asked to.
    pub(crate) fn run(self) -> Result<()> {
        let Some(device) = self.check else {
            let machine = Machine::look();
            return self.print(&machine, || machine.to_text());
        };
        let report = check::check(device)?;
        self.print(&report, || report.to_text())?;
        if !report.passed {
            bail!("{device} does not compute what the processor computes");
        }
        Ok(())
    }

    fn print<T: Serialize>(&self, report: &T, text: impl FnOnce() -> String) -> Result<()> {
        let mut stdout = crate::terminal::stdout();
        if self.json {
            writeln!(stdout, "{}", serde_json::to_string(report)?)?;
        } else {
            write!(stdout, "{}", text())?;
        }
        Ok(())
    }
}
