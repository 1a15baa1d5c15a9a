//! Folder of results that is whole or as it was, whenever its process ends.
//!
//! All is made in `.infomark` within the folder and put in place by renames at the end:
//!
//! | in `.infomark` | holds |
//! | --- | --- |
//! | `lock` | locked by the process that writes |
//! | `KEY/` | journal and pictures of the run that is under way, by a hash of what it depends on |
//! | `next/` | new result while it is written, with the list `files` of what it consists of |
//! | `commit/` | it is complete; the files of the old one are moved to `old/`, `landmarks.json` first |
//! | `placing/` | they are; those of the new one are moved into the folder, `landmarks.json` last |
//! | `files` | list of the files of the result in the folder |
//! | `old/` | files of the result before, to be deleted |
//!
//! `next/` becomes `commit/` and that `placing/` by renames, so that each step is made or not. [`ResultFolder::open`]
//! goes on where a process ended: it completes `commit/` and `placing/` and drops `next/`. Between two of the renames a
//! folder has files of one result only, and it has `landmarks.json` only when that result is whole.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Component, Path, PathBuf};

use infomark_infer::{FileError, FolderLock, FolderLockError, make_folder};
use serde::{Deserialize, Serialize};

use crate::ResultsError;

type Result<T> = std::result::Result<T, ResultsError>;

/// The file that tells a whole result.
pub const OBJECT: &str = "landmarks.json";
const WORK: &str = ".infomark";
const NEXT: &str = "next";
const COMMIT: &str = "commit";
const PLACING: &str = "placing";
const OLD: &str = "old";
const FILES: &str = "files";
/// Start of the names of temporary files, which a killed process leaves.
const TEMPORARY: &str = ".tmp";

/// A line of the list of files.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Line {
    /// Path in the folder.
    File(String),
    /// The last line: whether the result is of all images.
    End { complete: bool },
}

/// A folder of results, locked.
pub struct ResultFolder {
    folder: PathBuf,
    work: PathBuf,
    _lock: FolderLock,
}

/// A new result while it is written.
pub struct Stage {
    folder: PathBuf,
    files: BufWriter<File>,
}

/// Renames a file or folder.
type Rename<'r> = &'r mut dyn FnMut(&Path, &Path) -> io::Result<()>;

impl ResultFolder {
    /// Makes the folder where it is missing, locks it, and brings to an end what a killed process has left.
    ///
    /// # Errors
    /// [`ResultsError::Lock`] where another process has it, and when a file can't be moved.
    pub fn open(folder: &Path) -> Result<Self> {
        let work = folder.join(WORK);
        make_folder(&work)?;
        let lock = FolderLock::acquire(&work).map_err(|error| ResultsError::Lock(in_use(folder, error)))?;
        let folder = Self { folder: folder.to_owned(), work, _lock: lock };
        folder.settle(&mut |from, to| fs::rename(from, to))?;
        Ok(folder)
    }

    /// Brings a result that is to be read to an end, where a process was killed while it put it in place.
    ///
    /// # Errors
    /// [`ResultsError::Lock`] where another process is putting it in place.
    pub fn settle_to_read(folder: &Path) -> Result<()> {
        let work = folder.join(WORK);
        if ![COMMIT, PLACING].iter().any(|name| work.join(name).is_dir()) {
            return Ok(());
        }
        Self::open(folder).map(drop)
    }

    /// Folder of the run with a key, for its journal and its pictures; what runs with other keys have left is removed.
    ///
    /// # Errors
    /// When a folder can't be removed.
    pub fn run(&self, key: &str) -> Result<PathBuf> {
        let keep: Vec<&OsStr> = vec![OsStr::new(key), OsStr::new(OLD)];
        for entry in entries(&self.work)? {
            if entry.is_dir() && entry.file_name().is_none_or(|name| !keep.contains(&name)) {
                fs::remove_dir_all(&entry).map_err(ResultsError::io(&entry, "can't be removed"))?;
            }
        }
        Ok(self.work.join(key))
    }

    /// Whether there is a result of all images, or files that may be one.
    pub fn is_complete(&self) -> bool {
        let there = self.folder.join(OBJECT).exists();
        let last = read_files(&self.work.join(FILES)).ok().and_then(|lines| lines.last());
        there && !matches!(last, Some(Line::End { complete: false }))
    }

