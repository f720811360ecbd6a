//! Interleavings of writers that share a commit.
