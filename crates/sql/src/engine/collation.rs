//! How texts compare: as in `utf8mb4_0900_ai_ci`, without regard to case and accents.
//!
//! The weights are those of the Unicode collation algorithm as far as the texts of these tables
//! need them: blanks, marks, digits, letters, in this order, marks in the order of the default
//! table. Scripts beside the Latin one keep the order of their code points.

use std::cmp::Ordering;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Compares two texts.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    weights(a).cmp(weights(b))
}

/// What equal texts have in common.
pub(super) fn folded(text: &str) -> String {
    weights(text).map(|(_, _, character)| character).collect()
}

/// A character without case and accent.
pub(super) fn folded_char(character: char) -> char {
    if character.is_ascii() {
        return character.to_ascii_lowercase();
    }
    let mut text = [0; 4];
    let text = character.encode_utf8(&mut text);
    folded(text).chars().next().unwrap_or(character)
}

fn weights(text: &str) -> impl Iterator<Item = (u8, usize, char)> {
    text.nfd()
        .filter(|character| !is_combining_mark(*character))
        .flat_map(char::to_lowercase)
        .flat_map(|character| {
            let doubled = (character == 'ß').then_some('s');
            [
                Some(if character == 'ß' { 's' } else { character }),
                doubled,
            ]
        })
        .flatten()
        .map(weight)
}

fn weight(character: char) -> (u8, usize, char) {
    if character.is_whitespace() {
        return (0, character as usize, character);
    }
    if let Some(at) = MARKS.find(character) {
        return (1, at, character);
    }
    let class = match character {
        '0'..='9' => 3,
        _ if character.is_alphabetic() => 4,
        _ if character.is_ascii() => 0,
        _ => 2,
    };
    (class, 0, character)
}

/// In the order of the default collation element table.
const MARKS: &str = "_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$";

/// `LIKE`: `%` stands for any text, `_` for one character, `escape` takes their meaning away.
pub(super) fn like(text: &str, pattern: &str, escape: Option<char>, tells_cases: bool) -> bool {
    let fold = |character: char| {
        if tells_cases {
            character
        } else {
            folded_char(character)
        }
    };
    let text: Vec<char> = text.chars().map(fold).collect();
    let mut parts = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        parts.push(match character {
            _ if Some(character) == escape => match characters.next() {
                Some(escaped) => Part::One(fold(escaped)),
                None => Part::One(character),
            },
            '%' => Part::Any,
            '_' => Part::Single,
            other => Part::One(fold(other)),
        });
    }
    matches(&text, &parts)
}

enum Part {
    One(char),
    Single,
    Any,
}

/// Goes back only to the last `%`, so that the time is at most the product of both lengths.
fn matches(text: &[char], parts: &[Part]) -> bool {
    let (mut at, mut part) = (0, 0);
    let mut again: Option<(usize, usize)> = None;
    loop {
        match parts.get(part) {
            Some(Part::Any) => {
                again = Some((at, part + 1));
                part += 1;
                continue;
            }
            Some(Part::Single) if at < text.len() => {
                (at, part) = (at + 1, part + 1);
                continue;
            }
            Some(Part::One(wanted)) if text.get(at) == Some(wanted) => {
                (at, part) = (at + 1, part + 1);
                continue;
            }
            None if at == text.len() => return true,
            _ => {}
        }
        match again {
            Some((from, behind)) if from < text.len() => {
                again = Some((from + 1, behind));
                (at, part) = (from + 1, behind);
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_and_accents_make_no_difference() {
        for (a, b) in [
            ("A", "a"),
            ("é", "E"),
            ("Straße", "STRASSE"),
            ("e\u{301}", "é"),
        ] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
            assert_eq!(folded(a), folded(b));
        }
        assert_ne!(compare("a", "a "), Ordering::Equal);
    }

    #[test]
    fn marks_come_before_digits_and_these_before_letters() {
        let mut all = ["b", "A", "10", "/x", "_x", "-x", " x", "9"];
        all.sort_by(|a, b| compare(a, b));
        assert_eq!(all, [" x", "_x", "-x", "/x", "10", "9", "A", "b"]);
    }

    #[test]
    fn patterns_match_as_in_the_server() {
        let is = |text, pattern| like(text, pattern, Some('\\'), false);
        assert!(is("/b/Full_1", "%full\\_%") && !is("/b/fullx1", "%full\\_%"));
        assert!(is("abc", "a_C") && is("", "%") && !is("", "_") && is("aXbXc", "%x%X%"));
        assert!(like("a%", "a|%", Some('|'), false) && !like("ab", "a|%", Some('|'), false));
        assert!(!like("A", "a", None, true) && like("é", "E", None, false));
        assert!(!is(&"a".repeat(2000), &"%a%b".repeat(50)));
    }
}
