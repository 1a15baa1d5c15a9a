//! Lists of images, shards, `infomark merge`, and results that are whole or as they were when a process is killed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Outcome, Workplace, words};

const GIVEN: &str = "--model encoder.onnx --template data/images/0.png --landmarks data/landmarks.csv";

/// A workplace with `many/images` of so many images and `list.csv` of them, one of which is damaged and one missing.
fn with_list(count: u64) -> Workplace {
    let place = Workplace::new();
    place.make_data("many", count, 4);
    let mut list = String::from("path,image,ward\n");
    for index in 0..count {
        list += &format!("many/images/{index}.png,patient {}/{index},a\n", index % 3);
    }
    place.write("bad.png", "not an image");
    list += "bad.png,bad,b\nnowhere.png,missing,b\n";
    place.write("list.csv", list);
    place
}

impl Workplace {
    fn run_list(&self, rest: &str) -> Outcome {
        self.run_match(&format!("--images-from list.csv --keep-going {rest}"))
    }

    /// Starts the program on a thread of its own.
    fn start(&self, line: &str) -> Child {
        Command::new(env!("CARGO_BIN_EXE_infomark"))
            .args(words(line))
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }
}

#[test]
fn merged_shards_are_the_result_of_one_run() {
    let place = with_list(10);
    let formats = "--format coco,labelme,slicer --spacing 0.5 0.25 --svg --threads 1";
    place.run_list(&format!("--out one {formats}")).success();
    for shard in 1..=3 {
        place.run_list(&format!("--shard {shard}/3 --out found/{shard} {formats}")).success();
    }
    let merge = "merge found/3 found/1 found/2 --images-from list.csv --out all --format coco,labelme,slicer";
    let outcome = place.run(merge);
    assert!(outcome.stderr.contains("warning: 2 of 12 images failed, the first is bad: "), "{outcome:?}");
    outcome.success();
    let (one, all) = (place.result("one"), place.result("all"));
    assert_eq!(one.keys().collect::<Vec<_>>(), all.keys().collect::<Vec<_>>());
    assert!(one == all);
    assert_eq!(one.len(), 4 + 2 * 10 + 20);
    let errors = String::from_utf8(place.read("all/errors.csv")).unwrap();
    let rows: Vec<&str> = errors.lines().collect();
    assert!(
        rows[0] == "image,error" && rows[1].starts_with("bad,\"bad.png: ") && rows[2].starts_with("missing,")
    );
    assert_eq!(rows.len(), 3);
    let table = String::from_utf8(place.read("all/landmarks.csv")).unwrap();
    assert!(table.contains("\npatient 1/4,sella,"), "{table}");
    assert!(one.contains_key(&PathBuf::from("overlays/patient%201%2F4.png")));
    // A shard that was killed and run again, and one without overlays.
    let line =
        format!("match {GIVEN} --images-from list.csv --keep-going --shard 2/3 --out again/2 {formats}");
    let mut child = place.start(&line);
    while place.journaled("again/2") == 0 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    place.run(&line).success();
    assert!(place.result("again/2") == place.result("found/2"));
    let merge = "merge found/3 found/1 again/2 --images-from list.csv --out bare --no-overlays --json";
    let object = place.run(merge).json();
    assert_eq!(object["images"][3]["overlay"], serde_json::Value::Null);
    assert!(object.get("shard").is_none() && object["images_left"] == 0);
    assert_eq!(place.read("bare/landmarks.csv"), place.read("one/landmarks.csv"));
    assert!(!place.file("bare/overlays").exists());
}

#[test]
fn shards_that_make_no_whole_are_refused() {
    let place = with_list(6);
    let shard = |shard: &str, out: &str, more: &str| {
        place.run_list(&format!("--shard {shard} --out {out} --no-overlays {more}")).success();
    };
    shard("1/2", "1", "");
    shard("2/2", "2", "");
    shard("2/2", "other", "--no-prior");
    shard("1/3", "third", "");
    let refused = |results: &str| {
        let reason = place.run(&format!("merge {results} --images-from list.csv --out all")).reason();
        assert!(!place.file("all").exists(), "{results}");
        reason
    };
    let rows = |folder: &str| {
        let object: serde_json::Value =
            serde_json::from_slice(&place.read(&format!("{folder}/landmarks.json"))).unwrap();
        object["images"].as_array().unwrap().len() + object["failed"].as_array().unwrap().len()
    };
    let (reason, missing) = (refused("1"), 8 - rows("1"));
    assert!(reason.starts_with(&format!("list.csv: {missing} of its 8 images are in none")), "{reason}");
    let reason = refused("1 2 2");
    assert!(reason.starts_with("2: the image ") && reason.contains(" and in 2;"), "{reason}");
    let reason = refused("1 2 third");
    assert!(reason.starts_with("third: the image "), "{reason}");
    let reason = refused("1 other");
    assert!(reason.starts_with("other: its way of matching is not that of 1;"), "{reason}");
    let reason = refused("1 nowhere");
    assert!(reason.starts_with("nowhere: holds no finished result"), "{reason}");
    // A shorter list, and a result that is no longer as it was written.
    let list = String::from_utf8(place.read("list.csv")).unwrap();
    place.write("short.csv", list.lines().take(4).collect::<Vec<_>>().join("\n"));
    let reason = place.run("merge 1 2 --images-from short.csv --out all").reason();
    assert!(reason.starts_with("short.csv: 5 images of the results are not in the list"), "{reason}");
    let object = String::from_utf8(place.read("2/landmarks.json")).unwrap();
    place.write("2/landmarks.json", object.replace("\"images_left\": 0", "\"images_left\": 3"));
    let reason = refused("1 2");
    assert!(reason.starts_with("2: not finished, 3 images"), "{reason}");
    place.write("2/landmarks.json", &object[..object.len() / 2]);
    let reason = refused("1 2");
    assert!(reason.starts_with("2/landmarks.json: "), "{reason}");
    let reason = place.run("merge 1 2 --images-from list.csv --out 1").reason();
    assert!(reason.starts_with("1: this is one of the results"), "{reason}");
}

