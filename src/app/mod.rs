//! Apps: backends that are started by a request, kept while they are used, and stopped when it is quiet.

pub mod child;
mod exec;
mod lines;
mod output;
pub mod program;
