//! Storage of a review: `session.json`, replaced as a whole, and `journal.jsonl` with each change since.
//!
//! A change is reported as saved once its line is in the journal. At the start both are read, changes that `session.json` lacks are
//! applied, up to an incomplete last line, and `session.json` is rewritten.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use infomark_infer::{FolderLock, FolderLockError};
use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use super::state::{Event, State};
use crate::files;
use crate::output::{self, shown};

const SESSION: &str = "session.json";
const JOURNAL: &str = "journal.jsonl";
/// Format version of both files.
const FORMAT: u32 = 1;
/// Length at which the journal is merged into `session.json`, in bytes.
const LONG: u64 = 8 << 20;

/// Content of `session.json`.
#[derive(Deserialize, Serialize)]
struct Saved {
    format: u32,
    version: String,
    /// The folder of the images.
    images_from: String,
    state: State,
}

#[derive(Deserialize, Serialize)]
struct Line {
    revision: u64,
    #[serde(flatten)]
    event: Event,
}

/// The state with its files, locked against other servers.
pub(super) struct Store {
    state: State,
    folder: PathBuf,
    images_from: String,
    journal: File,
    length: u64,
    _lock: FolderLock,
}

impl Store {
    /// Opens the review in a folder, or creates one. Rejects a folder that another server has open.
    pub(super) fn open(folder: &Path, images: &Path) -> Result<Self> {
        let (lock, journal) = open_files(folder)?;
        let images_from = shown(&fs::canonicalize(images).unwrap_or_else(|_| images.to_owned()));
        let (mut state, begun_on) = read_session(&folder.join(SESSION))?;
        if let Some(begun_on) = begun_on.filter(|begun_on| *begun_on != images_from) {
            output::warn(format_args!("this review was begun on the images of {begun_on}"));
        }
        replay(&mut state, &folder.join(JOURNAL))?;
        let mut store =
            Self { state, folder: folder.to_owned(), images_from, journal, length: 0, _lock: lock };
        store.fold()?;
        Ok(store)
    }

