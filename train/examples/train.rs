//! Trains an encoder: `cargo run --release -p infomark-train --example train -- IMAGES OUT STEPS`.
use std::ops::ControlFlow;

use infomark_train::{Budget, Paths, Progress, TrainConfig, train};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, images, out, steps] = args.as_slice() else {
        return Err("give a folder of images, the encoder's file and the number of steps".into());
    };
    let config = TrainConfig {
        budget: match steps.strip_suffix("m") {
            Some(m) => Budget::Minutes(m.parse()?),
            None => Budget::Steps(steps.parse()?),
        },
        ..TrainConfig::default()
    };
    let paths = Paths { images: images.into(), out: out.into(), run: format!("{out}.run").into() };
    let summary = train(&config, &paths, &mut |progress| {
        if let Progress::Step { step, loss, levels, images_per_second, .. } = progress {
            println!("step {step}: loss {loss:.3} {levels:.3?}, {images_per_second:.1} images/s");
        }
        ControlFlow::Continue(())
    })?;
    println!("{summary:?}");
    Ok(())
}