#[test]
fn a_shard_keeps_its_images_when_others_are_added_and_does_none_again() {
    let place = with_list(8);
    let labels = || {
        let table = String::from_utf8(place.read("found/landmarks.csv")).unwrap();
        let mut labels: Vec<String> =
            table.lines().skip(1).map(|row| row.split(',').next().unwrap().to_owned()).collect();
        labels.dedup();
        labels
    };
    place.run_list("--shard 1/2 --out found").success();
    let before = labels();
    let journaled = place.journaled("found");
    assert_eq!(journaled, before.len());
    // Unreadable now, but of the same size and time: known images are not opened.
    let damage = |index: &str, keep_time: bool| {
        let path = place.file(&format!("many/images/{index}.png"));
        let data = fs::metadata(&path).unwrap();
        fs::write(&path, vec![0; data.len() as usize]).unwrap();
        if keep_time {
            File::options().write(true).open(&path).unwrap().set_modified(data.modified().unwrap()).unwrap();
        }
    };
    before.iter().for_each(|label| damage(label.split('/').nth(1).unwrap(), true));
    place.make_data("more", 4, 9);
    let mut list = String::from_utf8(place.read("list.csv")).unwrap();
    for index in 0..4 {
        list.insert_str(list.find('\n').unwrap() + 1, &format!("more/images/{index}.png,new {index},c\n"));
    }
    place.write("list.csv", list);
    place.run_list("--shard 1/2 --out found").success();
    let after = labels();
    assert_eq!(
        after.iter().filter(|label| !label.starts_with("new ")).collect::<Vec<_>>(),
        before.iter().collect::<Vec<_>>()
    );
    assert_eq!(place.journaled("found"), after.len());
    // Another time of modification: it is read again.
    damage(before[0].split('/').nth(1).unwrap(), false);
    place.run_list("--shard 1/2 --out found").success();
    assert!(!labels().contains(&before[0]));
    let errors = String::from_utf8(place.read("found/errors.csv")).unwrap();
    assert!(errors.contains(&format!("\n{},", before[0])), "{errors}");
}

#[test]
fn what_is_wrong_in_a_list_is_named_and_a_bad_image_is_its_own_failure() {
    let place = Workplace::new();
    let refused = |list: &str| {
        place.write("list.csv", list);
        let reason = place.run_match("--images-from list.csv --out none").reason();
        assert!(!place.file("none").exists());
        reason
    };
    for (list, named) in [
        (
            "image,path\na,data/images/1.png\nb,x\nA,y\n",
            "list.csv, line 4: the image A is listed a second time (first in line 2",
        ),
        ("image,file\na,b\n", "list.csv: the column path is missing"),
        ("image,path\na,\n", "list.csv, line 2: path is empty"),
        ("image,path\na,b,c\n", "list.csv, line 2: 3 fields"),
        ("image,path\n", "list.csv: no image"),
    ] {
        let reason = refused(list);
        assert!(reason.starts_with(named), "{reason}");
    }
    place.write("list.csv", "image,path\na,data/images/1.png\nb,data\nc,list.csv\nd,nowhere.png\n");
    let outcome = place.run_match("--images-from list.csv --out found");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.ends_with("error: 3 of 4 images failed, the first is b\n"), "{outcome:?}");
    let errors = String::from_utf8(place.read("found/errors.csv")).unwrap();
    assert_eq!(errors.lines().count(), 4, "{errors}");
    place.run_match("--images-from list.csv --out found --keep-going").success();
    for (line, named) in [
        ("--images-from list.csv --out none --shard 0/2", "--shard"),
        ("--images-from list.csv --out none --shard 3/2", "3 of 2"),
        ("--images-from list.csv --out none --shard 2", "2/8"),
        ("data/images --out none --shard 1/2", "--shard"),
        ("data/images --images-from list.csv --out none", "--images-from"),
    ] {
        let outcome = place.run_match(line);
        assert!(outcome.code == Some(2) && outcome.stderr.contains(named), "{line}: {outcome:?}");
    }
    // A shard may have no image.
    place.write("list.csv", "image,path\na,data/images/1.png\n");
    for shard in 1..=2 {
        place.run_match(&format!("--images-from list.csv --shard {shard}/2 --out half/{shard}")).success();
    }
    place.run("merge half/1 half/2 --images-from list.csv --out both").success();
    place.run_match("--images-from list.csv --out one").success();
    assert!(place.result("both") == place.result("one"));
}

