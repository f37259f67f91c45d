//! The tests of the whole system, in one binary.

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod pagerduty_path;
