//! TensorBoard event files: records of length, masked CRC-32C and protocol buffer.
//!
//! Layout: tensorflow/core/lib/io/record_writer and tensorflow/core/util/event.proto, summary.proto.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use crate::TrainError;

#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

/// An event file that scalars are added to.
pub(crate) struct Events {
    file: File,
    path: PathBuf,
}

impl Events {
    /// Creates a file in the folder of a run; those of earlier processes stay, as TensorBoard reads all of them.
    pub(crate) fn create(run: &Path) -> Result<Self, TrainError> {
        let name = |nanos: u128| {
            format!(
                "events.out.tfevents.{:010}.{:09}.{}.infomark",
                nanos / 1_000_000_000,
                nanos % 1_000_000_000,
                std::process::id()
            )
        };
        let path = run.join(name(since_1970().as_nanos()));
        let file = File::create(&path).map_err(TrainError::file(&path, "can't write"))?;
        let mut events = Self { file, path };
        events.add(0, What::FileVersion("brain.Event:2".into()))?;
        Ok(events)
    }

    /// Adds the scalars of a step; those that are not finite are omitted.
    pub(crate) fn scalars(
        &mut self,
        step: u64,
        scalars: impl IntoIterator<Item = (String, f32)>,
    ) -> Result<(), TrainError> {
        let finite = scalars.into_iter().filter(|(_, value)| value.is_finite());
        let value = finite.map(|(tag, simple_value)| Scalar { tag, simple_value }).collect();
        self.add(step, What::Summary(Summary { value }))
    }

    fn add(&mut self, step: u64, what: What) -> Result<(), TrainError> {
        let wall_time = since_1970().as_secs_f64();
        let event = Event { wall_time, step: step as i64, what: Some(what) };
        // One write per record, so that readers rarely see a partial one.
        self.file.write_all(&record(&event)).map_err(TrainError::file(&self.path, "can't write"))
    }
}

fn since_1970() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn record(event: &Event) -> Vec<u8> {
    let data = event.encode_to_vec();
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked_crc(&length).to_le_bytes(), &data, &masked_crc(&data).to_le_bytes()].concat()
}

/// The masked checksum, safe for data that contain checksums.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of a file with correct checksums.
    fn parse(mut bytes: &[u8]) -> Option<Vec<Event>> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            let (length, rest) = bytes.split_at_checked(8)?;
            let (check, rest) = rest.split_at_checked(4)?;
            let count = u64::from_le_bytes(length.try_into().ok()?) as usize;
            let (data, rest) = rest.split_at_checked(count)?;
            let (data_check, rest) = rest.split_at_checked(4)?;
            (check == masked_crc(length).to_le_bytes()).then_some(())?;
            (data_check == masked_crc(data).to_le_bytes()).then_some(())?;
            events.push(Event::decode(data).ok()?);
            bytes = rest;
        }
        Some(events)
    }

    #[test]
    fn the_first_record_is_the_one_that_every_event_file_begins_with() {
        // What TensorFlow writes for wall time 0: 8 bytes of 0 have the masked checksum below.
        let event = Event { wall_time: 1.0, step: 0, what: Some(What::FileVersion("brain.Event:2".into())) };
        let bytes = record(&event);
        assert_eq!(bytes.len(), 8 + 4 + 24 + 4);
        assert_eq!(bytes[..8], 24u64.to_le_bytes());
        assert_eq!(bytes[12..21], [9, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]);
        assert_eq!(&bytes[21..23], &[0x1a, 13]);
        assert_eq!(&bytes[23..36], b"brain.Event:2");
        // RFC 3720, B.4: the CRC-32C of 32 bytes of zeros.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn scalars_come_back_as_they_were_written() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let mut events = Events::create(dir.path())?;
        events.scalars(7, [("loss".into(), 1.5), ("psi/low".into(), f32::NAN)])?;
        events.scalars(8, [("loss".into(), -2.0)])?;
        let read = parse(&std::fs::read(&events.path)?).ok_or("checksums differ")?;
        let steps: Vec<i64> = read.iter().map(|event| event.step).collect();
        assert_eq!(steps, [0, 7, 8]);
        let Some(What::Summary(summary)) = &read[1].what else { return Err("no summary".into()) };
        assert_eq!(summary.value, [Scalar { tag: "loss".into(), simple_value: 1.5 }]);
        Ok(())
    }
}
