//! The guard chain: one chain, one order.
