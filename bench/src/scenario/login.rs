//! A connection that comes, logs in and goes, again and again.

use std::time::Instant;

use hdrhistogram::Histogram;

use super::Scenario;
use crate::Failure;
use crate::peer::account;
use crate::stage::{Stage, micros};

pub(super) const SCENARIOS: &[Scenario] = &[Scenario {
    name: "login",
    about: "connect, LOGIN, LOGOUT; one after the other and 50 at once",
    run: |stage| Box::pin(login(stage)),
}];

async fn login(stage: &mut Stage<'_>) -> Result<(), Failure> {
    for at_once in [1, stage.sizes.logins] {
        let variant = format!("{at_once} at once");
        if !stage.wants(&variant) {
            continue;
        }
        let door = stage.door()?;
        // Each account's first login is not like the others where password checks are remembered.
        for number in 0..at_once {
            stage.enter(number).await?.logout().await?;
        }
        let time = stage.sizes.time;
        let clients = (0..at_once).map(|number| {
            let door = door.clone();
            async move {
                let (begun, account, mut latency) = (Instant::now(), account(number), Histogram::new(3)?);
                while begun.elapsed() < time {
                    let begun = Instant::now();
                    door.enter(0, &account).await?.logout().await?;
                    latency.record(micros(begun))?;
                }
                Ok(latency)
            }
        });
        let row = stage.crowd(&variant, "logins", 1, clients).await?;
        stage.add(row);
    }
    Ok(())
}
