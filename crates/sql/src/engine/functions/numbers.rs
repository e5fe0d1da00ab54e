//! Numbers: operators that the engine lacks, rounding, and numbers as texts.

use rusqlite::Result;
use rusqlite::types::Value;

use super::{Adding, Arguments};

pub(super) fn add(add: &mut Adding<'_>) -> Result<()> {
    conversions(add)?;
    operators(add)?;
    add.value("rounded", |arguments| Ok(adjusted(arguments, false)))?;
    add.value("truncated", |arguments| Ok(adjusted(arguments, true)))?;
    for (name, of) in [("ceil", f64::ceil as fn(f64) -> f64), ("floor", f64::floor)] {
        add.number(name, move |arguments| match arguments.raw(0) {
            Value::Integer(number) => Some(number),
            _ => Some(of(arguments.real(0)?) as i64),
        })?;
    }
    add.number("sign", |arguments| {
        let number = arguments.real(0)?;
        Some(if number == 0.0 {
            0
        } else {
            number.signum() as i64
        })
    })?;
    add.real("pi", |_| Some(std::f64::consts::PI))?;
    for (name, of) in [
        ("exp", f64::exp as fn(f64) -> f64),
        ("ln", f64::ln),
        ("log2", f64::log2),
        ("log10", f64::log10),
        ("sqrt", f64::sqrt),
    ] {
        add.real(name, move |arguments| Some(of(arguments.real(0)?)))?;
    }
    add.real("log", |arguments| match arguments.len() {
        1 => Some(arguments.real(0)?.ln()),
        _ => Some(arguments.real(1)?.ln() / arguments.real(0)?.ln()),
    })?;
    add.real("pow", |arguments| {
        Some(arguments.real(0)?.powf(arguments.real(1)?))
    })?;
    add.text("bin", |arguments| {
        Some(format!("{:b}", arguments.whole(0)?))
    })?;
    add.text("oct", |arguments| {
        Some(format!("{:o}", arguments.whole(0)?))
    })
}

fn conversions(add: &mut Adding<'_>) -> Result<()> {
    add.value("number", |arguments| match arguments.raw(0) {
        Value::Text(text) => Ok(leading(&text).into()),
        other => Ok(other),
    })?;
    add.number("whole", |arguments| arguments.whole(0))?;
    // A text is a whole number as far as its digits go.
    add.number("whole_prefix", |arguments| {
        let text = arguments.text(0)?;
        let text = text.trim_start();
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let end = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        let end = end + (text.len() - digits.len());
        Some(match text[..end].parse::<i128>() {
            Ok(number) => {
                i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX })
            }
            Err(_) => 0,
        })
    })?;
    add.text("decimal_text", |arguments| {
        Some(with_scale(arguments.real(0)?, count(arguments.whole(1)?)))
    })?;
    add.text("double_text", |arguments| Some(shown(arguments.real(0)?)))?;
    add.text("unsigned_text", |arguments| {
        Some(arguments.whole(0)?.cast_unsigned().to_string())
    })
}

fn operators(add: &mut Adding<'_>) -> Result<()> {
    add.real("divided", |arguments| {
        Some(arguments.real(0)? / arguments.real(1)?)
    })?;
    add.value("remainder", |arguments| {
        if let (Value::Integer(a), Value::Integer(b)) = (arguments.raw(0), arguments.raw(1)) {
            return Ok(if b == 0 {
                Value::Null
            } else {
                a.wrapping_rem(b).into()
            });
        }
        let of = || Some(arguments.real(0)? % arguments.real(1)?);
        Ok(of().filter(|number: &f64| number.is_finite()).into())
    })?;
    add.number("whole_quotient", |arguments| {
        if let (Value::Integer(a), Value::Integer(b)) = (arguments.raw(0), arguments.raw(1)) {
            return a.checked_div(b);
        }
        let quotient = arguments.real(0)? / arguments.real(1)?;
        quotient.is_finite().then(|| quotient.trunc() as i64)
    })?;
    add.number("bits_xor", |arguments| {
        Some(arguments.whole(0)? ^ arguments.whole(1)?)
    })?;
    add.number("shift_left", |arguments| {
        let (bits, count) = (arguments.whole(0)?.cast_unsigned(), arguments.whole(1)?);
        Some(shifted(count, |count| bits.checked_shl(count)))
    })?;
    add.number("shift_right", |arguments| {
        let (bits, count) = (arguments.whole(0)?.cast_unsigned(), arguments.whole(1)?);
        Some(shifted(count, |count| bits.checked_shr(count)))
    })
}

