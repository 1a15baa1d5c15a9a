//! Lists of images, their shards, merging of parts, and locks of folders.

use std::collections::HashSet;

use infomark_infer::{
    FileError, FolderLock, FolderLockError, ImageList, ImageListError, MergeError, PartIndex, Shard,
    ShardError, file_stem_of,
};
use proptest::prelude::*;

fn list(text: impl AsRef<[u8]>, shard: Option<Shard>) -> Result<ImageList, ImageListError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.csv");
    std::fs::write(&path, text).unwrap();
    ImageList::read(path, shard)
}

#[test]
fn columns_are_in_any_order_and_relative_paths_are_those_of_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.csv");
    std::fs::write(&path, "\u{feff}ward,Path,IMAGE\r\n1, a/1.png ,\"one, two\"\r\n2,/b/2.png,three\r\n")
        .unwrap();
    let list = ImageList::read(&path, None).unwrap();
    let images: Vec<_> =
        list.images().iter().map(|image| (image.label.as_str(), image.path.clone())).collect();
    assert_eq!(images, [("one, two", folder.path().join("a/1.png")), ("three", "/b/2.png".into())]);
}

#[test]
fn what_is_wrong_in_a_list_is_told_with_its_line() {
    use ImageListError::{Column, Duplicate, Empty, EmptyField, Encoding, Fields, File, Label, Quote};
    let error = |text: &str| list(text, None).unwrap_err();
    assert!(matches!(error("image,path\nä,1\nb,2\nÄ,3\n"), Duplicate { line: 4, first: 2, .. }));
    assert!(matches!(error("image,path\n\u{e4},1\na\u{308},3\n"), Duplicate { line: 3, first: 2, .. }));
    assert!(matches!(error("image\n1\n"), Column { column: "path", problem: "missing", .. }));
    assert!(matches!(error("image,path,path\n1,2,3\n"), Column { column: "path", problem: "repeated", .. }));
    assert!(matches!(error("image,path\n1,2\n\" \",2\n"), EmptyField { line: 3, column: "image", .. }));
    assert!(matches!(error("image,path\n1,2\n3\n"), Fields { line: 3, found: 1, expected: 2, .. }));
    assert!(matches!(error("image,path\n\"1\n2\",2\n"), Label { line: 2, .. }));
    assert!(matches!(error(&format!("image,path\n{},2\n", "x".repeat(1001))), Label { line: 2, .. }));
    assert!(matches!(error("image,path\n1,2\n3,\"4\n5,6\n"), Quote { line: 3, .. }));
    assert!(matches!(error("image,path\r\n\r\n1,2\r\n3, \"4\"\r\n"), Quote { line: 4, .. }));
    assert!(matches!(error("image,path\r\n1,2\r\n\r\n1,3\r\n"), Duplicate { line: 4, first: 2, .. }));
    assert!(matches!(error("image,path\n"), Empty { .. }));
    assert!(matches!(list(b"image,path\na,b\n\xff,c\n", None).unwrap_err(), Encoding { line: 3, .. }));
    assert!(matches!(ImageList::read("/nowhere", None).unwrap_err(), File(FileError::Missing { .. })));
    assert!(matches!(ImageList::read("/", None).unwrap_err(), File(FileError::NotAFile { .. })));
}

#[test]
fn shards_are_read_from_text_within_their_range() {
    assert_eq!("2/8".parse::<Shard>().unwrap(), Shard::new(2, 8).unwrap());
    assert_eq!(Shard::new(2, 8).unwrap().to_string(), "2/8");
    for text in ["0/2", "3/2", "1/0", "1/1000001"] {
        assert!(matches!(text.parse::<Shard>(), Err(ShardError::Range { .. })), "{text}");
    }
    for text in ["", "1", "1/", "/2", "1/2/3", "a/b", "-1/2", "1/99999999999"] {
        assert!(matches!(text.parse::<Shard>(), Err(ShardError::Form { .. })), "{text}");
    }
}

#[test]
fn shards_are_about_equal_and_their_hash_is_the_documented_one() {
    // By Python: 1 + int.from_bytes(hashlib.sha256(label.encode()).digest()[:8], "big") % 8
    let known = [("001.png", 7), ("ward-a/1", 5), ("sélla", 8)];
    for (label, number) in known {
        assert_eq!(Shard::number_of(label, 8), number, "{label}");
    }
    let mut sizes = [0; 8];
    for index in 0..8000 {
        sizes[Shard::number_of(&format!("{index}.png"), 8) as usize - 1] += 1;
    }
    assert!(sizes.iter().all(|size| (880..1120).contains(size)), "{sizes:?}");
}

