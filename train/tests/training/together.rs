//! Trainings by several processes, here threads that exchange through channels.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use infomark_train::{
    Alone, Begin, Budget, CheckpointError, ComputeOn, ConfigError, DataError, Exchange, ExchangeError, Paths,
    Progress, RunError, Summary, TrainConfig, TrainError, give_up, train, train_with,
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

/// That a rank fails of itself, and the others by its message.
#[track_caller]
fn assert_all_fail(
    results: &[Result<Summary, TrainError>],
    failing: usize,
    own: impl Fn(&TrainError) -> bool,
) {
    let text = |rank: usize| results[rank].as_ref().err().map(ToString::to_string).unwrap_or_default();
    for (rank, result) in results.iter().enumerate() {
        let as_expected = match result {
            Err(error) if rank == failing => own(error),
            Err(TrainError::Run(RunError::OtherRank { rank, message })) => {
                *rank == failing && *message == text(failing)
            }
            _ => false,
        };
        assert!(as_expected, "rank {rank}: {result:?}");
    }
}

/// Folders of the same images, one for each rank.
fn folders(root: &Path, ranks: usize, images: u64) -> Result<Vec<PathBuf>, Box<dyn std::error::Error>> {
    let folders: Vec<PathBuf> = (0..ranks).map(|rank| root.join(format!("images-{rank}"))).collect();
    folders.iter().try_for_each(|folder| phantoms(folder, images))?;
    Ok(folders)
}

#[test]
fn a_rank_that_fails_makes_all_fail_with_its_message() -> Outcome {
    let root = tempfile::tempdir()?;
    let folders = folders(root.path(), 3, 6)?;
    let of = |rank: &dyn Exchange, name: &str| Paths {
        images: folders[rank.rank()].clone(),
        ..paths(root.path(), name)
    };
    // One of the last two images, which rank 2 looks at.
    let damaged = folders[2].join("05.pgm");
    let whole = fs::read(&damaged)?;
    fs::write(&damaged, &whole[..whole.len() / 2])?;
    let results = on_ranks(3, |rank| train_with(rank, Begin::New, &five(2), &of(rank, "a"), &mut go_on));
    assert_all_fail(&results, 2, |error| matches!(error, TrainError::Data(DataError::Image(_))));
    fs::write(&damaged, &whole)?;

    // Gone when a step draws it.
    let results = on_ranks(3, |rank| {
        train_with(rank, Begin::New, &five(9), &of(rank, "b"), &mut |progress| {
            if let (Progress::Step { step: 1, .. }, 1) = (progress, rank.rank()) {
                fs::remove_dir_all(&folders[1]).expect("its folder is there");
            }
            ControlFlow::Continue(())
        })
    });
    assert_all_fail(&results, 1, |error| matches!(error, TrainError::Data(DataError::Changed { .. })));
    phantoms(&folders[1], 6)?;

    // What rank 0 alone does.
    let taken = of(&Alone, "taken").run;
    fs::create_dir_all(&taken)?;
    fs::write(taken.join("checkpoint.json"), "{}")?;
    for (begin, expected) in [(Begin::New, "holds a run"), (Begin::Resume, "not a checkpoint")] {
        let results = on_ranks(3, |rank| train_with(rank, begin, &five(9), &of(rank, "taken"), &mut go_on));
        assert_all_fail(&results, 0, |error| {
            matches!(error, TrainError::Checkpoint { .. }) && error.to_string().contains(expected)
        });
    }
    let results = on_ranks(3, |rank| {
        let out = if rank.rank() == 0 { root.path().to_owned() } else { root.path().join("fine.onnx") };
        let paths = Paths { out, ..of(rank, "out") };
        train_with(rank, Begin::New, &five(1), &paths, &mut go_on)
    });
    assert_all_fail(&results, 0, |error| matches!(error, TrainError::Run(RunError::Output { .. })));

    // One that does not even begin.
    let results = on_ranks(3, |rank| match rank.rank() {
        1 => give_up(rank, "no options").map(|()| None),
        _ => train_with(rank, Begin::New, &five(1), &of(rank, "c"), &mut go_on).map(Some),
    });
    assert!(matches!(results[1], Ok(None)));
    for rank in [0, 2] {
        assert!(
            matches!(&results[rank], Err(TrainError::Run(RunError::OtherRank { rank: 1, message })) if message == "no options")
        );
    }
    Ok(())
}

/// What all ranks say they differ in.
fn difference(results: Vec<Result<Summary, TrainError>>) -> Result<(String, String), String> {
    let mut all = Vec::new();
    for result in results {
        match result {
            Err(TrainError::Run(RunError::RanksDiffer { what, values })) => all.push((what, values)),
            other => return Err(format!("{other:?}")),
        }
    }
    all.dedup();
    let first = all.pop().ok_or("no ranks")?;
    if all.is_empty() { Ok(first) } else { Err(format!("{first:?} and {all:?}")) }
}

