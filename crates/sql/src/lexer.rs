//! Statements as tokens, as MySQL's own lexer cuts them.
//!
//! Every token keeps its place in the text: a syntax error quotes the text from there, and a column
//! without an alias is named by the text as it was written.

use std::borrow::Cow;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword or a name without quotes.
    Word,
    /// A name in backticks.
    Quoted,
    /// A string in `'` or `"`.
    Text,
    /// A number: decimal, with a fraction or an exponent, or `0x…`.
    Number,
    /// What follows a single `@` without quotes: part of an account, or a user variable.
    Host,
    /// Anything else: an operator or a mark of punctuation.
    Symbol,
}

/// A piece of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    /// Byte offsets in the statement.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The value: of strings and quoted names without quotes and escapes.
    pub(crate) text: Cow<'a, str>,
}

impl Token<'_> {
    /// Whether it is this keyword, in any case.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is this operator or mark.
    pub(crate) fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }
}

/// A statement that has no tokens from `at` on: a string or comment without an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unterminated {
    pub(crate) at: usize,
}

/// Cuts a text into tokens. Comments are left out; what stands in `/*! … */` is not.
pub(crate) fn tokens(sql: &str) -> Result<Vec<Token<'_>>, Unterminated> {
    let mut lexer = Lexer {
        sql,
        bytes: sql.as_bytes(),
        at: 0,
        tokens: Vec::new(),
        conditional: false,
    };
    while lexer.skip_blank()? {
        lexer.token()?;
    }
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    sql: &'a str,
    bytes: &'a [u8],
    at: usize,
    tokens: Vec<Token<'a>>,
    /// Inside `/*! … */`.
    conditional: bool,
}

