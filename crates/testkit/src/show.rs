//! Numbers and tables for people.

use std::fmt::Write;
use std::time::Duration;

/// `3 B`, `12.3 KiB`, `4.5 MiB`, `1.20 GiB`.
pub fn bytes(count: u64) -> String {
    let value = count as f64;
    match count {
        0..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{:.1} KiB", value / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", value / 1_048_576.0),
        _ => format!("{:.2} GiB", value / 1_073_741_824.0),
    }
}

/// Seconds: `0.123 s`, `4.56 s`, `78.9 s`.
pub fn seconds(time: Duration) -> String {
    format!("{} s", plain_seconds(time.as_secs_f64()))
}

/// Seconds without unit, with as many decimals as are worth reading.
pub fn plain_seconds(time: f64) -> String {
    match time {
        time if time < 1.0 => format!("{time:.3}"),
        time if time < 20.0 => format!("{time:.2}"),
        _ => format!("{time:.1}"),
    }
}

/// `1,234,567`.
pub fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Rows under a head, columns aligned: the first to the left, the others to the right.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        widest.max(head.get(column).map_or(0, |name| name.chars().count()))
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    let mut line = |cells: &[&str]| {
        let mut line = String::new();
        for (at, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            match at {
                0 => drop(write!(line, "{cell:<width$}")),
                _ => drop(write!(line, "  {cell:>width$}")),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    };
    line(head);
    let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    line(&rules.iter().map(String::as_str).collect::<Vec<_>>());
    for row in rows {
        line(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(3 << 19), "1.5 MiB");
        assert_eq!(bytes(5 << 30), "5.00 GiB");
        assert_eq!(seconds(Duration::from_millis(1234)), "1.23 s");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(number(999), "999");
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [
            vec!["a".to_owned(), "10".to_owned()],
            vec!["longer".to_owned(), "9".to_owned()],
        ];
        let text = table(&["what", "n"], &rows);
        assert_eq!(text, "what     n\n------  --\na       10\nlonger   9\n");
    }
}