fn shifted(count: i64, shift: impl Fn(u32) -> Option<u64>) -> i64 {
    let bits = u32::try_from(count).ok().and_then(shift);
    bits.unwrap_or(0).cast_signed()
}

/// A number with fewer digits.
fn adjusted(arguments: &Arguments<'_, '_>, truncates: bool) -> Value {
    let of = || -> Option<Value> {
        let digits = if arguments.len() > 1 {
            arguments.whole(1)?
        } else {
            0
        };
        if let (Value::Integer(number), 0..) = (arguments.raw(0), digits) {
            return Some(number.into());
        }
        let number = arguments.real(0)?;
        if digits >= 0 {
            let digits = count(digits).min(MOST_DIGITS);
            let text = if truncates {
                cut(number, digits)
            } else {
                with_scale(number, digits)
            };
            return Some(text.parse::<f64>().ok()?.into());
        }
        let scale = 10_f64.powi((-digits).min(300) as i32);
        let scaled = number / scale;
        let whole = if truncates {
            scaled.trunc()
        } else {
            scaled.round()
        };
        let result = whole * scale;
        Some(match arguments.raw(0) {
            Value::Integer(_) => (result as i64).into(),
            _ => result.into(),
        })
    };
    of().unwrap_or(Value::Null)
}

/// The number that a text begins with; 0 where it begins with none.
pub(in super::super) fn leading(text: &str) -> f64 {
    let text = text.trim_start();
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        from + rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let sign = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let mut end = digits(sign);
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    text[..end].parse().unwrap_or(0.0)
}

/// As the server writes a DOUBLE.
pub(in super::super) fn shown(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-15..1e15).contains(&size) {
        return format!("{number:e}");
    }
    if number == 0.0 {
        "0".to_owned()
    } else {
        number.to_string()
    }
}

/// With so many digits behind the point, half of the last one counting as one.
pub(in super::super) fn with_scale(number: f64, scale: usize) -> String {
    let text = number.abs().to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let sign = if number < 0.0 { "-" } else { "" };
    let mut digits: Vec<u8> = [whole, fraction].concat().into_bytes();
    let kept = whole.len() + scale;
    let rounds_up = digits.get(kept).is_some_and(|digit| *digit >= b'5');
    digits.resize(kept, b'0');
    let mut at = kept;
    let mut carries = rounds_up;
    while carries && at > 0 {
        at -= 1;
        carries = digits[at] == b'9';
        digits[at] = if carries { b'0' } else { digits[at] + 1 };
    }
    if carries {
        digits.insert(0, b'1');
    }
    written(sign, &digits, scale)
}

fn cut(number: f64, scale: usize) -> String {
    let text = number.abs().to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let sign = if number < 0.0 { "-" } else { "" };
    let mut digits: Vec<u8> = [whole, fraction].concat().into_bytes();
    digits.resize(whole.len() + scale, b'0');
    written(sign, &digits, scale)
}

fn written(sign: &str, digits: &[u8], scale: usize) -> String {
    let text = String::from_utf8_lossy(digits).into_owned();
    let sign = if digits.iter().all(|digit| *digit == b'0') {
        ""
    } else {
        sign
    };
    let (whole, fraction) = text.split_at(text.len() - scale);
    if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

/// A length; a negative one is none.
pub(super) fn count(number: i64) -> usize {
    usize::try_from(number).unwrap_or(0)
}

/// More digits no number has here.
const MOST_DIGITS: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_in_their_decimal_form() {
        assert_eq!(with_scale(2.675, 2), "2.68");
        assert_eq!(with_scale(0.1 + 0.2, 1), "0.3");
        assert_eq!(with_scale(-9.995, 2), "-10.00");
        assert_eq!(with_scale(-0.001, 2), "0.00");
        assert_eq!(with_scale(3.5, 4), "3.5000");
        assert_eq!(cut(1.999, 1), "1.9");
        assert_eq!(with_scale(1e300, 0).len(), 301);
    }

    #[test]
    fn texts_are_the_numbers_they_begin_with() {
        for (text, expected) in [
            ("12abc", 12.0),
            (" -1.5e2x", -150.0),
            ("abc", 0.0),
            ("1e", 1.0),
            (".5", 0.5),
            ("", 0.0),
            ("-", 0.0),
            ("é", 0.0),
        ] {
            assert_eq!(leading(text).to_bits(), f64::to_bits(expected), "{text}");
        }
        assert_eq!(
            (shown(1e15), shown(1e14)),
            ("1e15".to_owned(), "100000000000000".to_owned())
        );
    }
}
