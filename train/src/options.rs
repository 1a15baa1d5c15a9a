//! Named options in TOML and JSON files: names are checked, those of earlier versions are explained.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// Maximum edit distance of a suggested name.
const TYPOS: usize = 3;

/// Named options, or a group of them. [`option_group`] and [`named_options`] implement it.
pub(crate) trait Named {
    /// Appends the names.
    fn names(names: &mut Vec<&'static str>);

    /// Reads the value of a name; returns whether the name is one of these.
    fn set<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error>;
}

/// A set of named options, all optional in a file. [`named_options`] implements it.
pub(crate) trait Options: Named + Default {
    /// Options that were renamed: the old and the new name.
    const RENAMED: &'static [(&'static str, &'static str)];
    /// Removed options, and the value, as JSON, at which each had no effect; `None` where it only parametrised another.
    const DROPPED: &'static [(&'static str, Option<&'static str>)];

    /// [`update`](Self::update) of nested options.
    fn update_nested(_: &mut Map<String, Value>) -> Result<(), String> {
        Ok(())
    }

    /// Renames the options of a file of an earlier version, and deletes removed ones that were off.
    ///
    /// # Errors
    /// The message, where a removed option was in use.
    fn update(options: &mut Map<String, Value>) -> Result<(), String> {
        for (name, off) in Self::DROPPED {
            if let Some(value) = options.remove(*name).map(|value| value.to_string())
                && off.is_some_and(|off| value != off)
            {
                return Err(format!("option {name} is {value}, and this version no longer has it"));
            }
        }
        for (old, new) in Self::RENAMED {
            if let Some(value) = options.remove(*old) {
                options.insert((*new).to_owned(), value);
            }
        }
        Self::update_nested(options)
    }
}

/// Implements [`Named`] for a type with public fields, of which `groups` are [`Named`] themselves.
macro_rules! option_group {
    ($group:ty { $($field:ident),* $(; groups: $($inner:ident: $type:ty),*)? }) => {
        impl $crate::options::Named for $group {
            fn names(names: &mut Vec<&'static str>) {
                names.extend([$(stringify!($field)),*]);
                $($(<$type as $crate::options::Named>::names(names);)*)?
            }

            fn set<'de, A: serde::de::MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error> {
                match name {
                    $(stringify!($field) => self.$field = map.next_value()?,)*
                    _ => {
                        $($(
                            if self.$inner.set(name, map)? {
                                return Ok(true);
                            }
                        )*)?
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    };
}
pub(crate) use option_group;

/// Implements [`Options`] and `Deserialize` for a type that is [`Named`]; `nested` options are updated with it.
macro_rules! named_options {
    ($options:ty { renamed: $renamed:expr, dropped: $dropped:expr $(, nested: $name:ident of $inner:ty)? }) => {
        impl $crate::options::Options for $options {
            const RENAMED: &'static [(&'static str, &'static str)] = &$renamed;
            const DROPPED: &'static [(&'static str, Option<&'static str>)] = &$dropped;

            $(
                fn update_nested(options: &mut serde_json::Map<String, serde_json::Value>) -> Result<(), String> {
                    match options.get_mut(stringify!($name)) {
                        Some(serde_json::Value::Object(inner)) => <$inner as $crate::options::Options>::update(inner),
                        _ => Ok(()),
                    }
                }
            )?
        }

        impl<'de> serde::Deserialize<'de> for $options {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_map($crate::options::Reader(std::marker::PhantomData))
            }
        }
    };
}
pub(crate) use named_options;

/// Reads the options given by a user; the others have their defaults. Unknown, renamed and removed names are errors.
pub(crate) struct Reader<T>(pub(crate) PhantomData<T>);

impl<'de, T: Options> Visitor<'de> for Reader<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a table of options")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut options = T::default();
        while let Some(name) = map.next_key_seed(Name(PhantomData::<T>))? {
            options.set(&name, &mut map)?;
        }
        Ok(options)
    }
}

/// Reads the name of an option.
struct Name<T>(PhantomData<T>);

impl<'de, T: Options> DeserializeSeed<'de> for Name<T> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let name = String::deserialize(deserializer)?;
        check::<T>(&name).map_err(D::Error::custom)?;
        Ok(name)
    }
}

/// Deserializes the options in a file written by any version.
pub(crate) fn stored<'de, T: Options + Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let mut options = Map::deserialize(deserializer)?;
    T::update(&mut options).map_err(D::Error::custom)?;
    T::deserialize(Value::Object(options)).map_err(D::Error::custom)
}

