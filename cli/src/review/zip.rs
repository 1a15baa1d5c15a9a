//! ZIP archives without compression (APPNOTE 6.3.10).

use flate2::Crc;

/// Names are UTF-8.
const UTF_8: u16 = 1 << 11;
/// Version 2.0, which all programs read.
const VERSION: u16 = 20;
/// The earliest date of the format, 1980-01-01, so that the same files give the same bytes.
const DAY: u16 = (1 << 5) | 1;

/// The archive of files with these names. `None` if it exceeds the limits of the format, 4 GiB or 65,535 files.
pub(super) fn archive(files: &[(String, Vec<u8>)]) -> Option<Vec<u8>> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let start = u32::try_from(archive.len()).ok()?;
        let length = u32::try_from(bytes.len()).ok()?;
        let mut crc = Crc::new();
        crc.update(bytes);
        let mut common = Vec::new();
        for word in [VERSION, UTF_8, 0, 0, DAY] {
            common.extend(word.to_le_bytes());
        }
        for long in [crc.sum(), length, length] {
            common.extend(long.to_le_bytes());
        }
        common.extend(u16::try_from(name.len()).ok()?.to_le_bytes());
        common.extend([0; 2]);
        archive.extend(b"PK\x03\x04");
        archive.extend(&common);
        archive.extend(name.as_bytes());
        archive.extend(bytes);
        directory.extend(b"PK\x01\x02");
        directory.extend(VERSION.to_le_bytes());
        directory.extend(&common);
        // No comment, first disk, no attributes.
        directory.extend([0; 10]);
        directory.extend(start.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let count = u16::try_from(files.len()).ok()?.to_le_bytes();
    let (start, length) = (u32::try_from(archive.len()).ok()?, u32::try_from(directory.len()).ok()?);
    archive.extend(directory);
    archive.extend(b"PK\x05\x06\0\0\0\0");
    archive.extend([count, count].concat());
    archive.extend(length.to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend([0; 2]);
    Some(archive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_of_nothing_is_its_end_alone_and_lengths_add_up() {
        assert_eq!(archive(&[]).map(|bytes| bytes.len()), Some(22));
        let files = [("a.csv".to_owned(), b"123456789".to_vec()), ("b/\u{e4}.txt".to_owned(), Vec::new())];
        let bytes = archive(&files).unwrap_or_default();
        let names = 5 + 8;
        assert_eq!(bytes.len(), 22 + 2 * (30 + 46) + 2 * names + 9);
        // The check value of CRC-32.
        assert_eq!(bytes.get(14..18), Some(&0xCBF4_3926_u32.to_le_bytes()[..]));
    }
}
