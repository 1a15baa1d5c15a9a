//! Runs the program; makes images, data folders and an encoder for it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use infomark_phantom::Phantom;
use infomark_tests::infer_fixture;
use tempfile::TempDir;

/// Size of the made images and of the encoder's input.
pub(crate) const SIZE: (usize, usize) = (96, 128);

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Standard output, after a success.
    #[track_caller]
    pub(crate) fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// The JSON object on standard output, after a success.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        serde_json::from_str(&self.success()).expect("one JSON object")
    }

    /// The reason of a failure: the only line on standard error.
    #[track_caller]
    pub(crate) fn reason(self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        let reason = self.stderr.trim_end().strip_prefix("error: ");
        reason.unwrap_or_else(|| panic!("{:?}", self.stderr)).to_owned()
    }
}

/// Runs the program in the folder `here`.
pub(crate) fn infomark<S: AsRef<OsStr>>(here: &Path, args: impl IntoIterator<Item = S>) -> Outcome {
    let output = Command::new(env!("CARGO_BIN_EXE_infomark"))
        .args(args)
        .current_dir(here)
        .stdin(Stdio::null())
        .output()
        .expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Outcome { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Options of a training of an encoder that takes seconds.
pub(crate) const SMALL: &str = "input_area = 12288\nchannels = [8, 8, 8, 8, 8]\nembedding = 8\nbatch = 2\nviews = 1\nview_size = 64\npixels = 16\n";

/// The words of a command line, none of which holds a space.
pub(crate) fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// A folder with an encoder and a data folder `data` of made-up radiographs.
pub(crate) struct Workplace {
    folder: TempDir,
}

impl Workplace {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (width, height) = SIZE;
        fs::write(folder.path().join("encoder.onnx"), infer_fixture::encoder(width, height)).unwrap();
        let workplace = Self { folder };
        workplace.make_data("data", 5, 0);
        workplace
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.file(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Runs a command line in this folder.
    pub(crate) fn run(&self, line: &str) -> Outcome {
        infomark(self.path(), words(line))
    }

    /// `match` with the encoder and the first image of `data` as template, and these further arguments.
    pub(crate) fn run_match(&self, rest: &str) -> Outcome {
        let given = "--model encoder.onnx --template data/images/0.png --landmarks data/landmarks.csv";
        self.run(&format!("match {given} {rest}"))
    }

    /// Writes `images/N.png`, `landmarks.csv` and `dataset.toml` in a new folder.
    pub(crate) fn make_data(&self, folder: &str, count: u64, seed: u64) {
        let phantom = Phantom::new(SIZE.0, SIZE.1).unwrap();
        let mut table = String::from("image,landmark,x,y\n");
        for index in 0..count {
            let image = phantom.image(seed, index);
            self.write(&format!("{folder}/images/{index}.png"), png(SIZE, &image.pixels));
            for (name, at) in image.landmarks {
                table += &format!("{index}.png,{name},{},{}\n", at.x, at.y);
            }
        }
        self.write(&format!("{folder}/landmarks.csv"), table);
        let names = infomark_phantom::LANDMARKS.join("\", \"");
        let toml = format!("name = \"phantoms\"\nspacing_mm = [0.5, 0.25]\nlandmarks = [\"{names}\"]\n");
        self.write(&format!("{folder}/dataset.toml"), toml);
    }

    /// Writes an image of independent random pixels, others for another name.
    pub(crate) fn write_noise(&self, name: &str) {
        let mut rng = infomark_core::Rng::new(3, name.bytes().map(u64::from).sum());
        let pixels: Vec<u8> = (0..SIZE.0 * SIZE.1).map(|_| rng.below(256) as u8).collect();
        self.write(name, png(SIZE, &pixels));
    }

    /// Writes an image with left and right exchanged.
    pub(crate) fn write_mirrored(&self, from: &str, to: &str) {
        let image = image::load_from_memory(&self.read(from)).expect("a PNG").fliph().into_luma8();
        let size = (image.width() as usize, image.height() as usize);
        self.write(to, png(size, image.as_raw()));
    }

    /// The files of a result of `match`, without those of what is under way.
    pub(crate) fn result(&self, folder: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = self.tree(folder);
        files.retain(|path, _| !path.starts_with(".infomark"));
        files
    }

    /// Folder of the run of `match` that is under way, or was stopped; none where there is none.
    pub(crate) fn run_folder(&self, folder: &str) -> Option<PathBuf> {
        let entries = fs::read_dir(self.file(&format!("{folder}/.infomark"))).into_iter().flatten();
        let mut folders = entries.map(|entry| entry.unwrap().path());
        folders.find(|path| path.join("journal.jsonl").exists())
    }

    /// Images that such a run has done.
    pub(crate) fn journaled(&self, folder: &str) -> usize {
        let journal = self.run_folder(folder).map(|run| run.join("journal.jsonl"));
        let text = journal.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        text.lines().count().saturating_sub(1)
    }

    /// All files below a folder, by their path in it.
    pub(crate) fn tree(&self, folder: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let root = self.file(folder);
        let mut files = BTreeMap::new();
        let mut open = vec![root.clone()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    files.insert(path.strip_prefix(&root).unwrap().to_owned(), fs::read(path).unwrap());
                }
            }
        }
        files
    }
}

/// A grey PNG.
pub(crate) fn png(size: (usize, usize), levels: &[u8]) -> Vec<u8> {
    encode(size, levels, image::ExtendedColorType::L8)
}

/// A PNG of any kind of pixels.
pub(crate) fn encode(
    (width, height): (usize, usize),
    bytes: &[u8],
    kind: image::ExtendedColorType,
) -> Vec<u8> {
    use image::ImageEncoder;
    let mut file = Vec::new();
    image::codecs::png::PngEncoder::new(&mut file)
        .write_image(bytes, width as u32, height as u32, kind)
        .expect("a PNG");
    file
}

/// Width and height of a PNG file.
#[track_caller]
pub(crate) fn png_size(bytes: &[u8]) -> (u32, u32) {
    let image = image::load_from_memory(bytes).expect("a PNG");
    (image.width(), image.height())
}
