//! The public client API, as a program of another crate uses it. Scheduler and servers run in
//! threads of this process, over real connections.

use parashard::cli::Extensions;
use parashard::client::{Bf16, ClientError, Cluster, KeyList, NoWork, Shutdown};
use parashard::id::{JobId, NodeId, TableId};
use parashard::keyspace::KeyRange;
use parashard::node::{
    Adagrad, Cast, Consistency, DType, Filters, JobConfig, JobEnd, Layout, LinkKind, NodeConfig, SchedulerPlan,
    SchedulerProcess, Secret, TableSpec, UpdateFunction, run_server,
};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Scheduler and servers in threads.
pub(crate) struct Job {
    config: NodeConfig,
    scheduler: JoinHandle<JobEnd>,
    servers: Vec<JoinHandle<Shutdown>>,
}

const SHARDS: u8 = 2;

impl Job {
    pub(crate) fn start(tables: Vec<TableSpec>, servers: u32, workers: u32) -> Job {
        Job::start_with(tables, servers, workers, Extensions::default())
    }

    /// With functions and filters of the program's own.
    pub(crate) fn start_with(tables: Vec<TableSpec>, servers: u32, workers: u32, own: Extensions) -> Job {
        let mut config = NodeConfig {
            key_cache_bytes: 1 << 20,
            functions: own.functions,
            push_filters: own.push_filters,
            pull_filters: own.pull_filters,
            ..NodeConfig::local(JobId(0xc0ffee), Secret::from_hex(&"5a".repeat(32)).expect("a secret"))
        };
        let shards = (0..servers).flat_map(|rank| (0..SHARDS).map(move |shard| NodeId::server(rank, shard))).collect();
        let plan = SchedulerPlan {
            cast: Cast { shards, workers, replicas: 0 },
            job: JobConfig { tables, writers: workers, program: Vec::new(), survives_worker_loss: false },
            workload: Box::new(NoWork),
            load: None,
            save: None,
        };
        let process = SchedulerProcess::open(&config, plan).expect("opens");
        config.scheduler = process.address().to_owned();
        let scheduler = std::thread::spawn(move || process.run().expect("runs"));
        let serve = |rank| {
            let config = config.clone();
            std::thread::spawn(move || run_server(&config, rank, SHARDS).expect("serves"))
        };
        Job { servers: (0..servers).map(serve).collect(), config, scheduler }
    }

    /// Runs `work` as the only worker of a job that comes to nothing; gives its exit code and what `work` gave.
    pub(crate) fn end_of<T>(self, work: impl FnOnce(&NodeConfig) -> T) -> (u8, T) {
        let outcome = work(&self.config);
        let exit_code = self.scheduler.join().expect("no panic").shutdown.exit_code;
        self.servers.into_iter().for_each(|server| drop(server.join().expect("no panic")));
        (exit_code, outcome)
    }

