//! One config at work: the way of a request from route to answer.
