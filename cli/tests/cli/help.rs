//! `--help`, and what is said about wrong arguments.

use std::path::Path;

use crate::support::{infomark, words};

/// Names in the list of commands that `infomark --help` prints.
fn listed(help: &str) -> Vec<&str> {
    let (_, rest) = help.split_once("\nCommands:\n").expect("a list of commands");
    let (list, _) = rest.split_once("\n\n").expect("an end of the list");
    // What goes on in a second line is further in.
    let lines = list.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    lines.filter_map(|line| line.split(' ').next()).filter(|name| *name != "help").collect()
}

/// Names in the table of commands of docs/commands.md.
fn documented() -> Vec<String> {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/commands.md");
    let document = std::fs::read_to_string(document).expect("docs/commands.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `infomark "));
    rows.map(|row| row.split('`').next().unwrap_or(row).to_owned()).collect()
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let main = infomark(Path::new("."), ["--help"]).success();
    assert!(main.contains("\n  infomark demo\n"), "{main}");
    let mut commands = listed(&main);
    for command in &commands {
        let help = infomark(Path::new("."), [command, "--help"]).success();
        assert!(help.contains("\nExample"), "{command}");
        assert!(help.contains(&format!("\n  infomark {command} ")), "{command}: {help}");
        let is_option = |line: &&str| line.trim_start().starts_with('-');
        let options: Vec<&str> = help.lines().filter(is_option).flat_map(str::split_whitespace).collect();
        assert!(options.contains(&"--json") && options.contains(&"--threads"), "{command}: {help}");
        let wide = help.lines().find(|line| line.chars().count() > 120);
        assert_eq!(wide, None, "{command}");
    }
    assert!(commands.len() >= 17, "{commands:?}");
    let mut documented = documented();
    commands.sort_unstable();
    documented.sort_unstable();
    assert_eq!(commands, documented, "the table of commands in docs/commands.md");
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