#[test]
fn ranks_that_differ_stop() -> Outcome {
    let root = tempfile::tempdir()?;
    let folders = folders(root.path(), 3, 6)?;
    let run = paths(root.path(), "run");
    let images = root.path().join("images-0");
    let run = Paths { images, ..run };
    let with = |rank: &dyn Exchange, option: &dyn Fn(&mut TrainConfig)| {
        five(3).with(|o| {
            if rank.rank() == 1 {
                option(o)
            }
        })
    };
    let results = on_ranks(3, |rank| {
        train_with(rank, Begin::New, &with(rank, &|o| o.sampling.alpha = 0.5), &run, &mut go_on)
    });
    assert_eq!(difference(results)?, ("option alpha".into(), "ranks 0, 2: 0.3; rank 1: 0.5".into()));

    let results = on_ranks(3, |rank| {
        let begin = if rank.rank() == 2 { Begin::Auto } else { Begin::New };
        train_with(rank, begin, &five(3), &run, &mut go_on)
    });
    assert_eq!(difference(results)?, ("whether to resume".into(), "ranks 0, 1: new; rank 2: auto".into()));

    // As if rank 1 were another processor: what it says of it is changed on its way.
    let results = on_ranks(3, |engine| {
        let meddle = |call: usize, parts: &mut Vec<Vec<u8>>| {
            let arch = std::env::consts::ARCH.as_bytes();
            if let (1, Some(at)) = (call, parts[1].windows(arch.len()).position(|bytes| bytes == arch)) {
                parts[1][at] = b'?';
            }
            Ok(())
        };
        let meddled = Meddled { engine, calls: AtomicUsize::new(0), meddle: &meddle };
        train_with(&meddled, Begin::New, &five(3), &run, &mut go_on)
    });
    let (what, values) = difference(results)?;
    assert_eq!(what, "the processor");
    assert!(values.contains("; rank 1: ?"), "{values}");

    phantoms(&folders[1], 7)?;
    let results = on_ranks(3, |rank| {
        let paths = Paths { images: folders[rank.rank()].clone(), ..run.clone() };
        train_with(rank, Begin::New, &five(3), &paths, &mut go_on)
    });
    let (what, values) = difference(results)?;
    assert_eq!(what, "the images' names");
    assert!(values.contains("rank 1: 7 images"), "{values}");

    // The lowest bit of the first weight's gradient, in the sum that arrives at rank 1.
    let steps = AtomicUsize::new(0);
    let results = on_ranks(3, |engine| {
        let meddle = |_: usize, parts: &mut Vec<Vec<u8>>| {
            if engine.rank() == 1 && steps.load(Ordering::Relaxed) == 1 && parts[0].len() > 20_000 {
                parts[0][9] ^= 1;
            }
            Ok(())
        };
        let meddled = Meddled { engine, calls: AtomicUsize::new(0), meddle: &meddle };
        train_with(&meddled, Begin::New, &five(3), &run, &mut |progress| {
            steps.fetch_add(
                usize::from(engine.rank() == 1 && matches!(progress, Progress::Step { .. })),
                Ordering::Relaxed,
            );
            ControlFlow::Continue(())
        })
    });
    let (what, values) = difference(results)?;
    assert_eq!(what, "the weights");
    assert!(values.starts_with("ranks 0, 2: hash "), "{values}");
    assert!(!run.run.join("checkpoint.json").exists(), "such weights are not saved");
    Ok(())
}

#[test]
fn what_several_processes_do_not_do_is_refused() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 3)?;
    let refused = |config: &TrainConfig| {
        let results = together(3, Begin::New, config, &paths(root.path(), "run"));
        results.into_iter().next().and_then(Result::err).map(|error| match error {
            TrainError::Config(error) => error.to_string(),
            error => format!("{error:?}"),
        })
    };
    for (config, expected) in [
        (five(1).with(|o| o.schedule.budget = Budget::Minutes(1.0)), ConfigError::MinutesTogether),
        (five(1).with(|o| o.sampling.batch = 2), ConfigError::World { size: 3, batch: 2 }),
        (five(1).with(|o| o.compute = ComputeOn::Cuda), ConfigError::DeviceTogether),
    ] {
        assert_eq!(refused(&config), Some(expected.to_string()));
    }
    assert!(refused(&five(0)).is_some_and(|text| text.contains("steps")));

    // An engine that does not keep to its terms.
    struct Wrong(usize);
    impl Exchange for Wrong {
        fn rank(&self) -> usize {
            self.0
        }
        fn size(&self) -> usize {
            2
        }
        fn all_gather(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, ExchangeError> {
            Ok(vec![bytes.to_vec()])
        }
        fn all_to_all(&self, parts: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, ExchangeError> {
            Ok(parts)
        }
    }
    for wrong in [Wrong(0), Wrong(2)] {
        let result = train_with(&wrong, Begin::New, &five(1), &paths(root.path(), "wrong"), &mut go_on);
        assert!(matches!(result, Err(TrainError::Run(RunError::Exchange(_)))), "{result:?}");
    }
    // Parts that are cut, and of another call.
    for cut in [0, 8, 9] {
        let results = on_ranks(2, |engine| {
            let meddle = |call: usize, parts: &mut Vec<Vec<u8>>| {
                let last = parts.len() - 1;
                match cut {
                    9 if call == 4 => parts[last][0] ^= 1,
                    8 | 0 if call == 4 => parts[last].truncate(cut),
                    _ => {}
                }
                Ok(())
            };
            let meddled = Meddled { engine, calls: AtomicUsize::new(0), meddle: &meddle };
            train_with(&meddled, Begin::New, &five(1), &paths(root.path(), "cut"), &mut go_on)
        });
        for result in results {
            assert!(matches!(result, Err(TrainError::Run(RunError::Exchange(_)))), "{result:?}");
        }
    }
    Ok(())
}
