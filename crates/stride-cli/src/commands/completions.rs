//! `stride completions`: what makes a shell complete commands and options.

use std::io::Write as _;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Print a script that makes a shell complete commands and options
///
/// bash: stride completions bash > ~/.local/share/bash-completion/completions/stride
///
/// zsh: stride completions zsh > a folder of $fpath, as _stride
///
/// fish: stride completions fish > ~/.config/fish/completions/stride.fish
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    /// Prints the script for the program `P`.
    pub(crate) fn run<P: CommandFactory>(self) -> anyhow::Result<()> {
        // Into memory first, since the library panics where it cannot write.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut P::command(), "stride", &mut script);
        Ok(crate::terminal::stdout().write_all(&script)?)
    }
}
