//! Trainings by several processes, here threads that exchange through channels.

mod failures;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use infomark_train::{
    Alone, Begin, CheckpointError, Exchange, ExchangeError, Paths, Progress, RunError, Summary, TrainConfig,
    TrainError, train, train_with,
};

use crate::common::{Outcome, paths, phantoms, small};
use crate::{bytes, go_on};

/// What a thread sends to, and receives from, each of them.
struct Channels {
    rank: usize,
    to: Vec<Mutex<Sender<Vec<u8>>>>,
    from: Vec<Mutex<Receiver<Vec<u8>>>>,
}

impl Channels {
    fn of(size: usize) -> Vec<Self> {
        let empty = |rank| Self { rank, to: Vec::new(), from: Vec::new() };
        let mut all: Vec<Self> = (0..size).map(empty).collect();
        for from in 0..size {
            for to in 0..size {
                let (sender, receiver) = channel();
                all[from].to.push(Mutex::new(sender));
                all[to].from.push(Mutex::new(receiver));
            }
        }
        all
    }
}

impl Exchange for Channels {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn all_gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, ExchangeError> {
        self.all_to_all(vec![bytes.to_vec(); self.size()])
    }

    fn all_to_all(&self, parts: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, ExchangeError> {
        // A thread that has ended is an error, not one that is waited for.
        let gone = |_| ExchangeError::new("a thread is gone");
        for (to, part) in self.to.iter().zip(parts) {
            to.lock().expect("a lock").send(part).map_err(|_| ExchangeError::new("a thread is gone"))?;
        }
        self.from.iter().map(|from| from.lock().expect("a lock").recv().map_err(gone)).collect()
    }
}

/// A call of an engine: which one it is of a rank, and its parts, which it may change.
type Meddle<'m> = dyn Fn(usize, &mut Vec<Vec<u8>>) -> Result<(), ExchangeError> + Sync + 'm;

/// An engine of which a test changes what arrives.
struct Meddled<'m> {
    engine: &'m dyn Exchange,
    calls: AtomicUsize,
    meddle: &'m Meddle<'m>,
}

impl Meddled<'_> {
    fn meddled(&self, mut parts: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, ExchangeError> {
        (self.meddle)(self.calls.fetch_add(1, Ordering::Relaxed), &mut parts)?;
        Ok(parts)
    }
}

impl Exchange for Meddled<'_> {
    fn rank(&self) -> usize {
        self.engine.rank()
    }

    fn size(&self) -> usize {
        self.engine.size()
    }

    fn all_gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, ExchangeError> {
        self.engine.all_gather(bytes).and_then(|parts| self.meddled(parts))
    }

    fn all_to_all(&self, parts: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, ExchangeError> {
        self.engine.all_to_all(parts).and_then(|parts| self.meddled(parts))
    }
}

/// Does what each of so many ranks does, on a thread of its own.
fn on_ranks<T: Send>(size: usize, work: impl Fn(&dyn Exchange) -> T + Sync) -> Vec<T> {
    let work = &work;
    std::thread::scope(|scope| {
        let ranks = Channels::of(size).into_iter().map(|rank| scope.spawn(move || work(&rank)));
        let ranks: Vec<_> = ranks.collect();
        ranks.into_iter().map(|rank| rank.join().expect("a rank does not panic")).collect()
    })
}

/// Five images a step: more than one for some ranks.
fn five(steps: u64) -> TrainConfig {
    small(steps).with(|o| {
        o.sampling.batch = 5;
        o.threads = 1;
    })
}

/// The results of ranks that train the same.
fn together(
    size: usize,
    begin: Begin,
    config: &TrainConfig,
    paths: &Paths,
) -> Vec<Result<Summary, TrainError>> {
    on_ranks(size, |rank| train_with(rank, begin, config, paths, &mut go_on))
}

fn all(results: Vec<Result<Summary, TrainError>>) -> Result<Vec<Summary>, TrainError> {
    results.into_iter().collect()
}

/// The columns of a log that do not depend on time.
fn losses(run: &Path) -> Result<Vec<Vec<String>>, std::io::Error> {
    let text = fs::read_to_string(run.join("log.csv"))?;
    let timeless = |line: &str| {
        let fields = line.split(',').enumerate().filter(|(column, _)| ![1, 9].contains(column));
        fields.map(|(_, field)| field.to_owned()).collect()
    };
    Ok(text.lines().map(timeless).collect())
}

#[test]
fn any_number_of_processes_gives_the_bits_of_one() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 7)?;
    let plain = paths(root.path(), "plain");
    let reference = train(&five(3), &plain, &mut go_on)?;
    for size in 1..=4 {
        let paths = paths(root.path(), &format!("by-{size}"));
        let summaries = all(together(size, Begin::New, &five(3), &paths))?;
        assert_eq!(bytes(&paths.out)?, bytes(&plain.out)?, "{size} processes");
        for summary in summaries {
            assert_eq!((summary.steps, summary.images), (3, 7));
            assert_eq!(summary.sha256, reference.sha256);
            assert_eq!(summary.loss, reference.loss);
        }
        assert_eq!(losses(&paths.run)?, losses(&plain.run)?);
    }
    Ok(())
}

