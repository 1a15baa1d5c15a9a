//! Options of earlier versions that no longer exist.

use serde::{Deserialize, Deserializer, de};

/// Reads the switches of test-time augmentation of an earlier version, which have to be off.
pub(crate) fn no_looks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    #[derive(Deserialize)]
    #[serde(default, deny_unknown_fields)]
    #[derive(Default)]
    struct TestTimeAugmentation {
        turned: bool,
        mirrored: bool,
        fine: bool,
    }
    let TestTimeAugmentation { turned, mirrored, fine } = TestTimeAugmentation::deserialize(deserializer)?;
    match (turned, mirrored, fine) {
        (false, false, false) => Ok(()),
        _ => Err(de::Error::custom(
            "it was made with test-time augmentation (turned, mirrored or fine), which this version has no longer; make it again",
        )),
    }
}