#[test]
fn a_folder_that_another_process_writes_to_is_refused_by_name() {
    let place = Workplace::new();
    place.run_match("data/images/1.png --out found").success();
    let before = place.tree("found");
    let lock = File::open(place.file("found/.infomark/lock")).unwrap();
    lock.lock().unwrap();
    place.write("list.csv", "image,path\n1.png,data/images/1.png\n");
    place.run_match("--images-from list.csv --out other").success();
    for line in [
        &format!("match {GIVEN} data/images/2.png --out found"),
        "merge other --images-from list.csv --out found",
    ] {
        let reason = place.run(line).reason();
        assert!(reason.starts_with("found: another process "), "{line}: {reason}");
    }
    assert!(place.tree("found") == before);
    // It can be read.
    place.run("merge found --images-from list.csv --out all").success();
    drop(lock);
    place.run("merge other --images-from list.csv --out found").success();
    assert!(place.result("found").contains_key(&PathBuf::from("overlays/1.png.png")));
}

#[test]
fn a_result_is_the_old_or_the_new_whenever_its_process_is_killed() {
    let place = Workplace::new();
    place.make_data("many", 6, 4);
    place.run_match("many/images data/images/1.png --out before --no-prior --format labelme").success();
    place.run_match("many/images --out after --format coco").success();
    let (before, after) = (place.result("before"), place.result("after"));
    let line = format!("match {GIVEN} many/images --out found --format coco");
    let restore = |from: &str| {
        let _ = fs::remove_dir_all(place.file("found"));
        place
            .tree(from)
            .iter()
            .for_each(|(path, bytes)| place.write(&format!("found/{}", path.display()), bytes));
    };
    let (mut old, mut resumed) = (0, 0);
    const MOMENTS: usize = 11;
    for moment in 0..MOMENTS {
        for earlier in [true, false] {
            if earlier {
                restore("before");
            } else {
                let _ = fs::remove_dir_all(place.file("found"));
            }
            let mut child = place.start(&line);
            // After so many images, and then some.
            let begun = Instant::now();
            while place.journaled("found") < moment.min(6) && child.try_wait().unwrap().is_none() {
                assert!(begun.elapsed() < Duration::from_secs(300));
                std::thread::sleep(Duration::from_millis(1));
            }
            std::thread::sleep(Duration::from_millis(4 * moment.saturating_sub(6) as u64));
            child.kill().unwrap();
            child.wait().unwrap();
            fs::create_dir_all(place.file("found")).unwrap();
            let found = place.result("found");
            let is_new = found == after;
            let moved = |of: &BTreeMap<PathBuf, Vec<u8>>| {
                let part = found.iter().all(|(path, bytes)| of.get(path) == Some(bytes));
                part && !found.contains_key(&PathBuf::from("landmarks.json"))
            };
            assert!(
                is_new || found == before || moved(&before) || moved(&after),
                "{moment}: {:?}",
                found.keys()
            );
            old += usize::from(earlier && found == before);
            resumed += usize::from(place.journaled("found") > 0);
            assert!(place.run(&line).code == Some(0));
            assert!(place.result("found") == after);
            let left: Vec<_> =
                place.tree("found").into_keys().filter(|path| path.starts_with(".infomark")).collect();
            assert_eq!(left.len(), 2, "{left:?}");
        }
    }
    assert!(old > 3 && resumed > 3, "{old} {resumed}");
}

#[cfg(unix)]
#[test]
fn a_stopped_matching_leaves_the_complete_result_before_it() {
    let place = Workplace::new();
    place.make_data("many", 60, 4);
    place.run_match("data/images --out found --no-prior").success();
    let before = place.result("found");
    let mut child = place.start(&format!("match {GIVEN} many/images --out found --threads 1"));
    while place.journaled("found") < 3 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(place.result("found") == before);
    let done = place.journaled("found");
    assert!((3..60).contains(&done), "{done}");
    place.run_match("many/images --out found").success();
    place.run_match("many/images --out whole").success();
    assert!(place.result("found") == place.result("whole"));
}
