//! The store beside a model that keeps jobs in a list and looks through all of them each time.
