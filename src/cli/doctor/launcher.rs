//! What started this process: Slurm or MPI, told by their variables, and what it may open.

use super::report::Finding;
use rustix::process::{Resource, getrlimit};
use serde_json::json;

/// With fewer files a job of a few nodes runs out.
const OPEN_FILES_MIN: u64 = 1024;

/// Launchers of MPI by the variables in which they tell rank and size.
const MPI: [(&str, &str, &str); 4] = [
    ("Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("MVAPICH", "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"),
    ("MPICH or Intel MPI", "PMI_RANK", "PMI_SIZE"),
    ("PMIx", "PMIX_RANK", "PMIX_SIZE"),
];

pub(super) fn findings() -> Vec<Finding> {
    let variable = |name: &str| std::env::var(name).ok();
    let limit = getrlimit(Resource::Nofile);
    vec![slurm(variable), mpi(variable), open_files(limit.current, limit.maximum)]
}

fn slurm(variable: impl Fn(&str) -> Option<String>) -> Finding {
    let Some(job) = variable("SLURM_JOB_ID") else { return Finding::ok("Slurm", "not in a job of it") };
    let told = |name: &str| variable(name).unwrap_or_else(|| "?".to_owned());
    let text = format!(
        "job {job}, task {} of {} on {} nodes",
        told("SLURM_PROCID"),
        told("SLURM_NTASKS"),
        told("SLURM_JOB_NUM_NODES")
    );
    Finding::ok("Slurm", text).with(json!({ "job": job, "nodes": variable("SLURM_JOB_NODELIST") }))
}

fn mpi(variable: impl Fn(&str) -> Option<String>) -> Finding {
    let found = MPI.iter().find_map(|(name, rank, size)| Some((name, variable(rank)?, variable(size))));
    match found {
        Some((name, rank, size)) => {
            let size = size.unwrap_or_else(|| "?".to_owned());
            Finding::ok("MPI", format!("rank {rank} of {size}, started by {name}")).with(json!({ "launcher": name }))
        }
        None => Finding::ok("MPI", "not started by it"),
    }
}

fn open_files(soft: Option<u64>, hard: Option<u64>) -> Finding {
    const NAME: &str = "open files";
    let told = |limit: Option<u64>| limit.map_or_else(|| "no limit".to_owned(), |limit| limit.to_string());
    let text = format!("limit {}, at most {}", told(soft), told(hard));
    let data = json!({ "soft": soft, "hard": hard });
    if soft.is_some_and(|soft| soft < OPEN_FILES_MIN) {
        return Finding::warn(NAME, text, "ulimit -n 65536").with(data);
    }
    Finding::ok(NAME, text).with(data)
}

#[cfg(test)]
mod tests {
    use super::super::report::Mark;
    use super::*;

    fn text(finding: &Finding) -> String {
        format!("{finding:?}")
    }

    #[test]
    fn a_job_of_slurm_and_a_rank_of_mpi_are_told_by_their_variables() {
        let inside = |name: &str| match name {
            "SLURM_JOB_ID" => Some("77".to_owned()),
            "SLURM_PROCID" | "PMIX_RANK" => Some("3".to_owned()),
            "SLURM_NTASKS" | "PMIX_SIZE" => Some("8".to_owned()),
            _ => None,
        };
        assert!(text(&slurm(inside)).contains("job 77, task 3 of 8 on ? nodes"));
        assert!(text(&mpi(inside)).contains("rank 3 of 8, started by PMIx"));
        assert!(text(&slurm(|_| None)).contains("not in a job"));
        assert!(text(&mpi(|_| None)).contains("not started"));
    }

    #[test]
    fn too_few_open_files_are_a_warning() {
        assert_eq!(open_files(Some(256), Some(4096)).mark(), Mark::Warn);
        assert_eq!(open_files(Some(1024), None).mark(), Mark::Ok);
        assert_eq!(open_files(None, None).mark(), Mark::Ok);
    }
}
