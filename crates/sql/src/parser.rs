//! The tokens of one statement, taken one after the other.

use crate::error::{Result, SqlError};
use crate::lexer::{Kind, Token, Unterminated, tokens};
use crate::secrets;

/// A statement being read.
#[derive(Debug, Clone)]
pub(crate) struct Parser<'a> {
    sql: &'a str,
    tokens: Vec<Token<'a>>,
    at: usize,
}

impl<'a> Parser<'a> {
    /// Cuts a text at its `;` into statements; empty ones are left out.
    pub(crate) fn statements(sql: &'a str) -> Result<Vec<Self>> {
        let all = tokens(sql).map_err(|Unterminated { at }| {
            // Nobody can tell whether a string without an end was to be a password.
            let near = if secrets::is_mentioned(sql) {
                ""
            } else {
                &sql[at..]
            };
            SqlError::syntax(cut(near), line_of(sql, at))
        })?;
        let mut statements = Vec::new();
        let mut rest = all.into_iter().peekable();
        while rest.peek().is_some() {
            let tokens: Vec<_> = rest
                .by_ref()
                .take_while(|token| !token.is_symbol(";"))
                .collect();
            if !tokens.is_empty() {
                statements.push(Self { sql, tokens, at: 0 });
            }
        }
        Ok(statements)
    }

    /// The text of the statement with `<secret>` for what is behind `IDENTIFIED BY`.
    pub(crate) fn redacted(&self) -> String {
        let (start, end) = (self.tokens.first(), self.tokens.last());
        let start = start.map_or(0, |token| token.start);
        self.redacted_between(start, end.map_or(start, |token| token.end))
    }

    fn redacted_between(&self, start: usize, end: usize) -> String {
        let mut text = String::new();
        let mut copied = start;
        for (from, to) in secrets::places(&self.tokens) {
            if to > start && from < end {
                text.push_str(&self.sql[copied..from.max(copied)]);
                text.push_str("<secret>");
                copied = to.min(end).max(copied);
            }
        }
        text.push_str(&self.sql[copied..end.max(copied)]);
        secrets::without_mentions(text)
    }

    /// All tokens, from the first.
    pub(crate) fn tokens(&self) -> &[Token<'a>] {
        &self.tokens
    }

    /// The tokens not taken yet.
    pub(crate) fn rest(&self) -> &[Token<'a>] {
        self.tokens.get(self.at..).unwrap_or_default()
    }

