//! Instants: microseconds since the Unix epoch in the bookkeeping, MySQL's text in the columns.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Now, in microseconds since the Unix epoch.
pub(crate) fn now_us() -> i64 {
    Timestamp::now().as_microsecond()
}

/// The text of a MySQL `timestamp(digits)` in the local time zone, as a client prints it:
/// `2024-06-10 15:05:41.288`. `epoch_us` is microseconds since the Unix epoch; fewer digits than
/// six round half up, as the server does. Instants no calendar holds give an empty text.
pub fn mysql_timestamp(epoch_us: i64, digits: u8) -> String {
    let unit = 10_i64.pow(6 - u32::from(digits.min(6)));
    let rounded = epoch_us
        .saturating_add(unit / 2)
        .div_euclid(unit)
        .saturating_mul(unit);
    let Ok(instant) = Timestamp::from_microsecond(rounded) else {
        return String::new();
    };
    let local = instant.to_zoned(TimeZone::system());
    match digits {
        0 => local.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        digits => local
            .strftime(&format!("%Y-%m-%d %H:%M:%S%.{}f", digits.min(6)))
            .to_string(),
    }
}

/// The text of a `timestamp(3)`.
pub(crate) fn timestamp3(epoch_us: i64) -> String {
    mysql_timestamp(epoch_us, 3)
}

/// The text of a `timestamp(6)`.
pub(crate) fn timestamp6(epoch_us: i64) -> String {
    mysql_timestamp(epoch_us, 6)
}

/// The instant a text means in the local time zone; of an hour that occurs twice, the first.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let local = DateTime::strptime("%Y-%m-%d %H:%M:%S%.f", text).ok()?;
    Some(
        local
            .to_zoned(TimeZone::system())
            .ok()?
            .timestamp()
            .as_microsecond(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_the_form_the_server_prints() {
        let text = mysql_timestamp(1_718_003_141_288_400, 3);
        assert_eq!(text.len(), "2024-06-10 15:05:41.288".len());
        assert!(text.ends_with(":41.288"), "{text}");
        assert!(mysql_timestamp(1_718_003_141_288_400, 6).ends_with(":41.288400"));
        assert!(mysql_timestamp(1_718_003_141_288_400, 0).ends_with(":41"));
    }

    #[test]
    fn fraction_rounds_half_up_as_the_server_does() {
        assert!(timestamp3(1_718_003_141_288_500).ends_with(":41.289"));
        assert!(timestamp3(1_718_003_141_999_900).ends_with(":42.000"));
    }

    #[test]
    fn text_and_instant_convert_both_ways() {
        let instant = 1_718_003_141_288_000;
        assert_eq!(parse(&timestamp3(instant)), Some(instant));
        assert_eq!(
            parse("2024-06-10 15:05:41").map(|us| us % 1_000_000),
            Some(0)
        );
        assert_eq!(parse("yesterday"), None);
    }

    #[test]
    fn impossible_instants_do_not_panic() {
        assert_eq!(mysql_timestamp(i64::MAX, 3), "");
        assert_eq!(mysql_timestamp(i64::MIN, 3), "");
        assert_eq!(mysql_timestamp(i64::MIN, 200), "");
    }
}
