//! Parts of the images that an experiment scores.

use serde::Deserialize;

use crate::DefinitionError;

/// Images of a part.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Part {
    /// Those whose names are numbers in a range, such as `151-300`.
    Range(String),
    /// Those of these names, with or without ending.
    Names(Vec<String>),
}

impl Part {
    pub(crate) fn check(&self) -> Result<(), DefinitionError> {
        match self {
            Self::Range(range) if ends(range).is_none() => {
                let needs = "this is no range of numbers such as \"151-300\", nor a list of names";
                Err(DefinitionError::Key { key: format!("{range:?}"), needs })
            }
            _ => Ok(()),
        }
    }

    /// Whether an image is in it.
    pub(crate) fn has(&self, image: &str) -> bool {
        match self {
            Self::Range(range) => {
                let number = stem(image).parse::<u64>();
                number.is_ok_and(|number| {
                    ends(range).is_some_and(|(first, last)| (first..=last).contains(&number))
                })
            }
            Self::Names(names) => names.iter().any(|name| is_called(image, name)),
        }
    }
}

/// The ends of a range of numbers.
fn ends(range: &str) -> Option<(u64, u64)> {
    let (first, last) = range.split_once('-')?;
    let ends = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (ends.0 <= ends.1).then_some(ends)
}

fn stem(image: &str) -> &str {
    image.rsplit_once('.').map_or(image, |(stem, _)| stem)
}

/// Whether an image has this name, with or without its ending.
pub(crate) fn is_called(image: &str, name: &str) -> bool {
    image == name || stem(image) == name
}
