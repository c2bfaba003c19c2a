//! Programs that run below us: those of apps, commands and jobs.
//!
//! - [`Program`]: what is run, and how it is found (`birth`: the process it becomes; `exec`: the last step);
//! - [`Child`]: one that runs, until its whole process group is gone;
//! - [`sandbox`]: what the unit's may keep from us;
//! - `streams`: where its output goes and its input comes from; `output`, `lines`: what is logged of it.

mod birth;
mod child;
mod exec;
mod group;
mod lines;
mod output;
mod owner;
mod program;
mod roster;
pub mod sandbox;
mod streams;

pub use child::{Child, Ended, Started, WITHIN};
pub use output::LONGEST_REST;
pub use owner::Owner;
pub use program::{Program, StartError};
pub use roster::{Entry, Roster, Seen};
pub use streams::{Line, Source, Stdin, Streams, Way};
