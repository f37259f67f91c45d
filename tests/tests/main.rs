//! The tests of the whole system, in one binary.

#[cfg(test)]
mod paths;
