//! Named options of TOML and JSON files: names are checked, those of earlier versions are explained.

use std::fmt;

use serde::de::{self, DeserializeSeed, Error as _, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, forward_to_deserialize_any};
use serde_json::{Map, Value};

/// Largest edit distance of a name that is suggested.
const TYPOS: usize = 3;

/// A set of named options, any of which a file may give: [`named_options`] implements it.
pub(crate) trait Options: Default + Serialize + Sized {
    /// Options that were renamed: the old and the new name.
    const RENAMED: &'static [(&'static str, &'static str)];
    /// Options that were dropped, each with the value, as JSON, at which it did nothing.
    const DROPPED: &'static [(&'static str, &'static str)];

    /// Deserializes the fields without checking their names.
    fn fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;

    /// [`update`](Self::update) of options within these.
    fn update_nested(_: &mut Map<String, Value>) -> Result<(), String> {
        Ok(())
    }

    /// Gives the options of a file of an earlier version their present names, and removes dropped ones that were off.
    ///
    /// # Errors
    /// The message, where a dropped option was in use.
    fn update(options: &mut Map<String, Value>) -> Result<(), String> {
        for (name, off) in Self::DROPPED {
            if let Some(value) = options.remove(*name).map(|value| value.to_string())
                && value != *off
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

/// Implements [`Options`], `Deserialize` and `Serialize` for a type that derives the latter two with `remote = "Self"`.
macro_rules! named_options {
    ($options:ty { renamed: $renamed:expr, dropped: $dropped:expr $(, nested: $name:literal of $inner:ty)? }) => {
        impl $crate::options::Options for $options {
            const RENAMED: &'static [(&'static str, &'static str)] = &$renamed;
            const DROPPED: &'static [(&'static str, &'static str)] = &$dropped;

            fn fields<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::deserialize(deserializer)
            }

            $(
                fn update_nested(options: &mut serde_json::Map<String, serde_json::Value>) -> Result<(), String> {
                    match options.get_mut($name) {
                        Some(serde_json::Value::Object(inner)) => <$inner as $crate::options::Options>::update(inner),
                        _ => Ok(()),
                    }
                }
            )?
        }

        impl<'de> serde::Deserialize<'de> for $options {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::options::given(deserializer)
            }
        }

        impl serde::Serialize for $options {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Self::serialize(self, serializer)
            }
        }
    };
}
pub(crate) use named_options;

/// Deserializes options that a user gave. Unknown, renamed and dropped names are errors.
pub(crate) fn given<'de, T: Options, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let Value::Object(known) = serde_json::to_value(T::default()).map_err(D::Error::custom)? else {
        return Err(D::Error::custom("the options have no names"));
    };
    T::fields(Checked { inner: deserializer, check: |name: &str| check::<T>(name, &known) })
}

/// Deserializes the options in a file that some version of the program wrote.
pub(crate) fn stored<'de, T: Options + Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let mut options = Map::deserialize(deserializer)?;
    T::update(&mut options).map_err(D::Error::custom)?;
    T::deserialize(Value::Object(options)).map_err(D::Error::custom)
}

/// Refuses a name that is no option.
fn check<T: Options>(name: &str, known: &Map<String, Value>) -> Result<(), String> {
    if known.contains_key(name) {
        return Ok(());
    }
    if let Some((old, new)) = T::RENAMED.iter().find(|(old, _)| *old == name) {
        return Err(format!("option {old} is now called {new}"));
    }
    if T::DROPPED.iter().any(|(dropped, _)| *dropped == name) {
        return Err(format!("option {name} was dropped: remove it"));
    }
    let nearest = known.keys().map(|option| (edits(name, option), option)).min();
    Err(match nearest {
        Some((edits, option)) if edits <= TYPOS => format!("unknown option {name}: did you mean {option}?"),
        _ => {
            let all: Vec<&str> = known.keys().map(String::as_str).collect();
            format!("unknown option {name}: the options are {}", all.join(", "))
        }
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

/// A deserializer of a map whose keys are checked as they come, so that errors keep their place in the file.
struct Checked<I, F> {
    inner: I,
    check: F,
}

impl<'de, D: Deserializer<'de>, F: Fn(&str) -> Result<(), String>> Deserializer<'de> for Checked<D, F> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_map(Checked { inner: visitor, check: self.check })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>, F: Fn(&str) -> Result<(), String>> Visitor<'de> for Checked<V, F> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(formatter)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Checked { inner: map, check: self.check })
    }
}

impl<'de, A: MapAccess<'de>, F: Fn(&str) -> Result<(), String>> MapAccess<'de> for Checked<A, F> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(name) = self.inner.next_key::<String>()? else { return Ok(None) };
        (self.check)(&name).map_err(de::Error::custom)?;
        seed.deserialize(name.into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(seed)
    }
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
        let expected = TrainConfig {
            channels: [8, 8, 8, 8, 16],
            ema_decay: 0.5,
            exclusion_radius: 2,
            dense_negatives_min_stride: 8,
            ..TrainConfig::default()
        };
        assert_eq!(read, expected);
        let used =
            stored::<TrainConfig, _>(&mut serde_json::Deserializer::from_str(r#"{"hard_negatives": 4}"#));
        assert!(used.is_err_and(|error| error.to_string().contains("option hard_negatives is 4")));
        let text = r#"{"match_back": 3.0, "network": {"average": 0.25}}"#;
        let read: SelfTrainConfig = stored(&mut serde_json::Deserializer::from_str(text))?;
        assert_eq!((read.max_cycle_error, read.network.ema_decay), (3.0, 0.25));
        Ok(())
    }

    #[test]
    fn options_that_were_written_are_read_again() -> Result<(), serde_json::Error> {
        let config =
            TrainConfig { seed: u64::MAX, alpha: 0.1, least_entropy: Some(0.7), ..TrainConfig::default() };
        assert_eq!(serde_json::from_str::<TrainConfig>(&serde_json::to_string(&config)?)?, config);
        Ok(())
    }
}
