//! Threads of one process can be lost as processes can: a worker whose thread panics leaves its work to another.

use super::client::table;
use parashard::client::{ClientError, Cluster, KeyList, Offer, Shutdown, Unit, Workload};
use parashard::error::{ExitCode, Failure};
use parashard::id::{JobId, NodeId, WriterId};
use parashard::launch::{InProcessJob, Roles, run_in_process};
use parashard::node::{
    Cast, Consistency, DType, JobConfig, NodeConfig, SchedulerPlan, SchedulerProcess, Secret, TableSpec,
};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const UNITS: u64 = 12;
const WORKERS: u32 = 2;
const KEYS: u64 = 50;

/// Units one after the other, two of them at least for worker 1, and when all are done, the unit that looks at the
/// sums. Who is lost gets no more.
#[derive(Default)]
struct Pool {
    given: u64,
    given_to_second: u64,
    done: u64,
    is_second_lost: bool,
}

impl Workload for Pool {
    fn next(&mut self, worker: WriterId) -> Offer {
        let is_second = worker.0 == 1;
        let kept = if is_second { 0 } else { 2 - self.given_to_second.min(2) };
        match self.given {
            _ if is_second && self.is_second_lost => return Offer::Finished,
            given if given > UNITS => return Offer::Finished,
            UNITS if self.done < UNITS => return Offer::Wait,
            given if given + kept >= UNITS && kept > 0 => return Offer::Wait,
            _ => {}
        }
        self.given += 1;
        self.given_to_second += u64::from(is_second);
        Offer::Unit(Unit { id: self.given - 1, payload: Vec::new() })
    }

    fn finished(&mut self, _: WriterId, _: u64, _: &[u8]) -> Result<(), Shutdown> {
        self.done += 1;
        Ok(())
    }

    fn progress(&mut self, _: WriterId, _: &[u8]) {}

    fn lost(&mut self, _: WriterId, _: &str, _: bool) {
        self.is_second_lost = true;
    }

    fn stop(&mut self) {}
}

static HAS_PANICKED: AtomicBool = AtomicBool::new(false);
static SUM: AtomicU64 = AtomicU64::new(0);

/// Adds one to every key for each unit. The first thread of worker 1 falls over its second unit, when all of it is
/// pushed and nothing said.
fn work(cluster: &Cluster, rank: u32) -> Result<(), ClientError> {
    let sums = cluster.table::<i64>("sums")?;
    let keys = KeyList::new((0..KEYS).collect())?;
    let mut count = 0;
    loop {
        cluster.ask_unit();
        let Some(Unit { id, .. }) = cluster.wait_unit()? else { return Ok(()) };
        if id == UNITS {
            let seen = sums.pull(&keys)?.wait()?;
            SUM.store(seen.iter().map(|&number| number.unsigned_abs()).sum(), Ordering::SeqCst);
        } else {
            let step = sums.begin_step();
            sums.pull_step(&step, &keys, 0)?.expect("the delay allows it").wait()?;
            sums.push_step(&step, &keys, vec![1i64; keys.len()])?.wait()?;
            count += 1;
            let falls = rank == 1 && count == 2 && !HAS_PANICKED.swap(true, Ordering::SeqCst);
            assert!(!falls, "a test panics here on purpose");
            sums.end_step(step)?;
            cluster.settle()?;
        }
        cluster.unit_done(id, Vec::new());
    }
}

/// The worker of a rank, and those that it adopts.
fn run_worker(config: &NodeConfig, rank: u32) -> Result<(), Failure> {
    let cluster = Cluster::connect(config, rank)?;
    let for_others = config.clone();
    cluster.on_adopt(move |rank| {
        let config = for_others.clone();
        // The job ends only when it is through.
        drop(std::thread::spawn(move || run_worker(&config, rank)));
    });
    work(&cluster, rank)?;
    cluster.wait_end()?;
    Ok(())
}

#[test]
fn a_worker_whose_thread_panics_leaves_its_work_to_another() {
    let config = NodeConfig::local(JobId(0xfa11), Secret::from_hex(&"5b".repeat(32)).expect("a secret"));
    let job = InProcessJob { config, servers: 1, shards: 2, workers: WORKERS, targets: Vec::new() };
    let scheduler = |config: &NodeConfig, listening: &parashard::launch::Listening| {
        let bounded = Consistency::BoundedDelay { delay_max: 3 };
        let spec = TableSpec { consistency: bounded, ..table(0, "sums", DType::I64) };
        let plan = SchedulerPlan {
            cast: Cast { shards: vec![NodeId::server(0, 0), NodeId::server(0, 1)], workers: WORKERS, replicas: 0 },
            job: JobConfig { tables: vec![spec], writers: WORKERS, program: Vec::new(), survives_worker_loss: true },
            workload: Box::new(Pool::default()),
            load: None,
            save: None,
        };
        let process = SchedulerProcess::open(config, plan)?;
        listening.tell(&process);
        Ok(process.run()?.shutdown.exit_code)
    };
    let roles = Roles { check: Box::new(|_| Ok(())), scheduler: Box::new(scheduler), worker: run_worker };
    let code = run_in_process(&job, roles).expect("runs to its end");
    assert_eq!(code, ExitCode::Done as u8);
    assert!(HAS_PANICKED.load(Ordering::SeqCst), "nobody was lost");
    assert_eq!(SUM.load(Ordering::SeqCst), UNITS * KEYS, "every unit counts once");
}
