//! What the machine gives without the product: measured in the same runs, on the same cores.
//!
//! * `triad`      memory bandwidth of one thread.
//! * `ping_pong`  round trips of plain sockets, waiting in the same way.
//! * `stream`     one plain TCP stream.
//! * `iperf3`     the same by iperf3, where it is installed.
//! * `ring`       copies through a ring between two threads.
//! * `perftest`   what an RDMA device gives, where there is one.
//! * `streams`    all of a way's, run by run.

mod iperf3;
mod perftest;
mod ping_pong;
mod ring;
mod stream;
mod streams;
mod triad;

pub(crate) use iperf3::Iperf3;
pub(crate) use perftest::Perftest;
pub(crate) use ping_pong::PingPong;
pub(crate) use ring::ring_gb_per_s;
pub(crate) use stream::stream_gb_per_s;
pub(crate) use streams::Streams;
pub(crate) use triad::triad_gb_per_s;

/// What stands in a limit's place for a job that runs already.
pub(crate) const NO_LIMIT: &str = "no limit: the job's network is not this machine's loopback";
