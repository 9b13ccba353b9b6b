//! `stride man`: manual pages.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use stride_files::write_whole;

/// Write the manual pages, one for every command
///
/// man -l DIR/stride-generate.1 shows one; in a folder such as ~/.local/share/man/man1, man stride-generate does.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Folder that is there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Man {
    /// Writes the pages of the program `P`.
    pub(crate) fn run<P: CommandFactory>(self) -> anyhow::Result<()> {
        let mut program = P::command().disable_help_subcommand(true);
        program.build();
        let mut stdout = crate::terminal::stdout();
        let commands = program.get_subcommands().filter(|command| !command.is_hide_set());
        for page in std::iter::once(&program).chain(commands) {
            // `build` gives commands the name `stride-generate`.
            let name = page.get_display_name().unwrap_or_else(|| page.get_name());
            let path = self.out.join(format!("{name}.1"));
            let mut text = Vec::new();
            clap_mangen::Man::new(page.clone()).render(&mut text)?;
            write_whole(&path, &text)?;
            writeln!(stdout, "{}", path.display())?;
        }
        Ok(())
    }
}
