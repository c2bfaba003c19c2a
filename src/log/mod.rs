//! Logs: to the journal as structured fields, or to stderr for people; never in the way of a request.
