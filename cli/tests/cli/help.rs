//! `--help`, and what is said about wrong arguments.

use std::path::Path;

use crate::support::{infomark, words};

#[test]
fn every_command_explains_itself_with_an_example() {
    for command in [
        "train",
        "train-landmarks",
        "self-train",
        "tune",
        "match",
        "evaluate",
        "experiment",
        "psi",
        "map",
        "convert",
        "report",
        "review",
        "demo",
    ] {
        let help = infomark(Path::new("."), [command, "--help"]).success();
        assert!(help.contains("Example"), "{command}");
        assert!(help.contains(&format!("\n  infomark {command} ")), "{command}: {help}");
        assert!(help.contains("--json") && help.contains("--threads"), "{command}");
        assert!(help.lines().all(|line| line.chars().count() <= 120), "{command}");
    }
    assert!(infomark(Path::new("."), ["--help"]).success().contains("infomark demo"));
}

#[test]
fn wrong_arguments_are_explained_in_one_line() {
    let lines = [
        ("map", "<IMAGE>"),
        ("match --model a --template b --landmarks c --out d", "IMAGES"),
        ("train images", "--out"),
        ("train images --out a --steps 5 --minutes 3", "--steps"),
        ("train images --out a --steps many", "many"),
        ("evaluate --model a --data b --template c --all-templates", "--all-templates"),
        ("map a.png -k 9 --medium 3", "--high"),
        ("demo --nonsense", "--nonsense"),
        ("dmeo", "dmeo"),
    ];
    for (line, named) in lines {
        let outcome = infomark(Path::new("."), words(line));
        assert_eq!(outcome.code, Some(2), "{line}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{line}: {}", outcome.stderr);
        assert!(outcome.stderr.starts_with("error: "), "{line}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(named), "{line}: {}", outcome.stderr);
        assert!(outcome.stdout.is_empty(), "{line}");
    }
}
