//! Parashard: a parameter server for HPC clusters.
//!
//! Workers train one model that is too large, or too hot, for one machine. The model lives as ordered
//! (key, value) tables, cut into key ranges, in the memory of shard servers. It follows Li et al.,
//! *Scaling Distributed Machine Learning with the Parameter Server* (OSDI 2014).
//!
//! # Layers
//! Data goes one way; an arrow points at what is used; there are no circles. `tests/house_rules` checks it.
//! ```text
//! cli ──► learn ──► client ──► launch ──► node ──► protocol ──► store ──► simd
//!                      │                   │           │          ├─────► clock ──► keyspace
//!                      └───────────────────┤           ├─► filter └─────► wire ───► keyspace
//!                                          └─► transport ─► wire ─► memory
//! filter ──► simd, wire, memory, keyspace
//! everything ──► id, limit, error
//! ```
//! | module | what it does |
//! |---|---|
//! | [`id`] [`limit`] [`error`] | typed ids · every bound in one place · error kinds and exit codes |
//! | [`simd`] | kernels: scalar oracle, AVX2, AVX-512; the same bits on all |
//! | [`memory`] | buffers with an owner, slabs in huge pages on a memory node, mapped files |
//! | [`keyspace`] | key ranges, maps over them, the hash ring of virtual servers, the partition table |
//! | [`clock`] | what was applied, by key range and writer: a floor, the timestamps above it, the times that are ended |
//! | [`wire`] | the fixed header, borrowing views of a frame, control messages |
//! | [`filter`] | steps that shrink a message: rounding once per push, lossless ones at each send |
//! | [`store`] | tables as ordered arrays in chunks, update functions, the model file's bytes |
//! | [`protocol`] | the sans-io core: worker, server and scheduler as state machines |
//! | [`transport`] | fabrics behind one trait: tcp, and over it the fabric of links (memory of one host, verbs); sim |
//! | [`node`] | the driver: one state machine on one transport; configuration, clock, model files |
//! | [`launch`] | from an environment to the configuration of nodes; local processes, or threads of one |
//! | [`client`] | what a worker program calls: `Cluster`, `Table`, `Pending` |
//! | [`learn`] | data readers and learning algorithms, written on `client` alone |
//! | [`cli`] | one file per subcommand |
//!
//! # The way of a push
//! 1. `client::Table::push` takes the values over and asks the worker's state machine for a timestamp.
//!    Filters that change values (`protocol::worker::residual`) work on a copy, once.
//! 2. `protocol::worker` cuts the ordered keys by the partition into slices and by size into segments.
//!    A segment is a counted view of the caller's buffers; nothing is copied. It is kept until it is
//!    acknowledged, and sent again under the same name (writer, timestamp, sub-range) when a
//!    connection was lost or an answer is overdue.
//!    A key list that its shard holds becomes a digest, and the table's lossless filters shrink the
//!    rest, at each send anew (`protocol::worker::encode`).
//! 3. `transport` writes header and views in one vectored write. The receiver checks the header,
//!    reads the body straight into an aligned block of its pool and compares the checksum.
//! 4. `protocol::server` undoes the filters, exchanges a digest for its list or says `need keys`,
//!    checks epoch, ownership, keys and values before anything is applied, waits
//!    for declared dependencies, and claims the sub-ranges whose record lacks the name.
//! 5. A kept list has remembered positions (`store::Positions`): no key is searched for again until
//!    its chunk is rebuilt. `Eventual` and `BoundedDelay`: the update function runs now. `Sequential`: the frame is kept; when
//!    every writer has ended the time, all are accumulated in writer order and the update function runs once.
//! 6. The applied update passes the chain (without replicas: at once) and is acknowledged.
//!
//! # The way of a pull
//! The request carries the time below which every writer must have ended all times; the worker computes it
//! from its own time and the table's rule, or the pull's (`protocol::worker::demand`). A shard that is not so
//! far keeps it, accounted, and answers the moment it is. A delay may change while the job runs: the bound in
//! force is the largest that a living worker may still use (`protocol::scheduler::delay`). The answer is one gather into a block that the
//! transport sends; a large dense one is no copy but counted views of the table's extents, and the first
//! push that meets such a view copies that extent, once. Where the fabric writes into memory of peers,
//! the worker's request says where the values are to land; until the reply, and for ever if a late one
//! could still be written, nobody has a reference there. From a ring they are copied there once, by the worker's
//! end alone. Otherwise the worker copies each segment's
//! values to their place in the caller's block; an answer in one piece that no filter packed becomes that
//! block, and a packed one is unpacked there. The caller's block may be memory of the program itself.
//!
//! A table may declare that its answers are remembered: by the shard as the worker got them, by the worker too
//! (`protocol::server::sent`, `protocol::worker::pulled`). A question then names the last answer to the same key
//! list; the shard's filters say which keys may stay as they are there, and the exclusive or of both answers
//! travels, of which `nonzero` leaves the zeros out. Every answer has a number of its own, so that a lost, doubled or
//! forgotten one makes the next a whole one, and nothing else.
//!
//! # The way of a call
//! A call names a function of the server program and a range. Every shard that owns a part runs it there
//! once, block by block in the order of keys (`store::function`): it waits as a pull does, claims its name
//! as a push does, and its answer is kept until the writer has settled it, for a question that comes again.
//! Functions are registered before a server joins ([`node::Functions`]); their signatures are slices and
//! numbers, so that they can be said in C. Built-in sums are exact, whatever the number of shards.
//!
//! What an operation comes after is honoured by the shards where their clock can tell, for pushes and calls
//! of the same table. After a pull, which may be asked again when its answer was lost, or an operation on
//! another table, the worker holds it back itself (`protocol::worker::depend`).
//!
//! # The fabric: a connection and a link
//! Every pair of nodes has one authenticated TCP connection. Between servers and workers a *link* is set up
//! over it: a faster way for data frames, through memory of one process, of one host, or by verbs
//! (`transport::fabric`). Control stays on the connection: it is rare, it must get through while a link is
//! made, broken or full, and the end of a process shows there at once, which shared memory cannot show.
//! A link lives as long as its connection: a lost connection closes the link, a failing link cuts the
//! connection, and what was not answered is sent again under its name. So there is one way to recover.
//!
//! All links use the same ring (`transport::ring`): slots in memory of the receiver, a credit for each, and
//! an envelope in front of the header. Nodes of one host copy a frame into a slot and out of it, and ring
//! an eventfd only for a node that sleeps. What a peer can write is never referenced: header first, checked
//! as a copy, then the body. A peer that writes garbage loses the link.
//!
//! A node that answers reads nothing more from a peer that does not read its answers, so that the peer
//! cannot make it hold more than a limit. A node that asks always reads, or both could wait for ever.
//!
//! # The loss of a worker
//! A worker is a writer's slot, and the names of its operations tell their place in its work, not their moment:
//! each minibatch is a step that takes its names when it begins. The account of a finished unit says where the
//! writer's work goes on. With `--on-worker-loss continue` the scheduler asks the process of another worker to
//! run a second node in the lost one's name from there (`protocol::scheduler::adoption`); it does the units that
//! were open again, under the same names, and shards skip what they have: every minibatch counts once at every
//! shard. Under `Sequential` it then goes on as the lost one would have, and the model has the same bytes: shards
//! that have committed a step that others lack answer its pulls from before it (`protocol::server::past`).
//! Otherwise nobody waits for it, and new units go to the others. The losses in the summary are those of the run
//! that was accounted for, so the training loss may differ a little; filters that hold values back are refused.
//!
//! # A slow worker
//! When no unit is left for a worker that asks, the scheduler asks one that still holds some for the last of them:
//! all of it, or what it has not begun (`learn::straggler`, `protocol::scheduler::release`). The answer cuts the unit
//! at the scheduler at that moment, so every row is in one unit at every moment, whoever is lost; the rest is parted
//! among those that wait and the slow one. A worker answers while it waits for a pull, too: under `BoundedDelay` what
//! it waits for may be the times of the one that waits for its answer.
//!
//! # Code of the user
//! What a server program has registered may panic. The panic stops at the call (`store::function`): the caller of a
//! function gets an error and the job goes on; an update function ends the job in one line, for a push that is
//! applied in part cannot be taken back. The shard's rows are as they were, or as the function gave them back.
//!
//! # What is copied and allocated
//! Between the kernel's buffers and the store's columns payload is copied by `memory::copy_counted` and
//! its like alone, which the house rules see to: what one read brings together with the header before it
//! (at most a staging buffer; 2 KiB behind a large body), a key list that is kept, an extent that is
//! being sent when a push comes, the answers to pulls in several segments that do not land, and on the worker keys that stay the caller's and values that a filter changes.
//! In steady state no message allocates: blocks, their counters, queues and lists are used again.
//! `tests/allocation` counts both.
//!
//! # Rules that do not bend
//! * An acknowledged push is applied, and nothing is applied twice. Without replicas the loss of a
//!   server ends the job, and says so.
//! * Every key has exactly one owner in an epoch. Every decision about ownership carries the epoch.
//! * `Sequential` is a pure function of data, seed, number of writers, minibatch and flags: the model
//!   file has the same bytes whatever the number of servers and shards, the fabric and the instruction set.
//! * `protocol`, and what lies below it, makes no system call, reads no clock, draws no random number
//!   and depends on no hash order. Time and randomness are arguments.
//! * Everything that grows has a limit in [`limit`], and an error that names it.
//! * A bad frame, file or peer gets one clear error; the process and the other peers go on.
//! * Nobody joins without the job's secret, which is on no command line and in no log.
//! * `unsafe` stands in the kernels, `memory`, `transport` and the C ABI alone, each block with its reason.
//!
//! # Where this differs from the first design, and why
//! * The handshake is `transport::handshake`, not in `node`: a fabric lets nobody produce events who
//!   has not proved the secret, so it must drive the challenge itself. It is sans-io all the same.
//! * Control and data share one connection per pair of nodes; small frames overtake bulk between
//!   segments. The handshake names the channel, so that a second connection can be added.
//! * A hash ring has one virtual server per shard, at even distances, until servers join and leave:
//!   with hashed keys every shard then holds the same share, and a push is one slice a shard.
//! * Key lists are named by segment, not by slice: a segment is what is received, applied and refused
//!   as a whole, so one that needs its keys does not hold up the others.
//! * A shard answers with whether it keeps the request's list. A worker leaves keys out only of lists
//!   that were confirmed, and for a while not at all where its lists come round too late to be kept.
//! * The first minibatches are small and grow (`learn::config::minibatch_rows`): the first steps of
//!   FTRL are as long as its learning rate whatever the gradient, on every feature at once.

pub mod cli;
pub mod client;
pub mod clock;
pub mod error;
pub mod filter;
pub mod id;
pub mod keyspace;
pub mod launch;
pub mod learn;
pub mod limit;
pub mod memory;
pub mod node;
pub mod protocol;
pub mod simd;
pub mod store;
pub mod transport;
pub mod wire;
