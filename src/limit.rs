//! Every bound in one place: whatever grows has its limit here, and the error that names it.

use std::time::Duration;

/// Largest body of a push or pull segment. Slices are cut at key boundaries to stay below it, so
/// that control and acknowledgements overtake bulk between segments.
pub const SEGMENT_BYTES: usize = 256 * 1024;

/// Answers to dense pulls of fewer bytes are copied: that costs less than the copy of a whole extent
/// of the table, which an update may have to make while the answer is sent from it.
pub const PINNED_BYTES_MIN: usize = 16 * 1024;

/// Answers to pulls of fewer bytes travel with their reply: a place to land would cost more than the copy.
pub const LANDING_BYTES_MIN: usize = 4096;

/// Bytes that one worker keeps in use of memory that answers land in: answers on their way, values that
/// the program holds, and quarantine. Past it new answers travel with their replies.
pub const LANDING_BYTES: usize = 1 << 30;

/// Largest body of any frame: a segment plus the room that a filter or control message may add.
pub const FRAME_BODY_BYTES: usize = 1024 * 1024;

/// Declared dependencies of one frame.
pub const DEPENDENCIES: usize = 64;

/// Operations of one writer that may be without acknowledgement; past it the sender waits.
pub const WINDOW_TIMESTAMPS: usize = 1024;

/// Bytes of pushes that one worker keeps for a retry; past it the sender waits.
pub const WORKER_UNACKNOWLEDGED_BYTES: usize = 1 << 30;

/// Bytes that one shard holds for pulls that wait and pushes of an open step; past it new ones are refused `busy`.
pub const SHARD_WAITING_BYTES: usize = 1 << 30;

/// Largest gradient of the update functions, whose state is a sum of squares: 10^8 of them still fit an f32.
pub const GRADIENT: f64 = 1e15;

/// Largest number that may be pushed to an f32 or bf16 table that sums. A sum of such numbers stops
/// growing at 2^25 times it, where one more is less than half the last bit; that is less than half the last bit
/// of the largest f32, so neither the sum of a step nor the value behind it can become infinite.
pub const SUMMAND_F32: f64 = 1e23;

/// As [`SUMMAND_F32`], for f64 tables.
pub const SUMMAND_F64: f64 = 1e275;

/// Bytes of the name of a function on servers.
pub const FUNCTION_NAME_BYTES: usize = 32;

/// Functions of one kind that a server program may register.
pub const FUNCTIONS: usize = 1024;

/// Bytes of the arguments of a call.
pub const CALL_ARGUMENT_BYTES: usize = 64 * 1024;

/// Bytes of one shard's answer to a call.
pub const CALL_ANSWER_BYTES: usize = 256 * 1024;

/// Bytes that one shard keeps of answers to calls, until their writers have them for sure. Past it calls
/// are refused `busy`, but for each writer's oldest open operation.
pub const SHARD_ANSWER_BYTES: usize = 64 << 20;

/// Key lists shorter than this are always sent: their bytes are fewer than the trouble of a list.
pub const KEY_LIST_KEYS_MIN: usize = 16;

/// Bytes that one shard keeps of key lists, positions included, where its configuration says nothing else.
pub const SHARD_KEY_CACHE_BYTES: usize = 1 << 30;

/// Bytes that one worker keeps of what it believes the shards' key caches to hold.
pub const WORKER_KEY_DIGESTS_BYTES: usize = 64 << 20;

/// Bytes that one shard keeps of its answers to pulls, to tell later only what has changed, where its configuration
/// says nothing else.
pub const SHARD_SENT_BYTES: usize = 1 << 30;

/// Bytes that one worker keeps of answers to pulls, to which later ones are the changes.
pub const WORKER_PULLED_BYTES: usize = 1 << 30;

/// Bytes that one worker keeps, for each table, of what filters hold back and rounding cuts off; past it the
/// larger half is sent.
pub const WORKER_RESIDUAL_BYTES: usize = 4 << 30;

/// Keys and values of one push of what was kept so.
pub const RESIDUAL_PUSH_BYTES: u64 = 64 << 20;

/// Key ranges that pushes under way may cut out of one table's clock in one shard, over all writers: about
/// 8 MB. A writer's lowest open push is let in past it, so that what is cut out can merge again.
pub const CLOCK_RANGES: usize = 1 << 16;

/// Bytes of the clocks of all tables in one shard, in equal shares: one record a writer and owned range, and what
/// pushes under way add to it. A job whose writers alone need more is refused; past it a writer's lowest open push
/// is let in, and others are refused `busy`.
pub const SHARD_CLOCK_BYTES: usize = 256 << 20;

/// Units asked back of one worker whose answers it keeps, for questions that come again. The scheduler asks for one
/// at a time.
pub const RELEASES_KEPT: usize = 16;

/// Changes of one table's delay that some worker may not have heard; another waits until one is.
pub const DELAY_CHANGES: usize = 64;

/// Tables of one job.
pub const TABLES: usize = 256;

/// Nodes of one job.
pub const NODES: usize = 1 << 16;

/// Bytes of one line of a training file.
pub const DATA_LINE_BYTES: usize = 64 << 20;

/// Numbers per key.
pub const WIDTH: usize = 4096;

/// Connections that have not proved the job's secret yet, per listener.
pub const UNAUTHENTICATED_CONNECTIONS: usize = 64;

/// How long a connection may take to prove the job's secret.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes that one connection may have queued for sending before the sender is held back.
pub const SEND_QUEUE_BYTES: usize = 64 << 20;

/// How often a node tells the scheduler that it lives.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);

/// After this long without a sign a node counts as dead.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(8);

/// After this long without a sign a shard that carries out a task, such as writing its part of a
/// model, counts as dead: it does nothing else meanwhile.
pub const TASK_TIMEOUT: Duration = Duration::from_secs(600);

/// How long a lost control connection may take to come back before its node counts as dead.
pub const RECONNECT_GRACE: Duration = Duration::from_secs(3);

/// First pause between two attempts to connect; doubles up to [`RECONNECT_BACKOFF_MAX`].
pub const RECONNECT_BACKOFF_MIN: Duration = Duration::from_millis(2);

/// Longest pause between two attempts to connect.
pub const RECONNECT_BACKOFF_MAX: Duration = Duration::from_millis(500);

/// Shortest pause before a link that broke is set up again; doubles up to [`LINK_BACKOFF_MAX`].
pub const LINK_BACKOFF_MIN: Duration = Duration::from_millis(4);

/// Longest pause before a link that keeps breaking is set up again.
pub const LINK_BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Between two set-ups this far apart a link has worked: the next pause is the shortest again.
pub const LINK_PROVEN: Duration = Duration::from_secs(5);

/// A segment without an answer is sent again after this long.
pub const RETRY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause before a segment that was refused `busy` is sent again.
pub const BUSY_BACKOFF: Duration = Duration::from_millis(5);

/// How long a node looks for the scheduler, and the scheduler for its nodes, at the start.
pub const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a node goes on without a connection to the scheduler.
pub const SCHEDULER_GRACE: Duration = Duration::from_secs(5);

/// How long a worker process may take to start a node in the name of a lost one before another is asked.
pub const ADOPTION_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the scheduler waits for its nodes' goodbyes.
pub const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);
