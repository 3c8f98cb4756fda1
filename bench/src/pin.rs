//! Which core each side runs on. A thread starts where the thread that started it runs, so a peer or
//! a program is started on the server's core and then stays there, and so do all its threads.

use anyhow::Result;
use parashard::error::{ExitCode, Failure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where client and server run, and where this process ran before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placement {
    all: CpuSet,
    cores: Option<(usize, usize)>,
}

impl Placement {
    /// The cores of `pin`, or the first two of this process; none with `no_pin` or a single core.
    ///
    /// # Errors
    /// When this process may not run on a core of `pin`.
    pub(crate) fn choose(pin: Option<(usize, usize)>, no_pin: bool) -> Result<Placement> {
        let all = sched_getaffinity(None)?;
        let mut allowed = (0..CpuSet::MAX_CPU).filter(|&core| all.is_set(core));
        let cores = match pin {
            _ if no_pin => None,
            Some((client, server)) => {
                if let Some(core) =
                    [client, server].into_iter().find(|&core| core >= CpuSet::MAX_CPU || !all.is_set(core))
                {
                    let message = format!("--pin: this process may not run on core {core}; see: taskset -pc $$");
                    return Err(Failure::new(ExitCode::Usage, message).into());
                }
                Some((client, server))
            }
            None => allowed.next().zip(allowed.next()),
        };
        Ok(Placement { all, cores })
    }

    pub(crate) fn cores(&self) -> Option<(usize, usize)> {
        self.cores
    }

    /// How many cores this process may use.
    pub(crate) fn count(&self) -> usize {
        (0..CpuSet::MAX_CPU).filter(|&core| self.all.is_set(core)).count()
    }

    /// Puts the calling thread on the client's core.
    pub(crate) fn on_client(&self) -> Result<()> {
        self.cores.map_or(Ok(()), |(client, _)| put_on(client))
    }

    /// Puts the calling thread on the server's core.
    pub(crate) fn on_server(&self) -> Result<()> {
        self.cores.map_or(Ok(()), |(_, server)| put_on(server))
    }

    /// Lets the calling thread run wherever the process may.
    pub(crate) fn on_all(&self) -> Result<()> {
        Ok(sched_setaffinity(None, &self.all)?)
    }

    /// Does `start` on the server's core, where what it starts stays, and comes back to the client's.
    pub(crate) fn start_on_server<T>(&self, start: impl FnOnce() -> Result<T>) -> Result<T> {
        self.on_server()?;
        let started = start();
        self.on_client()?;
        started
    }

    /// Does `start` on all cores, and comes back to the client's.
    pub(crate) fn start_on_all<T>(&self, start: impl FnOnce() -> Result<T>) -> Result<T> {
        self.on_all()?;
        let started = start();
        self.on_client()?;
        started
    }
}

fn put_on(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_that_is_not_there_is_an_error_of_usage() {
        let error = Placement::choose(Some((0, 1000)), false).expect_err("there is no such core");
        assert_eq!(error.downcast_ref::<Failure>().map(|failure| failure.exit_code), Some(2), "{error}");
        assert!(Placement::choose(None, true).expect("always possible").cores().is_none());
    }
}