    pub(super) fn state(&self) -> &State {
        &self.state
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Applies a change and writes it to the journal; nothing changes if it cannot be written.
    pub(super) fn commit(&mut self, event: Event) -> Result<u64, Refusal> {
        self.hold_on()?;
        let line = Line { revision: self.state.revision + 1, event };
        let text = serde_json::to_string(&line).context("can't write JSON")? + "\n";
        let written = self.journal.write_all(text.as_bytes()).and_then(|()| self.journal.sync_data());
        if let Err(error) = written {
            // A partial line would hide those after it.
            let _ = self.journal.set_len(self.length);
            let path = shown(&self.folder.join(JOURNAL));
            return Err(Refusal::new(
                507,
                format!("{path}: can't be written ({error}); the change is not saved"),
            ));
        }
        self.length += text.len() as u64;
        self.state.apply(line.revision, line.event);
        if self.length > LONG {
            self.fold()?;
        }
        Ok(self.state.revision)
    }

    /// Recreates the files if they were moved or deleted.
    fn hold_on(&mut self) -> Result<()> {
        let there = fs::metadata(self.folder.join(JOURNAL)).is_ok_and(|data| data.len() == self.length);
        if !there {
            (self._lock, self.journal) = open_files(&self.folder)?;
            self.fold()?;
        }
        Ok(())
    }

    /// Writes `session.json` and empties the journal. After an interruption in between, its lines are recognised by their revisions.
    pub(super) fn fold(&mut self) -> Result<()> {
        output::make_folder(&self.folder)?;
        let saved = Saved {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").into(),
            images_from: self.images_from.clone(),
            state: self.state.clone(),
        };
        let path = self.folder.join(SESSION);
        output::write_json(&path, &saved)?;
        // On disk before the journal is emptied.
        File::open(&path)
            .and_then(|file| file.sync_all())
            .with_context(|| format!("{}: can't be written", shown(&path)))?;
        let emptied = self.journal.set_len(0).and_then(|()| self.journal.seek(SeekFrom::Start(0)));
        emptied.with_context(|| format!("{}: can't be written", shown(&self.folder.join(JOURNAL))))?;
        self.length = 0;
        Ok(())
    }
}

/// The current state of a review that another server may have open.
pub(super) fn peek(folder: &Path) -> Result<State> {
    let path = folder.join(SESSION);
    if !path.is_file() {
        bail!("{}: no review in this folder; name the folder that holds its {SESSION}", shown(folder));
    }
    // The other server may merge its journal in between: its changes are then in the session.
    let (mut state, _) = read_session(&path)?;
    match replay(&mut state, &folder.join(JOURNAL)) {
        Ok(()) => Ok(state),
        Err(_) => {
            (state, _) = read_session(&path)?;
            replay(&mut state, &folder.join(JOURNAL))?;
            Ok(state)
        }
    }
}

/// Applies the changes of a journal that a state lacks.
fn replay(state: &mut State, path: &Path) -> Result<()> {
    for line in read_journal(path)? {
        let next = state.revision + 1;
        if line.revision > next {
            bail!(
                "{}: the change {next} is missing, and those from {} on need it; put back {SESSION} and this file as they were, or move this file away to go on without them",
                shown(path),
                line.revision
            );
        }
        if line.revision == next {
            state.apply(line.revision, line.event);
        }
    }
    Ok(())
}

/// The state of a session, and the folder of its images.
fn read_session(path: &Path) -> Result<(State, Option<String>)> {
    let Some(bytes) = files::bytes_if_there(path)? else { return Ok((State::default(), None)) };
    let saved: Saved = serde_json::from_slice(&bytes).with_context(|| {
        format!(
            "{}: not a review that this version reads; move it away or give another --session",
            shown(path)
        )
    })?;
    if saved.format != FORMAT {
        bail!("{}: its format is {}, this version reads {FORMAT}", shown(path), saved.format);
    }
    Ok((saved.state, Some(saved.images_from)))
}

/// Opens the lock and the journal of a folder, which is created if missing.
fn open_files(folder: &Path) -> Result<(FolderLock, File)> {
    output::make_folder(folder)?;
    let open = |name: &str, options: &mut OpenOptions| {
        let path = folder.join(name);
        // Checked before opening: opening a pipe would wait for its reader.
        if fs::metadata(&path).is_ok_and(|data| !data.is_file()) {
            bail!("{}: not a file; move it away, or give another --session", shown(&path));
        }
        let file = options.create(true).open(&path);
        file.with_context(|| format!("{}: can't write here; give another --session", shown(&path)))
    };
    let lock = FolderLock::acquire(folder).map_err(|error| match error {
        FolderLockError::InUse { folder } => anyhow!(
            "{folder}: another review has this folder open; use its page, end it, or give another --session"
        ),
        error => error.into(),
    })?;
    Ok((lock, open(JOURNAL, OpenOptions::new().append(true))?))
}

/// The lines of a journal. The last one may be incomplete; any other that cannot be read is an error, as those after it would be lost.
fn read_journal(path: &Path) -> Result<Vec<Line>> {
    let Some(bytes) = files::bytes_if_there(path)? else { return Ok(Vec::new()) };
    let mut lines = Vec::new();
    let mut parts = bytes.split(|byte| *byte == b'\n').enumerate().peekable();
    while let Some((number, part)) = parts.next() {
        match serde_json::from_slice(part) {
            Ok(line) => lines.push(line),
            // After the end of the last line: nothing, a part of a line, or zeros after a crash of the machine.
            Err(_) if parts.peek().is_none() => {}
            Err(_) => bail!(
                "{}: line {} is damaged, and the changes after it would be lost; mend it, or move this file away to go on with {SESSION} alone",
                shown(path),
                number + 1
            ),
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::state::Setup;

    fn names(store: &mut Store, names: &[&str]) {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        assert!(store.commit(Event::Setup(Setup { names, ..Setup::default() })).is_ok());
    }

    #[test]
    fn what_was_committed_is_there_again_and_a_cut_line_is_not() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let mut store = Store::open(folder.path(), folder.path())?;
        names(&mut store, &["a"]);
        names(&mut store, &["a", "b"]);
        let state = store.state().clone();
        // Killed: nothing is folded; the last line is cut off.
        drop(store);
        let path = folder.path().join(JOURNAL);
        let mut text = fs::read(&path)?;
        text.extend(b"{\"revision\":3,\"setup\":{\"rev");
        fs::write(&path, &text)?;
        let mut store = Store::open(folder.path(), folder.path())?;
        assert_eq!(store.state(), &state);
        names(&mut store, &["c"]);
        // Stopped between the session and the journal's end: old lines are there again.
        store.fold()?;
        fs::write(&path, &text)?;
        drop(store);
        assert_eq!(Store::open(folder.path(), folder.path())?.state().setup.names, ["c"]);
        Ok(())
    }

    #[test]
    fn a_damaged_journal_is_refused_and_left_as_it_is() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let mut store = Store::open(folder.path(), folder.path())?;
        for list in [&["a"][..], &["a", "b"], &["a", "b", "c"]] {
            names(&mut store, list);
        }
        drop(store);
        let path = folder.path().join(JOURNAL);
        let text = fs::read_to_string(&path)?;
        let lines: Vec<&str> = text.lines().collect();
        let damaged = [
            format!("{}\nGARBAGE\n{}\n{}\n", lines[0], lines[1], lines[2]),
            format!("{}\n\n{}\n{}\n", lines[0], lines[1], lines[2]),
            format!("\u{feff}{text}"),
            format!("{}\n{}\n", lines[0], lines[2]),
            format!("{}\n{}\n", lines[1], lines[2]),
        ];
        for text in damaged {
            fs::write(&path, &text)?;
            let error = Store::open(folder.path(), folder.path()).err().context("it was opened")?;
            assert!(error.to_string().contains("journal.jsonl: "), "{error}");
            assert_eq!(fs::read_to_string(&path)?, text);
        }
        fs::write(&path, &text)?;
        assert_eq!(Store::open(folder.path(), folder.path())?.state().setup.names, ["a", "b", "c"]);
        Ok(())
    }

    #[test]
    fn a_folder_that_is_deleted_meanwhile_comes_back_whole() -> Result<()> {
        let parent = tempfile::tempdir()?;
        let folder = parent.path().join("review");
        let mut store = Store::open(&folder, parent.path())?;
        names(&mut store, &["a"]);
        fs::remove_dir_all(&folder)?;
        names(&mut store, &["a", "b"]);
        drop(store);
        let mut store = Store::open(&folder, parent.path())?;
        assert_eq!(store.state().setup.names, ["a", "b"]);
        fs::remove_dir_all(&folder)?;
        store.fold()?;
        drop(store);
        assert_eq!(Store::open(&folder, parent.path())?.state().setup.names, ["a", "b"]);
        Ok(())
    }

    #[test]
    fn a_second_server_is_refused() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let first = Store::open(folder.path(), folder.path())?;
        let second = Store::open(folder.path(), folder.path());
        let folder_name = folder.path().display().to_string();
        assert!(second.is_err_and(|error| error.to_string().starts_with(&folder_name)));
        drop(first);
        Store::open(folder.path(), folder.path()).map(drop)
    }
}
