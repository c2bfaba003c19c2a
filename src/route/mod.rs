//! The router, on the bytes that came.