/// Rejects an unknown option.
fn check<T: Options>(name: &str) -> Result<(), String> {
    let mut known = Vec::new();
    T::names(&mut known);
    if known.contains(&name) {
        return Ok(());
    }
    if let Some((old, new)) = T::RENAMED.iter().find(|(old, _)| *old == name) {
        return Err(format!("option {old} is now called {new}"));
    }
    if T::DROPPED.iter().any(|(dropped, _)| *dropped == name) {
        return Err(format!("option {name} was dropped: remove it"));
    }
    let nearest = known.iter().map(|option| (edits(name, option), option)).min();
    Err(match nearest {
        Some((edits, option)) if edits <= TYPOS => format!("unknown option {name}: did you mean {option}?"),
        _ => format!("unknown option {name}: the options are {}", known.join(", ")),
    })
}

/// Edit distance of two names (Levenshtein).
fn edits(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (index, a) in one.chars().enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        for (b, above) in other.chars().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(a != b);
            diagonal = *above;
            left = replaced.min(left + 1).min(*above + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LandmarkConfig, SelfTrainConfig, TrainConfig};

    fn refusal<T: for<'de> Deserialize<'de>>(text: &str) -> String {
        serde_json::from_str::<T>(text).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_name_that_is_no_option_is_explained() {
        type Refusal = fn(&str) -> String;
        let cases: [(Refusal, &str, &str); 8] = [
            (
                refusal::<TrainConfig>,
                r#"{"widths": [8, 8, 8, 8, 8]}"#,
                "option widths is now called channels",
            ),
            (refusal::<TrainConfig>, r#"{"average": 0.9}"#, "option average is now called ema_decay"),
            (refusal::<TrainConfig>, r#"{"context": 3}"#, "option context was dropped: remove it"),
            (
                refusal::<TrainConfig>,
                r#"{"temperatur": 1}"#,
                "unknown option temperatur: did you mean temperature?",
            ),
            (
                refusal::<TrainConfig>,
                r#"{"nothing_like_it": 1}"#,
                "unknown option nothing_like_it: the options are ",
            ),
            (refusal::<LandmarkConfig>, r#"{"widths": 1}"#, "option widths is now called channels"),
            (
                refusal::<SelfTrainConfig>,
                r#"{"agreement": 1}"#,
                "option agreement is now called max_disagreement",
            ),
            (
                refusal::<SelfTrainConfig>,
                r#"{"network": {"average": 1}}"#,
                "option average is now called ema_decay",
            ),
        ];
        for (refusal, text, message) in cases {
            assert!(refusal(text).starts_with(message), "{text}: {}", refusal(text));
        }
    }

    #[test]
    fn the_options_of_earlier_versions_are_read_from_what_they_stored() -> Result<(), serde_json::Error> {
        let text = r#"{"widths": [8, 8, 8, 8, 16], "average": 0.5, "ignored": 2, "whole_map_from": 8, "hard_negatives": 0}"#;
        let read: TrainConfig = stored(&mut serde_json::Deserializer::from_str(text))?;
        let expected = TrainConfig::default().with(|o| {
            o.model.channels = [8, 8, 8, 8, 16];
            o.optimiser.ema_decay = 0.5;
            o.loss.exclusion_radius = 2;
            o.loss.dense_negatives_min_stride = 8;
        });
        assert_eq!(read, expected);
        let used =
            stored::<TrainConfig, _>(&mut serde_json::Deserializer::from_str(r#"{"hard_negatives": 4}"#));
        assert!(used.is_err_and(|error| error.to_string().contains("option hard_negatives is 4")));
        let text = r#"{"match_back": 3.0, "network": {"average": 0.25}}"#;
        let read: SelfTrainConfig = stored(&mut serde_json::Deserializer::from_str(text))?;
        assert_eq!((read.max_cycle_error, read.network.optimiser.ema_decay), (3.0, 0.25));
        Ok(())
    }

    fn assert_named<T: Options + serde::Serialize>() -> Result<(), serde_json::Error> {
        let Value::Object(fields) = serde_json::to_value(T::default())? else { return Ok(()) };
        let mut names = Vec::new();
        T::names(&mut names);
        names.sort_unstable();
        assert_eq!(names, fields.keys().collect::<Vec<_>>());
        Ok(())
    }

    #[test]
    fn every_field_is_an_option() -> Result<(), serde_json::Error> {
        assert_named::<TrainConfig>()?;
        assert_named::<LandmarkConfig>()?;
        assert_named::<SelfTrainConfig>()
    }

    #[test]
    fn options_that_were_written_are_read_again() -> Result<(), serde_json::Error> {
        let config = TrainConfig::default().with(|o| {
            o.seed = u64::MAX;
            o.sampling.alpha = 0.1;
            o.sampling.least_entropy = Some(0.7);
        });
        assert_eq!(serde_json::from_str::<TrainConfig>(&serde_json::to_string(&config)?)?, config);
        Ok(())
    }
}