    /// Begins a new result.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn stage(&self) -> Result<Stage> {
        let folder = self.work.join(NEXT);
        make_folder(&folder)?;
        let path = folder.join(FILES);
        let files = File::create(&path).map_err(ResultsError::io(&path, "can't be written"))?;
        Ok(Stage { folder, files: BufWriter::new(files) })
    }

    /// Puts a new result in the place of the one before; `complete` where it is of all images.
    ///
    /// # Errors
    /// When a file can't be written or moved.
    pub fn publish(&self, mut stage: Stage, complete: bool) -> Result<()> {
        stage.line(&Line::End { complete })?;
        let files = stage.files.into_inner().map_err(io::IntoInnerError::into_error);
        let synced = files.and_then(|files| files.sync_all());
        synced.map_err(ResultsError::io(&stage.folder, "can't write here"))?;
        self.commit(&mut |from, to| fs::rename(from, to))
    }

    fn commit(&self, rename: Rename<'_>) -> Result<()> {
        moved(&self.work.join(NEXT), &self.work.join(COMMIT), rename)?;
        self.settle(rename)
    }

    /// Completes what was decided and drops what was not.
    fn settle(&self, rename: Rename<'_>) -> Result<()> {
        let place = |name: &str| self.work.join(name);
        if place(COMMIT).is_dir() {
            self.take_away(rename)?;
            moved(&place(COMMIT), &place(PLACING), rename)?;
        }
        if place(PLACING).is_dir() {
            self.put_in_place(rename)?;
        }
        if place(OLD).is_dir() {
            self.dispose(rename)?;
        }
        if place(NEXT).is_dir() {
            let path = place(NEXT);
            fs::remove_dir_all(&path).map_err(ResultsError::io(&path, "can't be removed"))?;
        }
        Ok(())
    }

    /// Moves the files of the old result, and those in the place of new ones, to `old`.
    fn take_away(&self, rename: Rename<'_>) -> Result<()> {
        let old = self.work.join(OLD);
        make_folder(&old)?;
        let mut names: BTreeSet<OsString> = entries(&self.work.join(COMMIT))?
            .filter_map(|path| path.file_name().map(OsStr::to_owned))
            .filter(|name| name != FILES)
            .collect();
        for files in [self.work.join(FILES), old.join(FILES)] {
            for name in read_files(&files).into_iter().flatten().filter_map(Line::file) {
                let top = OsStr::new(name.split('/').next().unwrap_or_default());
                if !top.is_empty() && !names.contains(top) {
                    names.insert(top.to_owned());
                }
            }
        }
        let first = names.take(OsStr::new(OBJECT));
        for name in first.into_iter().chain(names) {
            let (from, to) = (self.folder.join(&name), old.join(&name));
            if from.symlink_metadata().is_ok() {
                moved(&from, &to, rename)?;
            }
        }
        let files = self.work.join(FILES);
        if files.exists() { moved(&files, &old.join(FILES), rename) } else { Ok(()) }
    }

    /// Moves the files of the new result into the folder.
    fn put_in_place(&self, rename: Rename<'_>) -> Result<()> {
        let placing = self.work.join(PLACING);
        let mut paths: Vec<PathBuf> = entries(&placing)?.collect();
        // The list last of all, after `landmarks.json`.
        let order = |path: &PathBuf| (path.ends_with(FILES), path.ends_with(OBJECT), path.clone());
        paths.sort_by_key(order);
        for from in paths {
            let Some(name) = from.file_name() else { continue };
            let to = if name == FILES { &self.work } else { &self.folder };
            moved(&from, &to.join(name), rename)?;
        }
        fs::remove_dir(&placing).map_err(ResultsError::io(&placing, "can't be removed"))
    }

    /// Deletes the files of the old result; others that were beside them, in the same folders, go back.
    fn dispose(&self, rename: Rename<'_>) -> Result<()> {
        let old = self.work.join(OLD);
        for name in read_files(&old.join(FILES)).into_iter().flatten().filter_map(Line::file) {
            // Else it was deleted before.
            let _ = fs::remove_file(old.join(name));
        }
        let _ = fs::remove_file(old.join(FILES));
        give_back(&old, &self.folder, rename)
    }
}

impl Line {
    /// The file of the line; none where it leads out of the results.
    fn file(self) -> Option<String> {
        let Line::File(name) = self else { return None };
        let within = |part| matches!(part, Component::Normal(part) if part != WORK);
        Path::new(&name).components().all(within).then_some(name)
    }
}

