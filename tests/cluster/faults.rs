//! Three nodes, each a process of its own, over a real primary with two synchronous standbys, while faults happen to all of them.
//!
//! Clients write and look up on every node. Afterwards the log is read from its beginning: nothing that was acknowledged is missing,
//! nothing is there twice, and every node answers the same. Some faults in every test run; `DHAKIRA_FAULTS=120` for that many, of
//! all kinds in an order that `DHAKIRA_FAULTS_SEED` decides, and a table of how long writes took to come back.

mod kinds;
mod table;
mod world;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use self::kinds::Fault;
use self::table::Table;
use self::world::World;
use super::clients::{Service, check, check_nodes};
use super::lookups::{Lookups, prepare, wait_until_applied};
use crate::support::say;
use crate::upkeep::Dice;

const CLIENTS: u64 = 4;
/// Pause of a client after each step: the nodes are to be busy, not the machine.
const PAUSE: Duration = Duration::from_millis(20);
/// Time without faults after each of them.
const QUIET: Duration = Duration::from_millis(300);

/// The faults of a run.
struct Plan {
    faults: Vec<Fault>,
    /// How long one lasts at most.
    longest: Duration,
    seed: u64,
    dice: Dice,
}

impl Plan {
    fn of_environment() -> Self {
        let number = |name| std::env::var(name).ok().map(|it| it.parse::<u64>().unwrap());
        let seed = number("DHAKIRA_FAULTS_SEED").unwrap_or(26);
        let mut dice = Dice(seed);
        let Some(count) = number("DHAKIRA_FAULTS") else {
            let longest = Duration::from_secs(2);
            return Self { faults: Fault::QUICK.to_vec(), longest, seed, dice };
        };
        let count = usize::try_from(count).unwrap();
        let mut faults = Vec::new();
        while faults.len() < count {
            // All kinds equally often, in a new order each time.
            let mut kinds = Fault::ALL.to_vec();
            while !kinds.is_empty() {
                let place = usize::try_from(dice.below(kinds.len() as u64)).unwrap();
                faults.push(kinds.swap_remove(place));
            }
        }
        faults.truncate(count);
        say(&format!("{count} faults in the order of DHAKIRA_FAULTS_SEED={seed}"));
        Self { faults, longest: Duration::from_secs(8), seed, dice }
    }
}

/// Inflicts one fault after the other, until a client found something wrong.
fn inflict(
    world: &mut World,
    faults: &[Fault],
    clients: &[JoinHandle<()>],
    mut table: Table,
) -> Table {
    for (number, fault) in faults.iter().enumerate() {
        std::thread::sleep(QUIET);
        if clients.iter().any(JoinHandle::is_finished) {
            say("a client found a fault");
            break;
        }
        let begun = Instant::now();
        world.inflict(*fault);
        let healed = Instant::now();
        world.settle();
        let pause = world.service.history.longest_pause(begun, Instant::now());
        table.note(number, *fault, (pause, healed.elapsed()));
    }
    world.service.history.done.store(true, Ordering::Relaxed);
    table
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn three_programs_lose_and_double_nothing_whatever_happens_to_them_and_their_database() {
    let Plan { faults, longest, seed, dice } = Plan::of_environment();
    let start = tokio::task::spawn_blocking(move || World::start(longest, dice));
    let Some(mut world) = start.await.unwrap() else { return };
    let service: Arc<Service> = Arc::clone(&world.service);
    prepare(&service).await;
    let lookups: Arc<Lookups> = Arc::clone(&world.lookups);
    let watching = lookups.watch(&service);
    let clients = service.run_clients(CLIENTS, PAUSE);
    let inflicting = tokio::task::spawn_blocking(move || {
        let table = inflict(&mut world, &faults, &clients, Table::of(seed));
        (table, world, clients)
    });
    let (table, mut world, clients) = inflicting.await.unwrap();
    for client in clients {
        client.await.unwrap();
    }
    for watcher in watching {
        watcher.await.unwrap();
    }
    let settled = tokio::task::spawn_blocking(move || {
        world.settle();
        world.archive.finish();
        world
    });
    let world = settled.await.unwrap();
    check(&world.archive.records, &service.history);
    wait_until_applied(&service, world.archive.records.last().unwrap().sequence.0).await;
    check_nodes(&service).await;
    table.print(&service.history, &lookups);
    assert_eq!(lookups.failed(), 0, "lookups go on on every node that lives");
}