    /// The whole text the offsets of tokens refer to.
    pub(crate) fn source(&self) -> &'a str {
        self.sql
    }

    /// The next token, not taken.
    pub(crate) fn peek(&self) -> Option<&Token<'a>> {
        self.tokens.get(self.at)
    }

    /// Takes the next token.
    pub(crate) fn next(&mut self) -> Option<Token<'a>> {
        let token = self.tokens.get(self.at).cloned();
        self.at += usize::from(token.is_some());
        token
    }

    /// Takes these keywords, all or none of them.
    pub(crate) fn accept(&mut self, words: &str) -> bool {
        let mut at = self.at;
        for word in words.split(' ') {
            if !self.tokens.get(at).is_some_and(|token| token.is_word(word)) {
                return false;
            }
            at += 1;
        }
        self.at = at;
        true
    }

    /// Takes this mark, if it is next.
    pub(crate) fn accept_symbol(&mut self, symbol: &str) -> bool {
        let is_next = self.peek().is_some_and(|token| token.is_symbol(symbol));
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes these keywords; anything else is an error.
    pub(crate) fn expect(&mut self, words: &str) -> Result<()> {
        for word in words.split(' ') {
            if !self.accept(word) {
                return Err(self.error());
            }
        }
        Ok(())
    }

    /// Takes this mark; anything else is an error.
    pub(crate) fn expect_symbol(&mut self, symbol: &str) -> Result<()> {
        if self.accept_symbol(symbol) {
            return Ok(());
        }
        Err(self.error())
    }

    /// Takes an assignment's `=` or `:=` where it may be left out.
    pub(crate) fn accept_equals(&mut self) -> bool {
        self.accept_symbol("=") || self.accept_symbol(":=")
    }

    /// Takes a string; strings side by side are one.
    pub(crate) fn string(&mut self) -> Result<String> {
        let mut text = self.take(|kind| kind == Kind::Text)?.text.into_owned();
        while let Some(token) = self.peek()
            && token.kind == Kind::Text
        {
            text.push_str(&token.text);
            self.at += 1;
        }
        Ok(text)
    }

    /// Takes a name, in backticks or not.
    pub(crate) fn name(&mut self) -> Result<String> {
        let token = self.take(|kind| matches!(kind, Kind::Word | Kind::Quoted))?;
        Ok(token.text.into_owned())
    }

    /// Takes a name or a string.
    pub(crate) fn name_or_string(&mut self) -> Result<String> {
        let token = self.take(|kind| matches!(kind, Kind::Word | Kind::Quoted | Kind::Text))?;
        Ok(token.text.into_owned())
    }

    /// Takes a whole number without sign.
    pub(crate) fn number(&mut self) -> Result<u64> {
        let number = self.peek().filter(|token| token.kind == Kind::Number);
        let number = number.and_then(|token| parse_number(&token.text));
        let number = number.ok_or_else(|| self.error())?;
        self.at += 1;
        Ok(number)
    }

    /// Takes a token of a kind.
    pub(crate) fn take(&mut self, wanted: impl Fn(Kind) -> bool) -> Result<Token<'a>> {
        match self.peek() {
            Some(token) if wanted(token.kind) => {
                let token = token.clone();
                self.at += 1;
                Ok(token)
            }
            _ => Err(self.error()),
        }
    }

    /// Fails unless everything has been taken.
    pub(crate) fn end(&self) -> Result<()> {
        if self.at == self.tokens.len() {
            return Ok(());
        }
        Err(self.error())
    }

    /// The syntax error at the next token.
    pub(crate) fn error(&self) -> SqlError {
        let end = self.tokens.last().map_or(0, |token| token.end);
        self.error_at(self.peek().map_or(end, |token| token.start))
    }

    /// The syntax error at a place in the text.
    pub(crate) fn error_at(&self, start: usize) -> SqlError {
        let end = self.tokens.last().map_or(0, |token| token.end).max(start);
        // The server quotes 80 characters; a secret among them is replaced before they are cut.
        let near = self.redacted_between(start, end);
        SqlError::syntax(cut(&near), line_of(self.sql, start))
    }
}

/// A decimal or hexadecimal number.
pub(crate) fn parse_number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn line_of(sql: &str, at: usize) -> usize {
    1 + sql[..at].matches('\n').count()
}

/// The first 80 characters.
fn cut(text: &str) -> &str {
    let end = text.char_indices().nth(80).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_cut_at_semicolons_outside_of_strings() {
        let all = Parser::statements("SELECT ';'; ; KILL 1;").unwrap();
        let texts: Vec<String> = all.iter().map(Parser::redacted).collect();
        assert_eq!(texts, ["SELECT ';'", "KILL 1"]);
    }

    #[test]
    fn no_error_and_no_text_for_others_has_a_password() {
        let sql = "CLONE INSTANC FROM u@h:1 IDENTIFIED BY 'hunter2' DATA DIRECTORY '/d'";
        let mut parser = Parser::statements(sql).unwrap().remove(0);
        assert!(parser.redacted().contains("IDENTIFIED BY <secret> DATA"));
        parser.accept("CLONE");
        let error = parser.error().message;
        assert!(
            error.contains("near 'INSTANC FROM u@h:1 IDENTIFIED BY <secret> DATA"),
            "{error}"
        );
        for at in 0..sql.len() {
            let cut = &sql[..at];
            match Parser::statements(cut) {
                Err(error) => assert!(!error.message.contains("hunt"), "{error}"),
                Ok(mut all) => {
                    for parser in &mut all {
                        while parser.next().is_some() {
                            assert!(!parser.error().message.contains("hunt"));
                        }
                        assert!(!parser.redacted().contains("hunt"));
                    }
                }
            }
        }
    }

    #[test]
    fn a_syntax_error_has_the_line_and_the_text_from_there() {
        let mut parser = Parser::statements("SHOW\n  NOTHING at all")
            .unwrap()
            .remove(0);
        parser.expect("SHOW").unwrap();
        let error = parser.expect("TABLES").unwrap_err();
        assert_eq!((error.code, error.sqlstate.as_str()), (1064, "42000"));
        assert!(
            error.message.ends_with("near 'NOTHING at all' at line 2"),
            "{error}"
        );
    }
}
