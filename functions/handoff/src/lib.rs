//! The function of each minute: what is due, to the second.

use dutykey_engine::tick::{TickError, Ticked, Ticker};

/// One tick.
///
/// # Errors
/// The table or a queue cannot be used; the next tick finds what this one left.
pub async fn tick(ticker: &Ticker) -> Result<Ticked, TickError> {
    ticker.tick().await
}
