//! What a delay saves and what it costs: loss over time and the share of waiting for each delay, with one worker
//! four times slower than the others and with none.
//!
//! Runs the `parashard` beside this program once for each rule and each number of minibatches in each run, in turn:
//! the same rows in the same minibatches, one a unit of work, so that the rule alone differs. A fixed sleep for each
//! example stands for computing, since four workers have no four cores here; scheduler, servers, messages and
//! gradients are real. A point of a curve is a whole training: the seconds that it took, and the objective of the
//! model that it ended with, over all rows. The same waiting from the simulator stands beside (`straggler`).

mod minibatch;
#[path = "../../tests/sim/straggler.rs"]
mod straggler;
mod training;

use crate::machine::Machine;
use crate::options::Options;
use crate::pin::Placement;
use crate::report::{Chart, Curve, Plot, Report, Row};
use crate::sample::median;
use crate::trainer;
use anyhow::Result;
use clap::Args;
use minibatch::Minibatches;
use parashard::node::Consistency;
use std::path::PathBuf;
use training::{Job, Training};

/// Rules by their delay; none is eventual.
const DELAYS: [Option<u32>; 7] = [Some(0), Some(1), Some(2), Some(4), Some(8), Some(16), None];
const DELAYS_QUICK: [Option<u32>; 3] = [Some(0), Some(16), None];
/// How many times slower the slow worker is.
const SLOWNESS: u32 = 4;

/// Arguments of `consistency`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConsistencyArguments {
    #[command(flatten)]
    options: Options,
    /// Data to train on; by default the flights of the repository's tests, or else generated rows.
    #[arg(long, value_name = "FILE")]
    train: Option<PathBuf>,
    /// Microseconds of sleep for an example of a worker that is not slow.
    #[arg(long, value_name = "US", default_value_t = 20)]
    compute_us: u32,
}

/// Numbers of minibatches: of each point of a curve, and those at which rules are compared.
struct Budget {
    points: &'static [usize],
    /// What the rule without a delay has done when the others are looked at.
    half: usize,
    full: usize,
}

const BUDGET: Budget = Budget { points: &[20, 40, 60, 80, 120], half: 40, full: 80 };
const BUDGET_QUICK: Budget = Budget { points: &[4, 8], half: 4, full: 8 };

impl Budget {
    fn most(&self) -> usize {
        self.points.last().copied().unwrap_or(self.full)
    }
}

/// What the trainings by one rule gave.
struct Point {
    slowness: u32,
    delay: Option<u32>,
    /// One curve a run.
    curves: Vec<Vec<Training>>,
}

/// The figures of a rule: medians of the runs.
struct Figures {
    training_seconds: f64,
    waiting_share: f64,
    virtual_waiting_share: f64,
    /// The objective at the times when the rule without a delay has done half and all of its minibatches.
    objective_half: f64,
    objective_full: f64,
}

/// Trains by every rule and publishes the rows.
pub(crate) fn run(arguments: &ConsistencyArguments) -> Result<()> {
    let options = &arguments.options;
    let budget = options.amount(BUDGET, BUDGET_QUICK);
    let program = trainer::find()?;
    let folder = tempfile::tempdir()?;
    let data = Minibatches::cut(&program, arguments.train.as_deref(), options.quick, budget.most(), &folder)?;
    let job = Job { program: &program, data: &data, compute_us: arguments.compute_us, folder: folder.path() };
    let delays: &[Option<u32>] = if options.quick { &DELAYS_QUICK } else { &DELAYS };
    let each = [SLOWNESS, 1].into_iter().flat_map(|slowness| delays.iter().map(move |&delay| (slowness, delay)));
    let mut points: Vec<Point> = each.map(|(slowness, delay)| Point { slowness, delay, curves: Vec::new() }).collect();
    for _ in 0..options.runs {
        for point in &mut points {
            let train = |&count: &usize| job.train(point.slowness, &point.rule(), count);
            point.curves.push(budget.points.iter().map(train).collect::<Result<_>>()?);
        }
        // There and back, so that a machine that gets slower or faster meanwhile favours no rule.
        points.reverse();
    }
    if options.runs % 2 == 1 {
        points.reverse();
    }
    let figures: Vec<Figures> = points.iter().map(|point| point.figures(&points, &budget)).collect();
    let report = Report {
        title: format!(
            "consistency: 2 servers, 4 workers; a sleep of {} us an example stands for computing \
             ({} us of a slow worker)",
            job.compute_us,
            SLOWNESS * job.compute_us
        ),
        machine: Machine::look(&Placement::choose(None, true)?),
        median_name: "training",
        before: &["rule"],
        after: &["waiting_share", "virtual_waiting_share", "objective_half_time", "objective_full_time", "objective"],
        plot: Plot::Charts(charts(&points, &figures, &budget)),
        rows: points.iter().zip(&figures).map(|(point, figures)| point.row(figures, &budget)).collect(),
        notes: notes(&points, &figures, &data, &budget),
    };
    report.publish(options)
}

