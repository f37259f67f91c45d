//! The tests of the whole system, in one binary.

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod infra;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod pagerduty_path;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod serve_kills;
#[cfg(test)]
mod speed;
#[cfg(test)]
mod switch;
