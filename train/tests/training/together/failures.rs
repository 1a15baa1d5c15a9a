//! Trainings on several processes that end with an error on all of them.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use infomark_train::{
    Alone, Begin, Budget, ComputeOn, ConfigError, DataError, Exchange, ExchangeError, Paths, Progress,
    RunError, Summary, TrainConfig, TrainError, give_up, train_with,
};

use super::{Meddled, five, on_ranks, together};
use crate::common::{Outcome, paths, phantoms};
use crate::go_on;

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
