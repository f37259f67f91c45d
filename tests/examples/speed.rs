//! What each endpoint of the HTTP API costs in a company and in one with a tenth of it, side by side in one run: the size
//! of the answer, DynamoDB's read and write units, requests to the table, and time.
//!
//! ```text
//! cargo run --profile optimised -p dutykey-tests --example speed
//! cargo run --profile optimised -p dutykey-tests --example speed -- 1000 100 10000
//! ```
//!
//! The numbers are the people, the rotations and the holds of the larger company. The API is the real one, over the
//! embedded table; time is for comparing the two companies with each other. It fails where an endpoint costs more in the
//! larger company although it answers no more.

#[path = "../tests/speed/compare.rs"]
mod compare;
#[path = "../tests/speed/lines.rs"]
mod lines;
#[path = "../tests/speed/meter.rs"]
mod meter;

use std::env::args;

use dutykey_tests::crowd::Size;

use compare::{Plan, compare};
use lines::Failed;

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Failed> {
    let numbers: Vec<u32> = args().skip(1).map(|number| number.parse()).collect::<Result<_, _>>()?;
    let size = match numbers[..] {
        [] => Size { people: 10_000, rotations: 1_000, holds: 100_000 },
        [people, rotations, holds] => Size { people, rotations, holds },
        _ => return Err("give the numbers of people, rotations and holds, or none".into()),
    };
    let Size { people, rotations, holds } = size;
    println!("{people} people, {rotations} rotations and {holds} holds, after a tenth of them");
    let compared = compare(Plan { size, samples: 15 }).await?;
    print!("{compared}");
    let right = compared.complaints.is_empty() && compared.mended.is_empty();
    if right { Ok(()) } else { Err("the lists of what grows are wrong".into()) }
}
