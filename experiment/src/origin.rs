//! Which commit a file belongs to.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Serialize;

/// A commit of a git work tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Commit {
    hash: String,
    /// Whether tracked files differ from it.
    modified: bool,
}

impl Commit {
    /// The commit of the work tree that holds a file; none where there is none, or no git.
    pub fn of(file: &Path) -> Option<Self> {
        let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let hash = git(folder, ["rev-parse", "HEAD"])?;
        let name = file.file_name()?;
        // A file that git does not know says nothing about the commit.
        git(folder, [OsStr::new("ls-files"), OsStr::new("--error-unmatch"), OsStr::new("--"), name])?;
        let changes = git(folder, ["status", "--porcelain", "--untracked-files=no"])?;
        Some(Self { hash, modified: !changes.is_empty() })
    }

    /// The first ten digits of its hash, and whether there are changes.
    pub fn short(&self) -> String {
        let hash: String = self.hash.chars().take(10).collect();
        hash + if self.modified { " with changes" } else { "" }
    }
}

/// What git says, in a folder; none when it fails.
fn git<S: AsRef<OsStr>>(folder: &Path, args: impl IntoIterator<Item = S>) -> Option<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(args).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
