//! What a table of the config may say, as data, and a typed reader of it that knows no TOML.
