//! Somebody who has departed is erased (R19).

use std::sync::Arc;

use dutykey_engine::erase::{EraseError, Erasures};

use super::Course;
use super::restore::Item;
use crate::world::platform::their_clock;

impl Course {
    /// An administrator erases somebody, where nothing comes first. From then on nothing in the table says who they were.
    pub(super) async fn erases(&self, number: usize) -> anyhow::Result<()> {
        let (world, office) = (self.world.clone(), self.office());
        let (Some(person), Some(by)) = (office.person(number).await, office.another(number).await) else {
            return Ok(());
        };
        let store = Arc::new(self.ledger.clone());
        let erasures = Erasures {
            ledger: store.clone(),
            people: store.clone(),
            emergencies: store.clone(),
            rota: store.clone(),
            rules: store,
            clock: their_clock(&world.clock),
        };
        match erasures.erase(&person, &by).await {
            Ok(()) => world.struck("somebody is erased"),
            Err(EraseError::Refused(first)) => {
                world.struck("an erasure is refused: something comes first");
                world.tell(|| format!("nobody is erased yet: {first}"));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        let now = world.now();
        if world.oracle().holds_something(number) {
            world.oracle().violated("P1", now, format!("{person} is erased, and has something of ours (R19)"));
        }
        let address = world.plan.people.get(number).map(|human| human.address.to_lowercase()).unwrap_or_default();
        let said = |item: &Item| format!("{item:?}").to_lowercase().contains(&address);
        for ((pk, sk), _) in self.items().await?.into_iter().filter(|(_, item)| said(item)) {
            world.oracle().violated("P9", now, format!("{person} is erased, and {pk} {sk} has their address (R19)"));
        }
        Ok(())
    }
}
