//! Who belongs to a job on this machine, and what every launcher does when one of them ends.

use crate::error::Failure;
use crate::id::{JobId, NodeId};
use crate::node::{LauncherWord, remove_draft};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// How long the others may stay after the scheduler has left, and the scheduler after a second signal.
pub(super) const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);

/// A process or thread of the job, by its role and rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Member {
    /// The one scheduler.
    Scheduler,
    /// A server with its rank.
    Server(u32),
    /// A worker with its rank.
    Worker(u32),
}

impl Member {
    /// Its nodes, where each server has so many shards.
    fn nodes(self, shards: u8) -> Vec<NodeId> {
        match self {
            Member::Scheduler => vec![NodeId::SCHEDULER],
            Member::Server(rank) => (0..shards).map(|shard| NodeId::server(rank, shard)).collect(),
            Member::Worker(rank) => vec![NodeId::worker(rank)],
        }
    }
}

/// What the scheduler is told of a member that has ended: why, if it has said so, and else how.
pub(super) fn end_words(member: Member, shards: u8, failure: Option<&Failure>, reason: &str) -> Vec<LauncherWord> {
    let word = |NodeId(node)| match failure {
        Some(Failure { exit_code, message }) => {
            LauncherWord::Failed { node, exit_code: *exit_code, message: message.clone() }
        }
        None => LauncherWord::Died { node, reason: reason.to_owned() },
    };
    member.nodes(shards).into_iter().map(word).collect()
}

/// Removes what a scheduler has left that ended while it wrote these files.
pub(super) fn remove_drafts(targets: &[PathBuf], job: JobId) {
    targets.iter().for_each(|target| remove_draft(target, job));
}

/// The line that says why the job fails, where no scheduler can say it.
pub(super) fn tell_error(message: &str) {
    // Whoever closed standard error does not want to know.
    let _ = writeln!(std::io::stderr(), "parashard: error: {message}");
}
