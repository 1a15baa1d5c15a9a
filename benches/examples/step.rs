//! Training steps on request, for `benches/peers/step`.
//!
//! `step DIR THREADS` makes radiograph-like images in DIR, trains on them with the default options, and answers every line
//! of standard input with the nanoseconds of one step: drawing its batch, forward pass, loss, backward pass, optimiser,
//! average of the weights, and log.

use infomark_phantom::Phantom;
use infomark_train::{Budget, Paths, Progress, TrainConfig, train};
use std::error::Error;
use std::io::{self, BufRead, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;
use std::{env, fs};

/// Of the images, and so of the encoder's input.
const SIZE: (usize, usize) = (384, 480);

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = env::args().skip(1);
    let dir = PathBuf::from(words.next().ok_or("usage: step DIR THREADS")?);
    let threads = words.next().ok_or("usage: step DIR THREADS")?.parse()?;
    let images = dir.join("images");
    fs::create_dir_all(&images)?;
    let phantom = Phantom::new(SIZE.0, SIZE.1)?;
    for i in 0..8 {
        fs::write(images.join(format!("{i}.pgm")), phantom.image(0, i).pgm())?;
    }
    let config = TrainConfig::default().with(|o| {
        o.schedule.budget = Budget::Steps(1_000_000);
        o.schedule.checkpoint_every = u64::MAX;
        o.threads = threads;
    });
    let paths = Paths { images, out: dir.join("encoder.onnx"), run: dir.join("run"), score: None };
    let mut begun = None;
    train(&config, &paths, &mut |progress| {
        let asked = match progress {
            Progress::Views(_) => true,
            Progress::Step { .. } => {
                let took = begun.map_or(0, |begun: Instant| begun.elapsed().as_nanos());
                println!("{took}");
                io::stdout().flush().is_ok()
            }
            _ => return ControlFlow::Continue(()),
        };
        // The next step begins when it is asked for.
        let mut line = String::new();
        let more = asked && io::stdin().lock().read_line(&mut line).is_ok_and(|read| read > 0);
        begun = Some(Instant::now());
        if more { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(())
}
