//! Statements that a replication applier does not execute as the donor did.
//!
//! `CREATE EVENT` and `ALTER EVENT` are the only ones: an applier leaves the event disabled, as it
//! is right for a replica and wrong for a restored server.

/// Where the keyword EVENT stands in a statement that creates or alters an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventDdl {
    /// Bytes before the keyword.
    pub(crate) keyword: usize,
    /// Whether the statement names a definer.
    pub(crate) has_definer: bool,
}

impl EventDdl {
    /// Looks at the beginning of a statement.
    pub(crate) fn find(text: &[u8]) -> Option<Self> {
        let mut words = Words { text, at: 0 };
        let verb = words.next()?;
        if !verb.is("CREATE") && !verb.is("ALTER") {
            return None;
        }
        let mut word = words.next()?;
        let has_definer = word.is("DEFINER");
        if has_definer {
            // DEFINER = user, 'user'@'host', CURRENT_USER or CURRENT_USER().
            if !words.next()?.is("=") {
                return None;
            }
            words.next()?;
            word = words.next()?;
            if word.is("@") || word.is("(") {
                // The host, or the closing bracket.
                words.next()?;
                word = words.next()?;
            }
        }
        word.is("EVENT").then_some(Self {
            keyword: word.begin,
            has_definer,
        })
    }
}

struct Word<'a> {
    text: &'a [u8],
    begin: usize,
}

impl Word<'_> {
    fn is(&self, word: &str) -> bool {
        self.text.eq_ignore_ascii_case(word.as_bytes())
    }
}

/// Words, quoted names and signs; comments are passed over, but not what is in `/*! … */`.
struct Words<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Words<'a> {
    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn next(&mut self) -> Option<Word<'a>> {
        self.pass_blanks();
        let begin = self.at;
        let first = *self.rest().first()?;
        let length = match first {
            b'\'' | b'"' | b'`' => self.quoted(first),
            _ if is_word(first) => {
                let end = self.rest().iter().position(|byte| !is_word(*byte));
                end.unwrap_or(self.rest().len())
            }
            _ => 1,
        };
        self.at += length;
        Some(Word {
            text: self.text.get(begin..self.at)?,
            begin,
        })
    }

    /// Length of a quoted text. A doubled quote looks like two texts: the second is part of it.
    fn quoted(&self, quote: u8) -> usize {
        let rest = self.rest();
        let mut at = 1;
        while let Some(byte) = rest.get(at) {
            if *byte == b'\\' && quote != b'`' {
                at += 1;
            } else if *byte == quote {
                if rest.get(at + 1) != Some(&quote) {
                    break;
                }
                at += 1;
            }
            at += 1;
        }
        (at + 1).min(rest.len())
    }

    fn pass_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let skip = if rest.starts_with(b"/*!") {
                // Executed by servers of this version: only its frame is passed over.
                let digits = rest.iter().skip(3).take_while(|byte| byte.is_ascii_digit());
                3 + digits.count()
            } else if rest.starts_with(b"/*") {
                let end = rest.windows(2).skip(2).position(|two| two == b"*/");
                end.map_or(rest.len(), |end| end + 4)
            } else if rest.starts_with(b"*/") {
                2
            } else if rest.starts_with(b"#") || rest.starts_with(b"--") {
                let end = rest.iter().position(|byte| *byte == b'\n');
                end.map_or(rest.len(), |end| end + 1)
            } else if rest.first().is_some_and(u8::is_ascii_whitespace) {
                1
            } else {
                return;
            };
            self.at += skip;
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn statements_about_events_are_found() {
        for text in [
            "CREATE DEFINER=`root`@`localhost` EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
            "create event if not exists e on schedule every 1 day do select 1",
            "/* a */ -- b\n # c\n\tALTER /*!50106 EVENT e DISABLE */",
            "/*!50106 CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1 */",
            "alter definer = current_user() event e enable",
            "alter definer=current_user event e enable",
            "ALTER DEFINER='it''s\\'' @ \"h\" EVENT e RENAME TO f",
            "ALTER DEFINER=`a``b`@`%` EVENT e COMMENT 'x'",
        ] {
            let found = EventDdl::find(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
            let keyword = &text[found.keyword..found.keyword + 5];
            assert!(keyword.eq_ignore_ascii_case("event"), "{text}: {keyword}");
            assert_eq!(
                found.has_definer,
                text.to_ascii_lowercase().contains("definer")
            );
        }
    }

    #[test]
    fn other_statements_are_not() {
        for text in [
            "",
            "CREATE TABLE event (a INT)",
            "CREATE TABLE `EVENT` (a INT)",
            "DROP EVENT e",
            "CREATE DEFINER=`a`@`b` TRIGGER event BEFORE INSERT ON t FOR EACH ROW SET @a=1",
            "CREATE DEFINER=`EVENT`@`b` VIEW event AS SELECT 1",
            "ALTER EVENTS",
            "CREATE DEFINER",
            "/* CREATE EVENT",
        ] {
            assert_eq!(EventDdl::find(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text: Vec<u8>) {
            let _ = EventDdl::find(&text);
        }

        #[test]
        fn no_text_of_its_signs_makes_it_panic(text in "[ CREATALVNFI/*!5'`\"\\\\@=()#-]{0,40}") {
            let _ = EventDdl::find(text.as_bytes());
        }
    }
}