    /// Runs `work` as each worker in a thread of its own, and the job to its end.
    pub(crate) fn run<T: Send>(self, workers: u32, work: impl Fn(&Cluster) -> T + Sync) -> Vec<T> {
        let outcomes = std::thread::scope(|scope| {
            let (config, work) = (&self.config, &work);
            let one = |rank| {
                scope.spawn(move || {
                    let cluster = Cluster::connect(config, rank).expect("joins");
                    let outcome = work(&cluster);
                    cluster.ask_unit();
                    assert_eq!(cluster.wait_unit().expect("an answer"), None);
                    assert_eq!(cluster.wait_end().expect("the end").exit_code, 0);
                    outcome
                })
            };
            let threads: Vec<_> = (0..workers).map(one).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!(self.scheduler.join().expect("no panic").shutdown.exit_code, 0);
        for server in self.servers {
            assert_eq!(server.join().expect("no panic").exit_code, 0);
        }
        outcomes
    }
}

pub(crate) fn table(index: u16, name: &str, dtype: DType) -> TableSpec {
    TableSpec {
        id: TableId(index),
        name: name.to_owned(),
        dtype,
        width: 1,
        key_end: 10_000,
        layout: Layout::Sparse,
        update: UpdateFunction::Sum,
        consistency: Consistency::Eventual,
        filters: Filters::default(),
    }
}

pub(crate) fn keys(step: u64) -> KeyList {
    KeyList::new((0..10_000).step_by(usize::try_from(step).expect("small")).collect()).expect("ascending")
}

#[test]
fn pushes_of_two_workers_add_up_in_every_type() {
    let tables = vec![
        table(0, "f32", DType::F32),
        TableSpec { width: 3, ..table(1, "f64", DType::F64) },
        table(2, "u32", DType::U32),
        TableSpec { update: UpdateFunction::Assign, ..table(3, "i64", DType::I64) },
    ];
    Job::start(tables, 2, 2).run(2, |cluster| {
        let keys = keys(7);
        let (narrow, wide) =
            (cluster.table::<f32>("f32").expect("a table"), cluster.table::<f64>("f64").expect("a table"));
        let (counts, marks) =
            (cluster.table::<u32>("u32").expect("a table"), cluster.table::<i64>("i64").expect("a table"));
        let first = narrow.push(&keys, vec![0.5f32; keys.len()]).expect("fits");
        // A pull after a push of one's own sees it.
        let seen = narrow.pull_after(&keys, &[first.timestamp()]).expect("fits").wait().expect("answered");
        assert!(seen.iter().all(|&value| value == 0.5 || value == 1.0), "{:?}", &seen[..3]);
        first.wait().expect("applied");
        let mut block = wide.values(3 * keys.len());
        block.iter_mut().enumerate().for_each(|(index, value)| *value = index as f64);
        wide.push(&keys, block).expect("fits").wait().expect("applied");
        counts.push(&keys, vec![u32::MAX / 2; keys.len()]).expect("fits").wait().expect("applied");
        let marked: Vec<i64> = keys.as_slice().iter().map(|&key| -(key as i64)).collect();
        marks.push(&keys, marked.clone()).expect("fits").wait().expect("applied");
        assert_eq!(*marks.pull(&keys).expect("fits").wait().expect("answered"), *marked);
        // Both workers have pushed when these sums are there.
        let deadline = Instant::now() + Duration::from_secs(20);
        while counts.pull(&keys).expect("fits").wait().expect("answered")[0] != u32::MAX - 1 {
            assert!(Instant::now() < deadline, "the other worker's push does not come");
        }
        let all = KeyList::new((0..100).collect()).expect("ascending");
        let values = wide.pull(&all).expect("fits").wait().expect("answered");
        assert_eq!((values[0], values[1], values[7 * 3 + 2], values[3]), (0.0, 2.0, 10.0, 0.0));
        assert!(cluster.statistics().bytes_pushed > 0);
    });
}

#[test]
fn a_bf16_table_learns_by_adagrad() {
    let update = UpdateFunction::Adagrad(Adagrad { rate: 0.5, epsilon: 1e-6 });
    let tables = vec![TableSpec { update, width: 2, ..table(0, "half", DType::Bf16) }];
    Job::start(tables, 2, 1).run(1, |cluster| {
        let table = cluster.table::<Bf16>("half").expect("a table");
        let keys = keys(7);
        let gradients = [3.0, 0.0].map(Bf16::from).repeat(keys.len());
        table.push(&keys, gradients).expect("fits").wait().expect("applied");
        let gradients = [4.0, -1.0].map(Bf16::from).repeat(keys.len());
        table.push(&keys, gradients).expect("fits").wait().expect("applied");
        let values = table.pull(&keys).expect("fits").wait().expect("answered");
        // -0.5 * (3 / 3 + 4 / 5) and 0.5, rounded to bf16 after each push.
        assert!(values.chunks(2).all(|row| row == [-0.9, 0.5].map(Bf16::from)), "{:?}", &values[..2]);
        let error = table.push(&keys, vec![Bf16::from(1e16); 2 * keys.len()]).map(drop).expect_err("too large");
        assert!(error.to_string().contains("beyond 1e15"), "{error}");
    });
}

#[test]
fn lists_slices_and_shared_keys_mean_the_same_and_travel_once() {
    let filters = "key_cache,pack_keys,nonzero,snappy".parse().expect("filters");
    let tables = vec![TableSpec { filters, ..table(0, "sums", DType::F32) }];
    Job::start(tables, 2, 1).run(1, |cluster| {
        let table = cluster.table::<f32>("sums").expect("a table");
        let list = keys(7);
        let shared = Arc::new(list.as_slice().to_vec());
        let ones = || vec![1.0f32; list.len()];
        table.push(&list, ones()).expect("fits").wait().expect("applied");
        let after_one = cluster.statistics();
        table.push_slice(list.as_slice(), ones()).expect("fits").wait().expect("applied");
        let again = KeyList::from_shared(Arc::clone(&shared)).expect("ascending");
        table.push(&again, ones()).expect("fits").wait().expect("applied");
        let values = table.pull_slice(&shared).expect("fits").wait().expect("answered");
        assert!(values.iter().all(|&value| value == 3.0), "{:?}", &values[..3]);
        let now = cluster.statistics();
        assert_eq!((now.lists_named - after_one.lists_named, now.lists_missed), (12, 0), "four shards, three requests");
        assert!(table.pull_slice(&[5, 5]).is_err(), "a slice is checked at each call");
    });
}

#[test]
fn dense_ranges_go_in_and_out_whole() {
    let dense = TableSpec { layout: Layout::Dense, width: 2, ..table(0, "dense", DType::F32) };
    Job::start(vec![dense], 2, 1).run(1, |cluster| {
        let table = cluster.table::<f32>("dense").expect("a table");
        let whole = KeyRange::new(0, 10_000);
        let numbers: Vec<f32> = (0..20_000u16).map(f32::from).collect();
        table.push_range(whole, numbers.clone()).expect("fits").wait().expect("applied");
        let part = KeyRange::new(2_500, 7_501);
        table.push_range(part, vec![1.0f32; 2 * 5_001]).expect("fits").wait().expect("applied");
        let got = table.pull_range(whole).expect("fits").wait().expect("answered");
        for (index, (got, sent)) in got.iter().zip(&numbers).enumerate() {
            let more = if (5_000..15_002).contains(&index) { 1.0 } else { 0.0 };
            assert_eq!(*got, sent + more, "number {index}");
        }
    });
}

#[test]
fn what_makes_no_sense_is_refused_and_the_worker_goes_on() {
    let tables = vec![table(0, "weights", DType::F32)];
    Job::start(tables, 1, 1).run(1, |cluster| {
        let table = cluster.table::<f32>("weights").expect("a table");
        let keys = KeyList::new(vec![3, 5]).expect("ascending");
        let error = table.push(&keys, vec![1.0f32, f32::NAN]).and_then(|push| push.wait()).expect_err("no number");
        assert!(error.to_string().contains("weights") && error.to_string().contains("NaN"), "{error}");
        let error = table.push(&keys, vec![1.0f32]).map(drop).expect_err("one value for two keys");
        assert!(error.to_string().contains("weights"), "{error}");
        let beyond = KeyList::new(vec![10_000]).expect("ascending");
        let error = table.pull(&beyond).map(drop).expect_err("beyond the table");
        assert!(error.to_string().contains("10000"), "{error}");
        assert!(matches!(cluster.table::<f64>("weights").map(drop), Err(ClientError::Type { .. })));
        assert!(matches!(cluster.table::<f32>("absent").map(drop), Err(ClientError::NoTable(_))));
        let error = table.push(&keys, vec![f32::INFINITY, 1.0f32]).map(drop).expect_err("no number");
        assert!(error.to_string().contains("infinite"), "{error}");
        table.push(&keys, vec![1.0f32, 2.0]).expect("fits").wait().expect("applied");
        let values = table.pull(&keys).expect("fits").wait().expect("answered");
        assert_eq!(*values, [1.0, 2.0], "nothing of a refused slice is applied");
    });
}

#[test]
fn workers_take_turns_under_sequential() {
    const ROUNDS: u64 = 20;
    let tables = vec![TableSpec { consistency: Consistency::Sequential, ..table(0, "counts", DType::I64) }];
    let seen = Job::start(tables, 2, 2).run(2, |cluster| {
        let table = cluster.table::<i64>("counts").expect("a table");
        let keys = keys(97);
        let mut seen = Vec::new();
        for _ in 0..ROUNDS {
            let values = table.pull(&keys).expect("fits").wait().expect("answered");
            assert!(values.iter().all(|value| *value == values[0]), "a part of a step is seen");
            seen.push(values[0]);
            drop(table.push(&keys, vec![1i64; keys.len()]).expect("fits"));
            table.tick().expect("goes on");
        }
        table.finish().expect("ends");
        cluster.settle().expect("acknowledged");
        seen
    });
    let expected: Vec<i64> = (0..ROUNDS as i64).map(|round| 2 * round).collect();
    assert_eq!(seen, [expected.clone(), expected]);
}

#[test]
fn one_thread_that_waits_does_not_keep_another_from_pushing() {
    let tables = vec![TableSpec { consistency: Consistency::Sequential, ..table(0, "counts", DType::I64) }];
    Job::start(tables, 1, 1).run(1, |cluster| {
        let table = cluster.table::<i64>("counts").expect("a table");
        let keys = keys(97);
        let (waits, begun) = mpsc::channel();
        std::thread::scope(|scope| {
            drop(table.push(&keys, vec![1i64; keys.len()]).expect("fits"));
            let (reader, keys) = (&table, &keys);
            // `settle` is through when the push is applied, which the end of its time allows.
            scope.spawn(move || {
                waits.send(()).expect("somebody listens");
                cluster.settle().expect("acknowledged");
            });
            begun.recv().expect("it begins");
            std::thread::sleep(Duration::from_millis(100));
            let begin = Instant::now();
            reader.tick().expect("goes on");
            for _ in 0..100 {
                reader.pull(keys).expect("fits").wait().expect("answered");
            }
            assert!(begin.elapsed() < Duration::from_secs(5), "took {:?}", begin.elapsed());
        });
        table.finish().expect("ends");
        cluster.settle().expect("acknowledged");
    });
}

#[test]
fn a_worker_that_computes_for_long_stays_in_the_job() {
    Job::start(vec![table(0, "weights", DType::F32)], 1, 1).run(1, |cluster| {
        let table = cluster.table::<f32>("weights").expect("a table");
        let keys = keys(7);
        drop(table.push(&keys, vec![1.0f32; keys.len()]).expect("fits"));
        // The background thread takes the acknowledgement meanwhile.
        std::thread::sleep(Duration::from_millis(1500));
        let begin = Instant::now();
        cluster.settle().expect("acknowledged");
        assert!(begin.elapsed() < Duration::from_millis(500), "took {:?}", begin.elapsed());
    });
}

#[test]
fn memory_of_the_program_is_pulled_into_and_pushed_from() {
    let dense = TableSpec { layout: Layout::Dense, ..table(0, "dense", DType::F32) };
    Job::start(vec![dense], 2, 1).run(1, |cluster| {
        let table = cluster.table::<f32>("dense").expect("a table");
        let whole = KeyRange::new(0, 10_000);
        let numbers: Vec<f32> = (0..10_000u16).map(f32::from).collect();
        let place = numbers.as_ptr();
        let mut memory = cluster.register(numbers);
        for _ in 0..2 {
            memory = table.push_range_from(whole, memory).expect("fits").wait().expect("applied");
        }
        memory.fill(0.0);
        let memory = table.pull_range_into(whole, memory).expect("fits").wait().expect("answered");
        assert_eq!((memory[3], memory[9_999]), (6.0, 19_998.0));
        let numbers = cluster.unregister(memory).expect("no device");
        assert_eq!((numbers.as_ptr(), numbers[4]), (place, 8.0));
        let error = table.pull_range_into(whole, cluster.register(vec![0.0; 9])).map(drop).expect_err("too short");
        assert!(error.to_string().contains("the memory 36"), "{error}");
    });
}

#[test]
fn a_scope_ends_when_its_memory_is_free_whatever_was_forgotten() {
    let dense = TableSpec { layout: Layout::Dense, ..table(0, "dense", DType::F32) };
    Job::start(vec![dense], 2, 1).run(1, |cluster| {
        let table = cluster.table::<f32>("dense").expect("a table");
        let whole = KeyRange::new(0, 10_000);
        let (mut target, mut source) = (vec![0.0f32; 10_000], vec![1.0f32; 10_000]);
        for round in 1..=5u8 {
            cluster.scope(|scope| {
                let (into, from) = (scope.register(&mut target), scope.register(&mut source));
                scope.push_range(&table, whole, &from).expect("fits").wait().expect("applied");
                scope.pull_range(&table, whole, &into).expect("fits").wait().expect("answered");
                let push = scope.push_range(&table, whole, &from).expect("fits");
                let pull = scope.pull_range(&table, whole, &into).expect("fits");
                assert!(matches!(scope.pull_range(&table, whole, &into), Err(ClientError::InUse)));
                std::mem::forget((push, pull, into, from));
            });
            let least = f32::from(round) * 2.0 - 1.0;
            assert!(target.iter().all(|&value| value == least || value == least + 1.0), "{:?}", &target[..3]);
        }
        let sums = table.pull_range(whole).expect("fits").wait().expect("answered");
        assert!(sums.iter().all(|&sum| sum == 10.0), "{:?}", &sums[..3]);
    });
}

#[test]
fn a_scope_does_not_wait_for_an_answer_that_must_wait() {
    let spec =
        TableSpec { layout: Layout::Dense, consistency: Consistency::Sequential, ..table(0, "dense", DType::F32) };
    let (tell, hear) = mpsc::channel();
    let hear = std::sync::Mutex::new(hear);
    Job::start(vec![spec], 1, 2).run(2, |cluster| {
        let table = cluster.table::<f32>("dense").expect("a table");
        let whole = KeyRange::new(0, 10_000);
        if cluster.rank() == 0 {
            // The question goes through a ring, as all questions of one process do once the ring stands.
            let begin = Instant::now();
            while cluster.statistics().links.iter().all(|(kind, _)| kind == LinkKind::Tcp) {
                table.pull_range(whole).expect("fits").wait().expect("answered");
                assert!(begin.elapsed() < Duration::from_secs(20), "no ring is made");
            }
            table.tick().expect("goes on");
            let mut target = vec![0.0f32; 10_000];
            cluster.scope(|scope| {
                let into = scope.register(&mut target);
                drop(scope.pull_range(&table, whole, &into).expect("fits"));
            });
            tell.send(()).expect("the other worker listens");
        } else {
            let told = hear.lock().expect("no panic").recv_timeout(Duration::from_secs(20));
            assert!(told.is_ok(), "the scope waits for the answer, which waits for this worker");
            table.tick().expect("goes on");
        }
        table.finish().expect("ends");
        cluster.settle().expect("acknowledged");
    });
}
