//! Numbers for people: `FORMAT`, sizes and durations.

use rusqlite::Result;

use super::Adding;
use super::numbers::{count, with_scale};

pub(super) fn add(add: &mut Adding<'_>) -> Result<()> {
    add.text("format_number", |arguments| {
        let digits = count(arguments.whole(1)?).min(30);
        Some(grouped(&with_scale(arguments.real(0)?, digits)))
    })?;
    add.text("format_bytes", |arguments| {
        let number = arguments.real(0)?;
        Some(scaled(number, &BYTES, |small| format!("{small:4.0} bytes")))
    })?;
    add.text("format_pico_time", |arguments| {
        Some(scaled(arguments.real(0)?, &TIMES, |small| {
            format!("{small:3.0} ps")
        }))
    })
}

/// Thousands set apart.
fn grouped(text: &str) -> String {
    let (whole, fraction) = match text.find('.') {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let digits = whole.trim_start_matches('-');
    let mut grouped = whole[..whole.len() - digits.len()].to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + fraction
}

fn scaled(number: f64, units: &[(f64, &str)], small: impl Fn(f64) -> String) -> String {
    for (size, unit) in units {
        if number.abs() >= *size {
            let scaled = number / size;
            return if scaled.abs() >= 100_000.0 {
                format!("{scaled:.2e} {unit}")
            } else {
                format!("{} {unit}", with_scale(scaled, 2))
            };
        }
    }
    small(number)
}

const BYTES: [(f64, &str); 6] = [
    (1_152_921_504_606_846_976.0, "EiB"),
    (1_125_899_906_842_624.0, "PiB"),
    (1_099_511_627_776.0, "TiB"),
    (1_073_741_824.0, "GiB"),
    (1_048_576.0, "MiB"),
    (1024.0, "KiB"),
];

const TIMES: [(f64, &str); 7] = [
    (86_400e12, "d"),
    (3600e12, "h"),
    (60e12, "min"),
    (1e12, "s"),
    (1e9, "ms"),
    (1e6, "us"),
    (1e3, "ns"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(grouped("1234567.89"), "1,234,567.89");
        assert_eq!(
            (grouped("-999"), grouped("-1000")),
            ("-999".to_owned(), "-1,000".to_owned())
        );
    }
}
