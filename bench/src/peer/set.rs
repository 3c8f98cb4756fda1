//! All peers of one benchmark, measured in its runs.

use super::{Mpi, MpiKind, MpiPoint, Redis, RedisWork, Script};
use crate::pin::Placement;
use crate::timing::Series;
use anyhow::Result;
use std::time::{Duration, Instant};

/// How long a peer's point is repeated in a run.
const POINT_TIME: Duration = Duration::from_millis(100);
/// As above, with `--quick`.
const QUICK_POINT_TIME: Duration = Duration::from_millis(5);

/// What is asked of the peers.
pub(crate) struct PeerPlan {
    pub(crate) kind: MpiKind,
    /// Keys or bytes of an operation.
    pub(crate) sizes: Vec<u64>,
    /// What Redis is to do: the work, the keys of an operation, and how many of them travel together.
    pub(crate) redis: Vec<(RedisWork, Vec<u64>, usize)>,
    pub(crate) quick: bool,
}

/// Peers that are installed.
pub(crate) struct PeerSet {
    plan: PeerPlan,
    mpis: Vec<(Mpi, Vec<MpiPoint>)>,
    redis: Option<Redis>,
    scripts: Vec<(Script, Series)>,
    /// A line for each peer that is not there.
    pub(crate) missing: Vec<String>,
}

/// What one peer gave.
pub(crate) struct PeerPoint {
    pub(crate) name: String,
    pub(crate) size: u64,
    /// How many operations or commands travel together.
    pub(crate) depth: usize,
    pub(crate) series: Series,
}

impl PeerSet {
    pub(crate) fn start(plan: PeerPlan, placement: &Placement) -> Result<PeerSet> {
        let (mpis, mut missing) = Mpi::find_all();
        let redis = if plan.redis.is_empty() { None } else { Redis::start(placement)? };
        if redis.is_none() && !plan.redis.is_empty() {
            missing.push("skipped: redis-server is not installed; run bench/peers/install.sh".to_owned());
        }
        let script =
            |(work, keys, batch): &(RedisWork, Vec<u64>, usize)| (Script::new(*work, keys, *batch), Series::default());
        let scripts = plan.redis.iter().map(script).collect();
        let mpis = mpis.into_iter().map(|mpi| (mpi, Vec::new())).collect();
        Ok(PeerSet { plan, mpis, redis, scripts, missing })
    }

    /// One run of all peers. One that fails is left out from then on, and a line says why.
    pub(crate) fn run(&mut self, placement: &Placement) -> Result<()> {
        let time = if self.plan.quick { QUICK_POINT_TIME } else { POINT_TIME };
        let (plan, missing) = (&self.plan, &mut self.missing);
        self.mpis.retain_mut(|(mpi, points)| match mpi.run(plan.kind, &plan.sizes, time, placement, points) {
            Ok(()) => true,
            Err(error) => {
                missing.push(format!("skipped: {}: {error:#}", mpi.name));
                false
            }
        });
        if let Some(redis) = &mut self.redis {
            for (script, series) in &mut self.scripts {
                redis.run(script)?;
                let begin = Instant::now();
                redis.run(script)?;
                // As many rounds as fill the time, by what the first took.
                let once = begin.elapsed().max(Duration::from_micros(1));
                let rounds = (time.as_nanos() / once.as_nanos()).clamp(1, 10_000);
                series.trips(usize::try_from(rounds)?, || redis.run(script))?;
            }
        }
        Ok(())
    }

    /// What they gave, in the order of the peers.
    pub(crate) fn points(self) -> Vec<PeerPoint> {
        let of_mpi = self.mpis.into_iter().flat_map(|(mpi, points)| {
            points.into_iter().map(move |MpiPoint { operation, size, series }| PeerPoint {
                name: format!("{}_{operation}", mpi.name),
                size,
                depth: 1,
                series,
            })
        });
        let of_redis = self.plan.redis.into_iter().zip(self.scripts).map(|((work, keys, batch), (_, series))| {
            PeerPoint { name: work.name().to_owned(), size: keys.len() as u64, depth: batch.min(keys.len()), series }
        });
        of_mpi.chain(of_redis).filter(|point| !point.series.is_empty()).collect()
    }
}