impl Point {
    fn rule(&self) -> String {
        self.delay.map_or("eventual".to_owned(), |delay| format!("bounded:{delay}"))
    }

    fn name(&self) -> &'static str {
        if self.slowness > 1 { "one_slow" } else { "none_slow" }
    }

    /// The training of so many minibatches in each run.
    fn trainings(&self, minibatches: usize) -> impl Iterator<Item = &Training> {
        self.curves.iter().filter_map(move |curve| curve.iter().find(|training| training.minibatches == minibatches))
    }

    fn median(&self, minibatches: usize, figure: impl Fn(&Training) -> f64) -> f64 {
        median(&self.trainings(minibatches).map(figure).collect::<Vec<_>>()).unwrap_or(f64::NAN)
    }

    fn figures(&self, all: &[Point], budget: &Budget) -> Figures {
        let base = all.iter().find(|point| point.slowness == self.slowness && point.delay == Some(0)).unwrap_or(self);
        // Within each run: the time of the one and the objective of the other.
        let objective = |minibatches: usize| {
            let times = base.trainings(minibatches).map(|training| training.seconds);
            let objectives = times.zip(&self.curves).map(|(time, curve)| training::objective_at(curve, time));
            median(&objectives.collect::<Vec<_>>()).unwrap_or(f64::NAN)
        };
        let rule = self.delay.map_or(Consistency::Eventual, |delay_max| Consistency::BoundedDelay { delay_max });
        Figures {
            training_seconds: self.median(budget.full, |training| training.seconds),
            waiting_share: self.median(budget.full, |training| training.waiting_share),
            virtual_waiting_share: straggler::run(rule, budget.full as u64, self.slowness).waiting_share(),
            objective_half: objective(budget.half),
            objective_full: objective(budget.full),
        }
    }

    /// Medians of seconds and objective at each number of minibatches.
    fn curve(&self) -> Vec<(usize, f64, f64)> {
        let counts = self.curves.first().into_iter().flatten().map(|training| training.minibatches);
        let point = |count| {
            (count, self.median(count, |training| training.seconds), self.median(count, |training| training.objective))
        };
        counts.map(point).collect()
    }

    fn row(&self, figures: &Figures, budget: &Budget) -> Row {
        let curve = self.curve();
        let mut row = Row::new(self.name(), budget.full as u64);
        (row.median, row.unit) = (Some(figures.training_seconds), "s");
        row.with("rule", self.rule())
            .with("delay", self.delay)
            .with("slowness", self.slowness)
            .with("workers", straggler::WORKERS)
            .with("waiting_share", figures.waiting_share)
            .with("virtual_waiting_share", figures.virtual_waiting_share)
            .with("objective_half_time", figures.objective_half)
            .with("objective_full_time", figures.objective_full)
            .with("objective", self.median(budget.full, |training| training.objective))
            .with("curve_minibatches", curve.iter().map(|point| point.0).collect::<Vec<_>>())
            .with("curve_seconds", curve.iter().map(|point| point.1).collect::<Vec<_>>())
            .with("curve_objective", curve.iter().map(|point| point.2).collect::<Vec<_>>())
    }
}

