//! One line of an option file.
//!
//! The rules are those of MySQL's *Using Option Files*, and where the manual is silent those of its
//! programs: a test compares with `my_print_defaults`.

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Empty, a comment, or a directive that nobody knows.
    Nothing,
    /// `[group]`
    Group(&'a str),
    /// `name` or `name = value`; without `=` there is no value, which differs from an empty one.
    Setting {
        name: &'a str,
        value: Option<String>,
    },
    /// `!include path`
    Include(&'a str),
    /// `!includedir path`
    IncludeDir(&'a str),
}

/// Reads a line; the error says what is wrong with it.
pub(super) fn parse(line: &str) -> Result<Line<'_>, &'static str> {
    let line = trim(line);
    match line.as_bytes().first() {
        None | Some(b'#' | b';') => Ok(Line::Nothing),
        Some(b'!') => directive(&line[1..]),
        Some(b'[') => match line[1..].split_once(']') {
            Some((name, _)) => Ok(Line::Group(name.trim_end_matches(BLANK))),
            None => Err("group name without `]`"),
        },
        Some(_) => Ok(setting(trim(without_comment(line)))),
    }
}

fn directive(text: &str) -> Result<Line<'_>, &'static str> {
    let (word, path) = text.split_once(BLANK).unwrap_or((text, ""));
    match (word, trim(path)) {
        ("include" | "includedir", "") => Err("directive without a path"),
        ("include", path) => Ok(Line::Include(path)),
        ("includedir", path) => Ok(Line::IncludeDir(path)),
        _ => Ok(Line::Nothing),
    }
}

fn setting(text: &str) -> Line<'_> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (trim(name), Some(unescape(unquote(trim(value))))),
        None => (text, None),
    };
    if name.is_empty() {
        Line::Nothing
    } else {
        Line::Setting { name, value }
    }
}

/// The line up to a `#` that is not within quotes. A backslash protects a quote from ending them.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut escaped = false;
    for (at, character) in line.char_indices() {
        match character {
            '\'' | '"' if !escaped => match quote {
                None => quote = Some(character),
                Some(open) if open == character => quote = None,
                Some(_) => {}
            },
            '#' if quote.is_none() => return &line[..at],
            _ => {}
        }
        escaped = quote.is_some() && character == '\\' && !escaped;
    }
    line
}

/// Takes one pair of quotes off, if the whole value is in them.
fn unquote(value: &str) -> &str {
    let inner = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

/// Replaces the escape sequences. A backslash before anything else stays.
fn unescape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('b') => text.push('\u{8}'),
            Some('s') => text.push(' '),
            Some(itself @ ('\\' | '"' | '\'')) => text.push(itself),
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
    }
    text
}

fn trim(text: &str) -> &str {
    text.trim_matches(BLANK)
}

/// What the C locale calls a space.
const BLANK: [char; 6] = [' ', '\t', '\n', '\r', '\u{b}', '\u{c}'];

#[cfg(test)]
mod tests {
    use super::*;

    fn value(line: &str) -> Option<String> {
        match parse(line) {
            Ok(Line::Setting { value, .. }) => value,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn comments_and_empty_lines_say_nothing() {
        for line in [
            "",
            "  \t",
            "# a = b",
            " ; a = b",
            "!unknown x",
            "= 1",
            " = ",
        ] {
            assert_eq!(parse(line), Ok(Line::Nothing), "{line}");
        }
    }

    #[test]
    fn blanks_around_names_values_and_groups_do_not_count() {
        let user = Line::Setting {
            name: "user",
            value: Some("root".into()),
        };
        assert_eq!(parse("  user =  root \r\n"), Ok(user));
        assert_eq!(parse("[mysql ] junk"), Ok(Line::Group("mysql")));
        assert_eq!(parse("[ mysql]"), Ok(Line::Group(" mysql")), "as in MySQL");
    }

    #[test]
    fn a_name_without_value_differs_from_an_empty_value() {
        assert_eq!(value("quick"), None);
        assert_eq!(value("quick ="), Some(String::new()));
        assert_eq!(value("quick = \"\""), Some(String::new()));
    }

    #[test]
    fn comments_end_a_value_except_within_quotes() {
        assert_eq!(value("a = b # c").as_deref(), Some("b"));
        assert_eq!(value("a = \"b # c\" # d").as_deref(), Some("b # c"));
        assert_eq!(value("a = 'b\\'#' # d").as_deref(), Some("b'#"));
        assert_eq!(value("a = \"b ' # c").as_deref(), Some("\"b ' # c"));
    }

    #[test]
    fn one_pair_of_quotes_is_taken_off() {
        assert_eq!(value("a = \"'b'\"").as_deref(), Some("'b'"));
        assert_eq!(value("a = 'b\"").as_deref(), Some("'b\""));
        assert_eq!(value("a = \"").as_deref(), Some("\""));
        assert_eq!(value("a = \"b\" c").as_deref(), Some("\"b\" c"));
    }

    #[test]
    fn escapes_are_replaced_and_unknown_ones_stay() {
        assert_eq!(
            value(r"a = b\sc\td\\e\qf\").as_deref(),
            Some("b c\td\\e\\qf\\")
        );
        assert_eq!(value(r"a = \n\r\b\'").as_deref(), Some("\n\r\u{8}'"));
    }

    #[test]
    fn directives_need_a_path() {
        assert_eq!(parse("!include /a b.cnf "), Ok(Line::Include("/a b.cnf")));
        assert_eq!(parse(" !includedir\t/d"), Ok(Line::IncludeDir("/d")));
        assert!(parse("!include").is_err());
        assert!(parse("[client").is_err());
    }
}
