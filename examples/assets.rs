//! Writes what packages hold beside the program: `cargo run --example assets -- OUTDIR`.
//!
//! The manual pages dormouse(1) and dormouse.toml(5), completions for bash, zsh and fish, and the JSON schema of the
//! config, all from the same declarations that the program itself reads.

use std::io::Write;
use std::path::Path;
use std::{env, fs, io};

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use dormouse::{cli, config, schema};

fn main() -> io::Result<()> {
    let Some(directory) = env::args_os().nth(1) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "say where: assets OUTDIR"));
    };
    let directory = Path::new(&directory);
    fs::create_dir_all(directory)?;

    let mut command = cli::Arguments::command();
    command.build();
    fs::write(directory.join("dormouse.1"), command_page(&command)?)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut command, "dormouse", directory)?;
    }

    let document = config::schema();
    fs::write(directory.join("dormouse.toml.5"), schema::man::render(&document, env!("CARGO_PKG_VERSION")))?;
    fs::write(directory.join("dormouse.schema.json"), schema::json::render(&document))
}

/// dormouse(1): one page for all subcommands, where clap_mangen would refer to pages that do not exist.
fn command_page(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let whole = Man::new(command.clone());
    whole.render_title(&mut page)?;
    whole.render_name_section(&mut page)?;
    page.extend_from_slice(
        b".SH SYNOPSIS\n\\fBdormouse\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n.SH DESCRIPTION\n",
    );
    page.extend_from_slice(DESCRIPTION.as_bytes());
    for command in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        let part = Man::new(command.clone());
        writeln!(page, ".SH \"DORMOUSE {}\"", command.get_name().to_uppercase())?;
        let mut sections = Vec::new();
        part.render_synopsis_section(&mut sections)?;
        part.render_description_section(&mut sections)?;
        part.render_options_section(&mut sections)?;
        // What are sections of a page of its own are parts of this section.
        let sections = String::from_utf8_lossy(&sections).replace(".SH SYNOPSIS\n", ".PP\n");
        let sections = sections.replace(".SH DESCRIPTION\n", ".PP\n").replace(".SH OPTIONS\n", "");
        page.extend_from_slice(sections.as_bytes());
    }
    page.extend_from_slice(END.as_bytes());
    Ok(page)
}

const DESCRIPTION: &str =
    "systemd holds the port. The first connection starts dormouse in milliseconds; it serves; when \
nothing is happening it exits, and the machine has its memory back.
";

const END: &str = r#".SH "EXIT STATUS"
0 all is well, 64 wrong usage, 70 a bug, 75 cut short by a second signal, 78 a bad config.
.SH FILES
.TP
/etc/dormouse/dormouse.toml
What it serves, and when it sleeps: dormouse.toml(5). Instances dormouse@NAME read /etc/dormouse/NAME.toml.
.TP
/var/lib/dormouse
Its state: the last good config, among others.
.SH "SEE ALSO"
dormouse.toml(5), systemctl(1), journalctl(1), systemd.socket(5)
"#;
