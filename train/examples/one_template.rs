//! From generated images to landmarks and their errors, in about two minutes:
//!
//! ```sh
//! cargo run --release -p infomark-train --example one_template
//! ```
//!
//! It draws 40 heads, trains an encoder on them without their landmarks, takes the first as template and looks for its
//! landmarks in ten heads that the encoder has not seen. An argument is the number of steps.

use std::error::Error;
use std::fs;
use std::ops::ControlFlow;

use infomark_infer::{Encoder, Image, Landmark, Matcher, Template};
use infomark_phantom::{Phantom, PhantomImage};
use infomark_train::{Budget, Paths, TrainConfig, train};

const SIZE: (usize, usize) = (256, 320);

fn main() -> Result<(), Box<dyn Error>> {
    let steps = std::env::args().nth(1).map_or(Ok(150), |steps| steps.parse())?;
    let phantom = Phantom::new(SIZE.0, SIZE.1)?;
    let folder = tempfile::tempdir()?;
    let images = folder.path().join("images");
    fs::create_dir(&images)?;
    for index in 0..40 {
        fs::write(images.join(format!("{index:02}.pgm")), phantom.image(0, index).pgm())?;
    }

    let config = TrainConfig::default().with(|o| {
        o.schedule.budget = Budget::Steps(steps);
        o.model.input_area = 192 * 256;
        o.sampling.view_size = 128;
        o.optimiser.ema_decay = 0.98;
        o.schedule.warm_up = 20;
    });
    let out = folder.path().join("encoder.onnx");
    let paths = Paths { images, out: out.clone(), run: folder.path().join("run"), score: None };
    train(&config, &paths, &mut |_| ControlFlow::Continue(()))?;

    // What a program that embeds infomark does: load, annotate, find.
    let encoder = Encoder::load(&out)?;
    let (image, landmarks) = annotated("template", &phantom.image(0, 0))?;
    let template = Template::new(&encoder, &image, &landmarks)?;
    let matcher = Matcher::new(encoder, [template])?;
    let mut errors = Vec::new();
    for index in 100..110 {
        let (image, truth) = annotated("new", &phantom.image(0, index))?;
        for (found, truth) in matcher.find(&image)?.iter().zip(&truth) {
            errors.push((found.at.x - truth.at.x).hypot(found.at.y - truth.at.y));
        }
    }
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    println!("{} landmarks found, {mean:.2} pixels off on average, of {} x {}", errors.len(), SIZE.0, SIZE.1);
    Ok(())
}

fn annotated(name: &str, head: &PhantomImage) -> Result<(Image, Vec<Landmark>), Box<dyn Error>> {
    let pixels = head.pixels.iter().map(|&level| f32::from(level) / 255.0).collect();
    let landmarks = head.landmarks.iter().map(|&(name, at)| Landmark::new(name, at)).collect();
    Ok((Image::new(name, SIZE.0, SIZE.1, pixels)?, landmarks))
}