#[test]
fn images_in_two_parts_missing_and_unlisted_ones_are_told() {
    let index = |images: &[(u32, &str)]| {
        let mut index = PartIndex::new();
        images
            .iter()
            .try_for_each(|&(part, label)| index.slot(part, label).map(|item| *item = label.len()))?;
        Ok(index)
    };
    let twice = index(&[(0, "a"), (1, "b"), (1, "a")]).map(drop);
    assert_eq!(twice, Err(MergeError::Twice { label: "a".into(), first: 0 }));
    let merged = |images: &[(u32, &str)], list: &[&str]| index(images)?.in_order(list.iter().copied());
    let parts = [(0, "a"), (1, "bb"), (1, "ccc")];
    assert_eq!(merged(&parts, &["bb", "a", "ccc"]), Ok(vec![(1, 2), (0, 1), (1, 3)]));
    let missing = merged(&parts, &["a", "d", "bb", "e", "ccc"]);
    assert_eq!(missing, Err(MergeError::Missing { count: 2, listed: 5, first: "d".into() }));
    assert_eq!(merged(&parts, &["a"]), Err(MergeError::Unlisted { count: 2, part: 1 }));
}

#[test]
fn a_folder_is_locked_until_its_lock_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let lock = FolderLock::acquire(folder.path()).unwrap();
    let refused = FolderLock::acquire(folder.path()).unwrap_err();
    assert!(
        matches!(&refused, FolderLockError::InUse { folder: named } if *named == folder.path().display().to_string())
    );
    drop(lock);
    drop(FolderLock::acquire(folder.path()).unwrap());
    let nowhere = FolderLock::acquire(folder.path().join("nowhere")).unwrap_err();
    assert!(matches!(nowhere, FolderLockError::Unwritable { .. }), "{nowhere}");
    std::fs::create_dir_all(folder.path().join("other/lock")).unwrap();
    let other = FolderLock::acquire(folder.path().join("other")).unwrap_err();
    assert!(matches!(other, FolderLockError::NotAFile { .. }), "{other}");
}

proptest! {
    #[test]
    fn the_shards_of_a_list_are_its_images_in_its_order(
        labels in prop::collection::hash_set("[a-z0-9/ ]{0,6}[a-z0-9]", 1..60),
        count in 1_u32..9,
    ) {
        let labels: Vec<String> = labels.into_iter().collect();
        let unique: HashSet<&str> = labels.iter().map(|label| label.trim()).collect();
        prop_assume!(unique.len() == labels.len());
        let text: String = labels.iter().map(|label| format!("{label},{label}.png\n")).collect();
        let text = format!("image,path\n{text}");
        let whole = list(&text, None).unwrap();
        let mut index = PartIndex::new();
        let mut total = 0;
        for shard in 1..=count {
            let part = list(&text, Some(Shard::new(shard, count).unwrap())).unwrap();
            prop_assert_eq!(part.total(), labels.len());
            let places = part.images().iter().map(|image| {
                whole.images().iter().position(|other| other.label == image.label).unwrap()
            });
            prop_assert!(places.is_sorted());
            for image in part.images() {
                *index.slot(shard, &image.label).unwrap() = image.label.clone();
                total += 1;
            }
        }
        prop_assert_eq!(total, labels.len());
        let order = index.in_order(whole.images().iter().map(|image| image.label.as_str())).unwrap();
        for ((part, item), image) in order.iter().zip(whole.images()) {
            prop_assert_eq!(item, &image.label);
            prop_assert_eq!(*part as u32, Shard::number_of(item, count));
        }
    }

    #[test]
    fn stems_are_file_names_that_tell_labels_apart(one in any::<String>(), other in any::<String>()) {
        let (first, second) = (file_stem_of(&one), file_stem_of(&other));
        prop_assert_eq!(one == other, first == second);
        for stem in [first, second] {
            prop_assert!(stem.len() <= 200 && !stem.starts_with('.'));
            prop_assert!(stem.chars().all(|letter| letter.is_alphanumeric() || "-_.%".contains(letter)));
        }
    }
}