impl Stage {
    /// Makes a file of the new result; `name` is its path in the folder, with `/`.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn create(&mut self, name: &str) -> Result<BufWriter<File>> {
        let path = self.add(name)?;
        let file = File::create(&path).map_err(ResultsError::io(&path, "can't be written"))?;
        Ok(BufWriter::new(file))
    }

    /// Writes a file of the new result.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.add(name)?;
        fs::write(&path, bytes).map_err(ResultsError::io(&path, "can't be written"))
    }

    /// Makes a file of the new result the same as another: by a link where the file system has them, else by a copy.
    ///
    /// # Errors
    /// When it can't be copied.
    pub fn link(&mut self, from: &Path, name: &str) -> Result<()> {
        let path = self.add(name)?;
        if fs::hard_link(from, &path).is_ok() {
            return Ok(());
        }
        fs::copy(from, &path).map(drop).map_err(ResultsError::io(from, "can't be copied into the result"))
    }

    /// Where a file of the new result is now.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Lists a file, and makes the folder that it is in.
    fn add(&mut self, name: &str) -> Result<PathBuf> {
        self.line(&Line::File(name.to_owned()))?;
        let path = self.folder.join(name);
        if let Some(folder) = path.parent().filter(|folder| !folder.is_dir()) {
            make_folder(folder)?;
        }
        Ok(path)
    }

    fn line(&mut self, line: &Line) -> Result<()> {
        let text = serde_json::to_string(line).map_err(ResultsError::json)?;
        writeln!(self.files, "{text}").map_err(ResultsError::io(&self.folder, "can't write here"))
    }
}

/// Removes the temporary files that a killed process has left in a folder.
///
/// # Errors
/// When the folder can't be listed.
pub fn remove_temporary(folder: &Path) -> Result<()> {
    for path in entries(folder)? {
        let temporary = |name: &OsStr| name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes());
        if path.file_name().is_some_and(temporary) && path.is_file() {
            let _ = fs::remove_file(path);
        }
    }
    Ok(())
}

/// Opens a file that is appended to, and made where it is missing.
pub(crate) fn open_to_append(path: &Path) -> Result<File> {
    // Asked before opening: opening a pipe would wait for its reader.
    if fs::metadata(path).is_ok_and(|data| !data.is_file()) {
        let name = path.display().to_string();
        return Err(FileError::NotAFile { name }.into());
    }
    let file = OpenOptions::new().read(true).append(true).create(true).open(path);
    file.map_err(ResultsError::io(path, "can't be written"))
}

/// The folder of the results in the place of that within it.
fn in_use(folder: &Path, error: FolderLockError) -> FolderLockError {
    match error {
        FolderLockError::InUse { .. } => FolderLockError::InUse { folder: folder.display().to_string() },
        error => error,
    }
}

fn moved(from: &Path, to: &Path, rename: Rename<'_>) -> Result<()> {
    rename(from, to).map_err(ResultsError::io(from, "can't be moved"))
}

fn entries(folder: &Path) -> Result<impl Iterator<Item = PathBuf>> {
    let entries = fs::read_dir(folder).map_err(ResultsError::io(folder, "can't be listed"))?;
    Ok(entries.filter_map(|entry| entry.ok().map(|entry| entry.path())))
}

/// The lines of a list of files, as far as it can be read.
fn read_files(path: &Path) -> io::Result<impl Iterator<Item = Line>> {
    let lines = BufReader::new(File::open(path)?).lines();
    Ok(lines.map_while(|line| line.ok().and_then(|line| serde_json::from_str(&line).ok())))
}

