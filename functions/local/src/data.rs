//! The table that a command works on: a data file, or a table in an AWS account.

use anyhow::Context as _;
use dutykey_embedded::Embedded;
use dutykey_engine::ports::clock::{Chance as _, Clock};
use dutykey_runtime::aws::Aws;
use dutykey_runtime::clock::SystemChance;
use dutykey_store::Store;

use crate::cli;

/// The name of the table in a data file.
pub(crate) const TABLE: &str = "dutykey";

/// The table, which must exist.
///
/// # Errors
/// The data file does not exist or cannot be used.
pub(crate) async fn open(data: &cli::Data) -> anyhow::Result<Store> {
    let path = data.data.display();
    open_if_there(data).await?.with_context(|| {
        format!("there is no data file {path}; `dutykey apply` or `dutykey serve` makes it, and --data names another")
    })
}

/// The table; `None` where its data file does not exist yet, or is empty.
///
/// # Errors
/// The data file cannot be used.
pub(crate) async fn open_if_there(data: &cli::Data) -> anyhow::Result<Option<Store>> {
    if let Some(table) = &data.table {
        return Ok(Some(Store::new(Aws::from_environment().await.dynamodb(), table)));
    }
    let path = data.data.display();
    match std::fs::metadata(&data.data) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        found => {
            if found.with_context(|| format!("the data file {path}"))?.len() == 0 {
                return Ok(None);
            }
        }
    }
    let store = Store::new(Embedded::open(&data.data)?.client(), TABLE);
    store.installation_id().await.with_context(|| format!("{path} is not a data file that Dutykey made"))?;
    Ok(Some(store))
}

/// The table. A data file is made where it does not exist yet; a table in an account is made by its deployment, and gets its
/// ID here.
///
/// # Errors
/// The data file cannot be made, or the table cannot be used.
pub(crate) async fn open_or_create(data: &cli::Data, clock: &dyn Clock) -> anyhow::Result<Store> {
    let random = SystemChance.bytes().iter().take(16).fold(0_u128, |number, byte| (number << 8) | u128::from(*byte));
    let millis = u64::try_from(clock.now().as_millisecond()).unwrap_or_default();
    let id = ulid::Ulid::from_parts(millis, random).to_string();
    if data.table.is_some() {
        let store = open(data).await?;
        store.give_id(&id).await?;
        return Ok(store);
    }
    let store = Store::new(Embedded::open(&data.data)?.client(), TABLE);
    store.create_table(&id).await?;
    Ok(store)
}
