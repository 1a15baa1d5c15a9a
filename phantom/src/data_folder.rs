//! Phantoms on disk, as a data folder.

use std::fs;
use std::io;
use std::path::Path;

use crate::{LANDMARKS, Phantom};

impl Phantom {
    /// Writes the first `count` images of the series `seed` as a data folder: `images/00.pgm` and so on, `landmarks.csv`, and
    /// `dataset.toml` with `spacing_mm` along both axes.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn write_data_folder(&self, folder: &Path, seed: u64, count: u64, spacing_mm: f64) -> io::Result<()> {
        fs::create_dir_all(folder.join("images"))?;
        let mut table = String::from("image,landmark,x,y\n");
        for index in 0..count {
            let image = self.image(seed, index);
            fs::write(folder.join(format!("images/{index:02}.pgm")), image.pgm())?;
            for (name, at) in image.landmarks {
                table += &format!("{index:02}.pgm,{name},{},{}\n", at.x, at.y);
            }
        }
        fs::write(folder.join("landmarks.csv"), table)?;
        let names = LANDMARKS.join("\", \"");
        let spacing = format!("spacing_mm = [{spacing_mm:?}, {spacing_mm:?}]");
        let manifest = format!("name = \"phantoms\"\n{spacing}\nlandmarks = [\"{names}\"]\n");
        fs::write(folder.join("dataset.toml"), manifest)
    }
}
