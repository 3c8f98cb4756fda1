//! Round trips of the whole chain.