/// Moves what a folder holds to another, and removes it; a file whose name is taken there goes with it.
fn give_back(from: &Path, to: &Path, rename: Rename<'_>) -> Result<()> {
    for path in entries(from)? {
        let Some(name) = path.file_name() else { continue };
        let target = to.join(name);
        let is_folder = path.symlink_metadata().is_ok_and(|data| data.is_dir());
        if is_folder && (target.is_dir() || entries(&path)?.next().is_none()) {
            give_back(&path, &target, rename)?;
        } else if target.symlink_metadata().is_err() {
            make_folder(to)?;
            moved(&path, &target, rename)?;
        } else if is_folder {
            let name = name.to_string_lossy();
            let free = (2..).map(|number| to.join(format!("{name}-{number}")));
            let free = free.into_iter().find(|path| path.symlink_metadata().is_err());
            moved(&path, &free.unwrap_or(target), rename)?;
        } else {
            fs::remove_file(&path).map_err(ResultsError::io(&path, "can't be removed"))?;
        }
    }
    fs::remove_dir(from).map_err(ResultsError::io(from, "can't be removed"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    type Tree = BTreeMap<String, String>;
    type Outcome = std::result::Result<(), Box<dyn std::error::Error>>;

    /// The files of a folder, those of [`WORK`] left out.
    fn tree(folder: &Path) -> Tree {
        let mut files = Tree::new();
        let mut open = vec![folder.to_owned()];
        while let Some(next) = open.pop() {
            for path in entries(&next).into_iter().flatten().filter(|path| !path.ends_with(WORK)) {
                if path.is_dir() {
                    open.push(path);
                } else {
                    let name =
                        path.strip_prefix(folder).map(|name| name.display().to_string()).unwrap_or_default();
                    files.insert(name, fs::read_to_string(path).unwrap_or_default());
                }
            }
        }
        files
    }

    fn stage(folder: &ResultFolder, files: &[(&str, &str)]) -> Result<Stage> {
        let mut stage = folder.stage()?;
        files.iter().try_for_each(|(name, text)| stage.write(name, text.as_bytes()))?;
        Ok(stage)
    }

    fn of(files: &[(&str, &str)]) -> Tree {
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    const BEFORE: [(&str, &str); 5] = [
        ("landmarks.csv", "old"),
        ("landmarks.json", "old"),
        ("labelme/1.json", "old"),
        ("overlays/1.png", "old"),
        ("overlays/2.png", "old"),
    ];
    const AFTER: [(&str, &str); 4] = [
        ("landmarks.csv", "new"),
        ("landmarks.json", "new"),
        ("errors.csv", "new"),
        ("overlays/2.png", "new"),
    ];

    #[test]
    fn a_result_is_the_old_or_the_new_wherever_putting_it_in_place_ends() -> Outcome {
        let (before, after) = (of(&BEFORE), of(&AFTER));
        let part = |found: &Tree, of: &Tree| found.iter().all(|(name, text)| of.get(name) == Some(text));
        let (mut stopped, mut begun) = (0, 0);
        for most in 0.. {
            let place = tempfile::tempdir()?;
            let folder = ResultFolder::open(place.path())?;
            folder.publish(stage(&folder, &BEFORE)?, true)?;
            assert_eq!(tree(place.path()), before);
            // The process ends before this rename.
            let mut count = 0;
            let mut rename = |from: &Path, to: &Path| match count {
                count if count == most => Err(io::Error::other("killed")),
                _ => {
                    count += 1;
                    fs::rename(from, to)
                }
            };
            let mut new = stage(&folder, &AFTER)?;
            new.line(&Line::End { complete: true })?;
            new.files.flush()?;
            drop(new);
            let done = folder.commit(&mut rename);
            drop(folder);
            let found = tree(place.path());
            assert!(part(&found, &before) || part(&found, &after), "{most}: {found:?}");
            let whole = found == before || found == after;
            assert!(whole || !found.contains_key(OBJECT), "{most}: {found:?}");
            drop(ResultFolder::open(place.path())?);
            assert_eq!(tree(place.path()), if most == 0 { before.clone() } else { after.clone() }, "{most}");
            let left = entries(&place.path().join(WORK))?.count();
            assert_eq!(left, 2, "{most}: the lock and the list of files");
            if done.is_ok() {
                break;
            }
            stopped += 1;
            begun += usize::from(!whole);
        }
        assert!(stopped > 10 && begun > 5, "{stopped} {begun}");
        Ok(())
    }

    #[test]
    fn files_of_others_stay_beside_a_result() -> Outcome {
        let place = tempfile::tempdir()?;
        let folder = ResultFolder::open(place.path())?;
        folder.publish(stage(&folder, &BEFORE)?, true)?;
        for (name, text) in [("overlays/mine.png", "mine"), ("labelme/mine.json", "mine"), ("notes", "mine")]
        {
            fs::write(place.path().join(name), text)?;
        }
        folder.publish(stage(&folder, &AFTER)?, true)?;
        let mut expected = of(&AFTER);
        for name in ["overlays/mine.png", "labelme/mine.json", "notes"] {
            expected.insert(name.to_owned(), "mine".to_owned());
        }
        assert_eq!(tree(place.path()), expected);
        Ok(())
    }

    #[test]
    fn a_folder_that_is_written_to_is_refused() -> Outcome {
        let place = tempfile::tempdir()?;
        let folder = ResultFolder::open(place.path())?;
        let refused = || ResultFolder::open(place.path()).map(drop).err().map(|error| error.to_string());
        assert!(refused().is_some_and(|error| error.starts_with(&place.path().display().to_string())));
        // It can be read, but for the moment in which its files are replaced.
        ResultFolder::settle_to_read(place.path())?;
        fs::create_dir(place.path().join(WORK).join(COMMIT))?;
        assert!(ResultFolder::settle_to_read(place.path()).is_err());
        drop(folder);
        drop(ResultFolder::open(place.path())?);
        Ok(())
    }
}