impl<'a> Lexer<'a> {
    fn peek(&self, ahead: usize) -> u8 {
        // NUL is no part of any token, so it can stand for the end.
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn starts_with(&self, text: &str) -> bool {
        self.bytes[self.at..].starts_with(text.as_bytes())
    }

    /// Skips to the next token; false at the end.
    fn skip_blank(&mut self) -> Result<bool, Unterminated> {
        while self.at < self.bytes.len() {
            let byte = self.peek(0);
            if byte.is_ascii_whitespace() || byte == 0x0b {
                self.at += 1;
            } else if byte == b'#' || (self.starts_with("--") && is_blank(self.peek(2))) {
                let rest = &self.bytes[self.at..];
                let line = rest.iter().position(|byte| *byte == b'\n');
                self.at += line.unwrap_or(rest.len());
            } else if self.starts_with("/*!") {
                self.at += 3;
                let digits = self.bytes[self.at..].iter().take(6);
                let count = digits.take_while(|byte| byte.is_ascii_digit()).count();
                self.at += if count >= 5 { count } else { 0 };
                self.conditional = true;
            } else if self.conditional && self.starts_with("*/") {
                self.at += 2;
                self.conditional = false;
            } else if self.starts_with("/*") {
                let end = self.sql[self.at + 2..].find("*/");
                let end = end.ok_or(Unterminated { at: self.at })?;
                self.at += end + 4;
            } else {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn token(&mut self) -> Result<(), Unterminated> {
        let start = self.at;
        let first = self.peek(0);
        match first {
            b'\'' | b'"' => {
                let text = self.quoted(first, true)?;
                self.push(Kind::Text, start, text);
            }
            b'`' => {
                let text = self.quoted(first, false)?;
                self.push(Kind::Quoted, start, text);
            }
            b'@' if self.peek(1) != b'@' && is_host(self.peek(1)) => {
                self.at += 1;
                self.push_slice(Kind::Symbol, start);
                let start = self.at;
                self.take_while(is_host);
                self.push_slice(Kind::Host, start);
            }
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_ascii_digit() && !self.follows_name() => self.number(),
            _ if is_name(first) => {
                self.take_while(is_name);
                self.push_slice(Kind::Word, start);
            }
            _ => {
                let known = SYMBOLS.iter().find(|symbol| self.starts_with(symbol));
                let char_len = self.sql[start..].chars().next().map_or(1, char::len_utf8);
                self.at += known.map_or(char_len, |symbol| symbol.len());
                self.push_slice(Kind::Symbol, start);
            }
        }
        Ok(())
    }

    /// `t.1a` is a column: a dot behind a name begins no number.
    fn follows_name(&self) -> bool {
        self.tokens.last().is_some_and(|token| {
            token.end == self.at && matches!(token.kind, Kind::Word | Kind::Quoted)
        })
    }

    fn number(&mut self) {
        let start = self.at;
        if self.peek(0) == b'0' && matches!(self.peek(1), b'x' | b'b') {
            self.at += 2;
            self.take_while(|byte| byte.is_ascii_hexdigit());
            if self.at > start + 2 && !is_name(self.peek(0)) {
                return self.push_slice(Kind::Number, start);
            }
            self.at = start;
        }
        self.take_while(|byte| byte.is_ascii_digit());
        let whole = self.peek(0) != b'.';
        if !whole {
            self.at += 1;
            self.take_while(|byte| byte.is_ascii_digit());
        }
        if matches!(self.peek(0), b'e' | b'E') {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if self.peek(1 + sign).is_ascii_digit() {
                self.at += 1 + sign;
                self.take_while(|byte| byte.is_ascii_digit());
                return self.push_slice(Kind::Number, start);
            }
        }
        // Names may begin with digits.
        if whole && is_name(self.peek(0)) {
            self.take_while(is_name);
            return self.push_slice(Kind::Word, start);
        }
        self.push_slice(Kind::Number, start);
    }

    /// The content of quotes; a doubled quote stands for one.
    fn quoted(&mut self, quote: u8, escapes: bool) -> Result<Cow<'a, str>, Unterminated> {
        let unterminated = Unterminated { at: self.at };
        self.at += 1;
        let start = self.at;
        let mut decoded: Option<String> = None;
        let mut copied = start;
        loop {
            if self.at >= self.bytes.len() {
                return Err(unterminated);
            }
            let byte = self.peek(0);
            if byte == quote && self.peek(1) != quote {
                let tail = &self.sql[copied..self.at];
                self.at += 1;
                return Ok(match decoded {
                    Some(text) => Cow::Owned(text + tail),
                    None => Cow::Borrowed(tail),
                });
            }
            if byte == quote {
                let text = decoded.get_or_insert_default();
                text.push_str(&self.sql[copied..=self.at]);
                self.at += 2;
                copied = self.at;
            } else if escapes && byte == b'\\' {
                let text = decoded.get_or_insert_default();
                text.push_str(&self.sql[copied..self.at]);
                let escaped = self.sql[self.at + 1..].chars().next();
                let escaped = escaped.ok_or(unterminated)?;
                push_escaped(text, escaped);
                self.at += 1 + escaped.len_utf8();
                copied = self.at;
            } else {
                self.at += 1;
            }
        }
    }

    fn take_while(&mut self, takes: impl Fn(u8) -> bool) {
        while self.at < self.bytes.len() && takes(self.peek(0)) {
            self.at += 1;
        }
    }

    fn push_slice(&mut self, kind: Kind, start: usize) {
        self.push(kind, start, Cow::Borrowed(&self.sql[start..self.at]));
    }

    fn push(&mut self, kind: Kind, start: usize, text: Cow<'a, str>) {
        self.tokens.push(Token {
            kind,
            start,
            end: self.at,
            text,
        });
    }
}

/// What a character behind a backslash means. `\%` and `\_` keep the backslash for `LIKE`.
fn push_escaped(text: &mut String, escaped: char) {
    match escaped {
        '0' => text.push('\0'),
        'b' => text.push('\u{8}'),
        'n' => text.push('\n'),
        'r' => text.push('\r'),
        't' => text.push('\t'),
        'Z' => text.push('\u{1a}'),
        '%' | '_' => {
            text.push('\\');
            text.push(escaped);
        }
        other => text.push(other),
    }
}

fn is_blank(byte: u8) -> bool {
    byte == 0 || byte.is_ascii_whitespace() || byte.is_ascii_control()
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || byte >= 0x80
}

fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.')
}

/// Operators of more than one character, the longest first.
const SYMBOLS: [&str; 13] = [
    "<=>", "->>", "@@", ":=", "<=", ">=", "<>", "!=", "<<", ">>", "&&", "||", "->",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(sql: &str) -> Vec<(Kind, String)> {
        let all = tokens(sql).unwrap().into_iter();
        all.map(|token| (token.kind, token.text.into_owned()))
            .collect()
    }

    fn texts(sql: &str) -> Vec<String> {
        cut(sql).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn an_account_and_its_port_are_five_tokens() {
        let kinds = [
            Kind::Word,
            Kind::Symbol,
            Kind::Host,
            Kind::Symbol,
            Kind::Number,
        ];
        for account in ["repl@172.16.16.10:3306", "r@db_1.x$:1", "r@localhost:3306"] {
            let cut = cut(account);
            assert!(cut.iter().map(|(kind, _)| *kind).eq(kinds), "{cut:?}");
        }
        assert_eq!(cut("'a b'@`::1`:1")[2], (Kind::Quoted, "::1".to_owned()));
    }

    #[test]
    fn quotes_are_doubled_or_escaped() {
        assert_eq!(texts(r#"'it''s' "a""b" `c``d`"#), ["it's", "a\"b", "c`d"]);
        assert_eq!(texts(r"'\'\n\\\%\x' `a\`"), ["'\n\\\\%x", "a\\"]);
        assert_eq!(texts("'ü\\ü'"), ["üü"]);
    }

    #[test]
    fn comments_are_left_out_and_conditional_ones_are_not() {
        assert_eq!(
            texts("a -- b\nc # d\ne /* f ' */ g --h"),
            ["a", "c", "e", "g", "-", "-", "h"]
        );
        assert_eq!(
            texts("/*!80000 SET */ x /*!c*/ /*+ hint */ --"),
            ["SET", "x", "c"]
        );
    }

    #[test]
    fn names_may_begin_with_digits_and_numbers_may_not_be_names() {
        let kinds = |sql| {
            cut(sql)
                .into_iter()
                .map(|(kind, _)| kind)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            kinds("1a 1e5 1e 0x1F 0xg .5 1. 7"),
            [
                Kind::Word,
                Kind::Number,
                Kind::Word,
                Kind::Number,
                Kind::Word,
                Kind::Number,
                Kind::Number,
                Kind::Number
            ]
        );
        assert_eq!(texts("t.1a"), ["t", ".", "1a"]);
    }

    #[test]
    fn system_and_user_variables_are_told_apart() {
        assert_eq!(texts("@@global.x @a"), ["@@", "global", ".", "x", "@", "a"]);
    }

    #[test]
    fn what_has_no_end_says_where_it_begins() {
        for (sql, at) in [
            ("a 'b", 2),
            ("/* x", 0),
            ("`", 0),
            ("'a\\", 0),
            ("'a\\'", 0),
        ] {
            assert_eq!(tokens(sql), Err(Unterminated { at }), "{sql}");
        }
    }
}
