//! A shard and a worker that are driven by hand, on one thread, over a real connection.

use crate::job::Job;
use parashard::id::{Incarnation, NodeId, TableId};
use parashard::keyspace::KeyRange;
use parashard::memory::{Pool, TxBuf, take_copied_bytes};
use parashard::node::{
    Driver, Keys, LinkKind, Request, TableSpec, TransportChoice, WorkerDriver, WorkerEvent, now, open_worker, random,
};
use parashard::protocol::Identity;
use parashard::protocol::server::{Server, ServerEvent};
use parashard::transport::fabric::FabricTransport;
use parashard::transport::tcp::TcpConfig;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What an exchange may take.
const PATIENCE: Duration = Duration::from_secs(20);
const SHARD: NodeId = NodeId::server(0, 0);

pub(crate) struct Pair {
    pub(crate) server: Driver<Server, FabricTransport>,
    pub(crate) worker: WorkerDriver,
    /// Ends when the others do.
    _job: Job,
}

/// Bytes that the two have copied.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    pub(crate) shard: u64,
    pub(crate) worker: u64,
}

impl Pair {
    /// Both have joined the job of one table, over TCP.
    pub(crate) fn start(spec: TableSpec) -> Pair {
        Pair::linked(spec, TransportChoice::Tcp, LinkKind::Tcp)
    }

    /// Both have joined the job of one table, and their link is of this kind.
    pub(crate) fn linked(spec: TableSpec, choice: TransportChoice, kind: LinkKind) -> Pair {
        let job = Job::scheduler(vec![spec], choice);
        let pool = Pool::unbounded();
        let worker = open_worker(&job.config, 0, &pool).expect("opens");
        let mut pair = Pair { server: open_shard(&job), worker, _job: job };
        let (mut shard_is_there, mut worker_is_there) = (false, false);
        pair.drive(|pair| {
            shard_is_there |= matches!(pair.server.poll_event(), Some(ServerEvent::Welcome));
            worker_is_there |= matches!(pair.worker.poll_event(), Some(WorkerEvent::Welcome));
            let is_linked = pair.server.transport().link_kind(NodeId::worker(0)) == Some(kind)
                && pair.worker.transport().link_kind(SHARD) == Some(kind);
            shard_is_there && worker_is_there && is_linked
        });
        pair
    }

    /// Lets both make progress until `is_over`.
    pub(crate) fn drive(&mut self, mut is_over: impl FnMut(&mut Pair) -> bool) -> Copied {
        let deadline = Instant::now() + PATIENCE;
        let mut copied = Copied { shard: 0, worker: take_copied_bytes() };
        while !is_over(self) {
            assert!(Instant::now() < deadline, "nothing comes of it");
            self.server.poll(now());
            copied.shard += take_copied_bytes();
            self.worker.poll(now());
            copied.worker += take_copied_bytes();
        }
        copied
    }

    /// Pushes, and waits for the acknowledgement.
    pub(crate) fn push(&mut self, range: KeyRange, keys: Option<&Keys>, values: TxBuf) -> Copied {
        let request = Request { table: TableId(0), range, keys: keys.cloned(), after: &[], ..Request::default() };
        let _ = take_copied_bytes();
        let push = self.worker.machine_mut().push(now(), &request, values).expect("fits");
        self.worker.flush(now());
        let copied = self.drive(|pair| pair.worker.machine().is_done(push));
        self.worker.machine_mut().take_pushed(push).expect("applied");
        copied
    }

    /// Pulls, and looks at the values.
    pub(crate) fn pull(&mut self, range: KeyRange, keys: Option<&Keys>, look: impl FnOnce(&[f32])) -> Copied {
        let request = Request { table: TableId(0), range, keys: keys.cloned(), after: &[], ..Request::default() };
        let _ = take_copied_bytes();
        let pull = self.worker.machine_mut().pull(now(), &request).expect("fits");
        self.worker.flush(now());
        let copied = self.drive(|pair| pair.worker.machine().is_done(pull));
        look(self.worker.machine_mut().take_pulled(pull).expect("answered").typed());
        copied
    }
}

fn open_shard(job: &Job) -> Driver<Server, FabricTransport> {
    let pool = Pool::unbounded();
    let identity = Identity::new(SHARD, job.config.job, Incarnation(5));
    let config = TcpConfig {
        node: SHARD,
        incarnation: identity.incarnation,
        job: identity.job,
        generation: identity.generation,
        secret: job.config.secret.clone(),
        listen: Some(job.config.listen.clone()),
        pool: Arc::clone(&pool),
        random: Box::new(|| random().expect("random bytes")),
        spin: Duration::ZERO,
    };
    let transport = FabricTransport::open(config, &job.config.links).expect("loopback");
    let address = transport.local_address().expect("listens");
    let server = Server::new(now(), identity, address, "here".to_owned(), &job.config.scheduler, pool);
    Driver::new(server, transport)
}