#[test]
fn a_policy_that_is_estimated_is_that_of_one_process() -> Outcome {
    let root = tempfile::tempdir()?;
    let images = root.path().join("images");
    fs::create_dir_all(&images)?;
    let phantom = infomark_phantom::Phantom::new(192, 256)?;
    for i in 0..4 {
        fs::write(images.join(format!("{i}.pgm")), phantom.image(1, i).pgm())?;
    }
    let config = five(3).with(|o| {
        o.model.input_area = 192 * 256;
        o.augmentation.estimate_after = 0.3;
        o.sampling.batch = 2;
    });
    let plain = paths(root.path(), "plain");
    train(&config, &plain, &mut go_on)?;
    let two = paths(root.path(), "two");
    let estimated = AtomicUsize::new(0);
    let results = on_ranks(2, |rank| {
        train_with(rank, Begin::Auto, &config, &two, &mut |progress| {
            estimated
                .fetch_add(usize::from(matches!(progress, Progress::Estimated { .. })), Ordering::Relaxed);
            ControlFlow::Continue(())
        })
    });
    all(results)?;
    assert_eq!(estimated.into_inner(), 2, "both ranks are told");
    assert_eq!(bytes(&two.out)?, bytes(&plain.out)?);
    // The policy that was estimated is no other option.
    all(together(1, Begin::Auto, &config, &two))?;
    assert_eq!(bytes(&two.out)?, bytes(&plain.out)?);
    Ok(())
}

#[test]
fn a_killed_training_goes_on_with_another_number_of_processes() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 6)?;
    let plain = paths(root.path(), "plain");
    train(&five(5), &plain, &mut go_on)?;
    let run = paths(root.path(), "run");
    for (size, steps_more) in [(3, 3), (2, 3), (4, 9)] {
        let steps = AtomicUsize::new(0);
        // From some step on nothing arrives any more.
        let meddle = |_: usize, _: &mut Vec<Vec<u8>>| {
            let over = steps.load(Ordering::Relaxed) >= steps_more;
            if over { Err(ExchangeError::new("killed")) } else { Ok(()) }
        };
        let results = on_ranks(size, |engine| {
            let engine = Meddled { engine, calls: AtomicUsize::new(0), meddle: &meddle };
            train_with(&engine, Begin::Auto, &five(5), &run, &mut |progress| {
                let first = engine.engine.rank() == 0;
                steps.fetch_add(
                    usize::from(first && matches!(progress, Progress::Step { .. })),
                    Ordering::Relaxed,
                );
                ControlFlow::Continue(())
            })
        });
        let killed =
            results.iter().all(|result| matches!(result, Err(TrainError::Run(RunError::Exchange(_)))));
        assert_eq!(killed, size < 4, "{results:?}");
    }
    assert_eq!(bytes(&run.out)?, bytes(&plain.out)?);
    Ok(())
}

#[test]
fn alone_auto_starts_then_goes_on_and_refuses_other_options() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 3)?;
    let run = paths(root.path(), "run");
    let stop = |progress| match progress {
        Progress::Step { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let first = train_with(&Alone, Begin::Auto, &small(3), &run, &mut { stop })?;
    assert_eq!((first.steps, first.stopped), (1, true));
    let other = small(3).with(|o| {
        o.seed = 8;
        o.sampling.batch = 3;
    });
    let refused = train_with(&Alone, Begin::Auto, &other, &run, &mut go_on);
    let Err(TrainError::Checkpoint { problem: CheckpointError::OtherOptions { options }, .. }) = refused
    else {
        return Err(format!("{refused:?}").into());
    };
    assert_eq!(options, "batch: 2, now 3; seed: 0, now 8");
    let second = train_with(&Alone, Begin::Auto, &small(3).with(|o| o.threads = 2), &run, &mut go_on)?;
    assert_eq!((second.steps, second.stopped), (3, false));
    let plain = train(&small(3), &paths(root.path(), "plain"), &mut go_on)?;
    assert_eq!(second.sha256, plain.sha256);
    assert!(matches!(
        train_with(&Alone, Begin::Resume, &small(3), &paths(root.path(), "none"), &mut go_on),
        Err(TrainError::Checkpoint { problem: CheckpointError::Missing, .. })
    ));
    Ok(())
}

#[test]
fn all_ranks_stop_after_the_step_at_which_one_is_told_to() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 4)?;
    let run = paths(root.path(), "run");
    let results = on_ranks(3, |rank| {
        train_with(rank, Begin::New, &five(5), &run, &mut |progress| match progress {
            Progress::Step { step: 3, .. } if rank.rank() == 1 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
    });
    for summary in all(results)? {
        assert_eq!((summary.steps, summary.stopped), (3, true));
    }
    assert!(run.out.exists());
    assert_eq!(all(together(2, Begin::Resume, &five(1), &run))?[1].steps, 5);
    let plain = train(&five(5), &paths(root.path(), "plain"), &mut go_on)?;
    assert_eq!(infomark_infer::sha256(&bytes(&run.out)?), plain.sha256);
    Ok(())
}