/// What was trained on, what the columns mean, and what came out.
fn notes(points: &[Point], figures: &[Figures], data: &Minibatches, budget: &Budget) -> Vec<String> {
    let mut notes = vec![
        format!(
            "data: {}, {} rows in minibatches of {}; objective: mean log loss of the model over all rows",
            data.name, data.rows, data.minibatch
        ),
        format!(
            "training: {} minibatches. waiting_share: waiting / (computing + waiting + sending), all workers",
            budget.full
        ),
        format!("half and full time: when bounded:0 has done {} and {} minibatches", budget.half, budget.full),
    ];
    for slowness in [SLOWNESS, 1] {
        let of: Vec<(&Point, &Figures)> =
            points.iter().zip(figures).filter(|(point, _)| point.slowness == slowness).collect();
        let find = |delay| of.iter().find(|(point, _)| point.delay == Some(delay));
        let best = of.iter().min_by(|(_, a), (_, b)| a.objective_full.total_cmp(&b.objective_full));
        if let (Some((_, none)), Some((_, long)), Some((best, least))) = (find(0), find(16), best) {
            notes.push(format!(
                "{}: waiting at delay 16 is {:.2} of that at 0 (virtual time: {:.2}); \
                 best after full time: {} with {:.5}, bounded:0 has {:.5}",
                best.name(),
                long.waiting_share / none.waiting_share,
                long.virtual_waiting_share / none.virtual_waiting_share,
                best.rule(),
                least.objective_full,
                none.objective_full
            ));
        }
    }
    notes
}

/// Loss over time and waiting by the delay, then the objective at equal times.
fn charts(points: &[Point], figures: &[Figures], budget: &Budget) -> Vec<Chart> {
    let of = |slowness| points.iter().filter(move |point| point.slowness == slowness);
    let loss = |slowness: u32, title: &str| Chart {
        title: title.to_owned(),
        x: "seconds of training".to_owned(),
        y: "mean log loss over the training rows".to_owned(),
        ticks: Vec::new(),
        curves: of(slowness)
            .enumerate()
            .map(|(colour, point)| Curve {
                label: point.rule(),
                colour,
                dashed: false,
                points: point.curve().into_iter().map(|(_, seconds, objective)| (seconds, objective)).collect(),
            })
            .collect(),
    };
    let ticks: Vec<String> =
        of(1).map(|point| point.delay.map_or("eventual".to_owned(), |delay| delay.to_string())).collect();
    let by_delay = |slowness: u32, label: &str, dashed: bool, figure: fn(&Figures) -> f64| {
        let own = points.iter().zip(figures).filter(|(point, _)| point.slowness == slowness);
        let points = own.enumerate().map(|(place, (_, figures))| (place as f64, figure(figures))).collect();
        Curve { label: label.to_owned(), colour: usize::from(slowness == 1), dashed, points }
    };
    let waiting = Chart {
        title: format!("waiting in {} minibatches, by the delay", budget.full),
        x: "delay".to_owned(),
        y: "share of waiting, all workers".to_owned(),
        ticks: ticks.clone(),
        curves: vec![
            by_delay(SLOWNESS, "one slow", false, |figures| figures.waiting_share),
            by_delay(SLOWNESS, "one slow, virtual time", true, |figures| figures.virtual_waiting_share),
            by_delay(1, "none slow", false, |figures| figures.waiting_share),
            by_delay(1, "none slow, virtual time", true, |figures| figures.virtual_waiting_share),
        ],
    };
    let equal = Chart {
        title: format!("when bounded:0 has done {} (half) and {} minibatches", budget.half, budget.full),
        x: "delay".to_owned(),
        y: "mean log loss over the training rows".to_owned(),
        ticks,
        curves: vec![
            by_delay(SLOWNESS, "one slow, full time", false, |figures| figures.objective_full),
            by_delay(SLOWNESS, "one slow, half time", true, |figures| figures.objective_half),
            by_delay(1, "none slow, full time", false, |figures| figures.objective_full),
            by_delay(1, "none slow, half time", true, |figures| figures.objective_half),
        ],
    };
    vec![loss(SLOWNESS, "one worker four times slower"), loss(1, "no worker slower"), waiting, equal]
}
