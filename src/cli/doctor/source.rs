//! The kernel's text files: `/proc` and `/sys`.

use std::fs;
use std::path::Path;

/// A file's trimmed text; none when it is missing, unreadable or empty.
pub(super) fn text(path: impl AsRef<Path>) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A file that holds one number.
pub(super) fn number(path: impl AsRef<Path>) -> Option<u64> {
    text(path)?.parse().ok()
}

/// Names in a folder, in order; none where there is no folder.
pub(super) fn names(folder: impl AsRef<Path>) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned())).collect();
    names.sort();
    names
}

/// Bytes as a person reads them, in powers of 1024, never rounded up to what is not there.
pub(super) fn readable_bytes(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let unit = (bytes.max(1).ilog2() / 10) as usize;
    let whole = bytes >> (10 * unit);
    if unit == 0 || whole >= 100 {
        return format!("{whole} {}", units[unit]);
    }
    let tenths = (bytes >> (10 * (unit - 1))) % 1024 * 10 / 1024;
    format!("{whole}.{tenths} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_in_the_largest_whole_unit() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (8 << 20, "8.0 MiB"),
            (1_600_000_000, "1.4 GiB"),
            (128 << 30, "128 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(readable_bytes(bytes), text);
        }
    }

    #[test]
    fn what_is_not_there_is_none() {
        assert_eq!(text("/proc/there/is/no/such"), None);
        assert!(names("/proc/there/is/no/such").is_empty());
        assert!(number("/proc/sys/kernel/pid_max").is_some_and(|number| number > 0));
    }
}
