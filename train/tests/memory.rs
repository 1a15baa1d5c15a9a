//! How much memory a training takes. Generates 10,000 images, which takes minutes:
//! `cargo test --release -p infomark-train --test memory -- --ignored --nocapture`.

use std::error::Error;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use infomark_phantom::Phantom;
use infomark_train::{Budget, Paths, TrainConfig, train};
use rayon::prelude::*;

/// The largest resident set that this process has had so far, in MiB.
fn peak_mib() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

/// Adds the images `from` to `to` of a series.
fn add(dir: &Path, size: (usize, usize), from: u64, to: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
    fs::create_dir_all(dir)?;
    let phantom = Phantom::new(size.0, size.1)?;
    (from..to).into_par_iter().try_for_each(|i| {
        let image = phantom.image(1, i);
        let file = fs::File::create(dir.join(format!("{i:05}.png")))?;
        let encoder = image::codecs::png::PngEncoder::new(std::io::BufWriter::new(file));
        let (width, height) = (image.width as u32, image.height as u32);
        image::ImageEncoder::write_image(
            encoder,
            &image.pixels,
            width,
            height,
            image::ExtendedColorType::L8,
        )?;
        Ok(())
    })
}

#[test]
#[ignore = "takes minutes, and only Linux states the peak"]
fn memory_hardly_grows_with_the_images_and_suffices_for_the_defaults()
-> Result<(), Box<dyn Error + Send + Sync>> {
    let root = tempfile::tempdir()?;
    // The canvas has its usual size, whatever that of the images.
    let config = TrainConfig::default().with(|o| {
        o.schedule.budget = Budget::Steps(2);
        o.model.channels = [8; 5];
        o.model.embedding = 8;
        o.sampling.views = 1;
        o.sampling.view_size = 64;
    });
    let images = root.path().join("images");
    let mut peaks = Vec::new();
    let mut count = 0;
    for more in [500, 2_000, 10_000] {
        add(&images, (96, 128), count, more)?;
        count = more;
        let paths = Paths {
            images: images.clone(),
            out: root.path().join("encoder.onnx"),
            run: root.path().join(format!("{more}.run")),
            score: None,
        };
        train(&config, &paths, &mut |_| ControlFlow::Continue(()))?;
        let peak = peak_mib().ok_or("the peak is not in /proc/self/status")?;
        println!("{more} images: peak {peak} MiB");
        peaks.push(peak);
    }
    // The grey levels alone would be 1.8 GB.
    assert!(peaks[2] < peaks[0] + 200, "{peaks:?} MiB");

    let images = root.path().join("large");
    add(&images, (384, 480), 0, 8)?;
    let paths = Paths {
        images,
        out: root.path().join("default.onnx"),
        run: root.path().join("default.run"),
        score: None,
    };
    // A thread more takes some 100 MiB more.
    let config = TrainConfig::default().with(|o| {
        o.schedule.budget = Budget::Steps(3);
        o.threads = 2;
    });
    train(&config, &paths, &mut |_| ControlFlow::Continue(()))?;
    let peak = peak_mib().ok_or("the peak is not in /proc/self/status")?;
    println!("defaults: peak {peak} MiB");
    assert!(peak < 500, "{peak} MiB");
    Ok(())
}
