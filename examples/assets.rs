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
        if command.get_name() == "why" {
            page.extend_from_slice(WHY.as_bytes());
        }
    }
    page.extend_from_slice(END.as_bytes());
    Ok(page)
}

const DESCRIPTION: &str =
    "systemd holds the port. The first connection starts dormouse in milliseconds; it serves; when \
nothing is happening it exits, and the machine has its memory back.
";

/// What clap cannot know of `why`.
const WHY: &str = r#".PP
It asks the running dormouse by a socket in its runtime directory, which systemd knows nothing of: asking wakes nobody and
restarts no clock. Of one that sleeps it tells the last story. It needs root or the group dormouse. Without NAME it lists
every instance that has a folder in /run/dormouse or a config in /etc/dormouse, and one that this user started by hand
(in $XDG_RUNTIME_DIR/dormouse); if there is only one, all of it.
.PP
With \fB\-\-json\fR it prints the document of the one that was named, or, without NAME and \fB\-\-runtime\fR,
{"version": 1, "instances": [...]} with all of them. Lengths of time are in seconds. Members may be added; those
below keep their names. What a state does not have is missing or null.
.TP
version
1.
.TP
name, runtime, socket_unit
The instance, its runtime directory, and the unit that wakes it.
.TP
state
awake; asleep, stopped or killed, when it does not run; never, when it has not run since boot; silent, when it runs and
cannot be asked; forbidden, when this user may not ask; unknown, when nothing runs and what it left behind is damaged.
.TP
reason
Why it is silent or unknown.
.TP
pid, phase
Of the running process; starting, serving, closing or draining.
.TP
life
This life, or the last one: pid, began (seconds since 1970), woken_by, ready_in, awake_for, quiet_for, served (requests
that count), noise (those that do not), accepted (connections), datagrams and late_bytes (dropped), end (running, asleep,
stopped, overdue, cut, lost) and why.
.TP
history
The lives before, the newest first.
.TP
wakes
Since boot, this one included.
.TP
held_by
What its connections are doing: what (new connection, incomplete request, request, stream, upgraded connection, closing
connection), method, route, peer, socket, age, doing, and holds (yes, while\-active or no: whether it is waited for).
held_by_more is how many were left out.
.TP
other_holds
What else must end first: background work, a reload.
.TP
idle_connections
Those that are between requests. They hold nothing.
.TP
last_counted, asleep_in
Since the last request that counts ended; until it sleeps if nothing comes and nothing holds. null: none yet; never.
.TP
sleep, config
The settings in force (after, min_awake, grace, drain); file and problem.
"#;

const END: &str = r#".SH "EXIT STATUS"
0 all is well, 64 wrong usage, 69 it runs but cannot be asked (why), 70 a bug, 75 cut short by a second signal, 77 this
user may not ask (why), 78 a bad config.
.SH FILES
.TP
/etc/dormouse/dormouse.toml
What it serves, and when it sleeps: dormouse.toml(5). Instances dormouse@NAME read /etc/dormouse/NAME.toml.
.TP
/var/lib/dormouse
Its state: the last good config, among others.
.TP
/run/dormouse
A folder for each instance, kept over stops and gone at boot: carry.json, which has the number of wakes and the last
lives, and while it runs control.sock, which dormouse why asks. The group dormouse may read and ask.
.SH "SEE ALSO"
dormouse.toml(5), systemctl(1), journalctl(1), systemd.socket(5)
"#;
