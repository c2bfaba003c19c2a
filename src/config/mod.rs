//! The config file: TOML with positions in, one validated immutable site out, or every error at once.
