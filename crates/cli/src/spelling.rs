//! How MySQL's programs let options be spelled, brought to the one form the parser knows.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// The command line with `-` for `_` in the names of long options, and with the password in the
/// long form: in `-psecret` the value is attached and in `-p secret` there is none, which the
/// parser cannot express for a short option.
pub(crate) fn normal(argv: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut is_option = true;
    argv.enumerate()
        .map(|(at, word)| {
            is_option &= word != "--";
            if at == 0 || !is_option {
                return word;
            }
            match word.as_bytes() {
                [b'-', b'-', name @ ..] => long(name),
                [b'-', b'p'] => OsString::from("--password"),
                [b'-', b'p', value @ ..] => joined(b"--password=", value),
                _ => word,
            }
        })
        .collect()
}

fn long(text: &[u8]) -> OsString {
    let end = text.iter().position(|byte| *byte == b'=');
    let (name, value) = text.split_at(end.unwrap_or(text.len()));
    let name: Vec<u8> = name
        .iter()
        .map(|byte| if *byte == b'_' { b'-' } else { *byte })
        .collect();
    joined(&[b"--", name.as_slice()].concat(), value)
}

fn joined(head: &[u8], tail: &[u8]) -> OsString {
    let mut word = OsString::from_vec(head.to_vec());
    word.push(OsStr::from_bytes(tail));
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(words: &[&str]) -> Vec<String> {
        let argv = words.iter().map(OsString::from);
        let words = normal(argv).into_iter();
        words.map(|word| word.into_string().unwrap()).collect()
    }

    #[test]
    fn underscores_in_names_become_dashes_and_values_stay() {
        assert_eq!(
            spelled(&["x", "--clone_incremental_dir=/a_b", "--data_dir", "/c_d"]),
            ["x", "--clone-incremental-dir=/a_b", "--data-dir", "/c_d"]
        );
    }

    #[test]
    fn an_attached_password_is_a_value_and_a_bare_one_is_not() {
        assert_eq!(spelled(&["x", "-p"]), ["x", "--password"]);
        assert_eq!(spelled(&["x", "-pa_b"]), ["x", "--password=a_b"]);
        assert_eq!(spelled(&["x", "-P", "1"]), ["x", "-P", "1"]);
    }

    #[test]
    fn nothing_changes_after_the_end_of_options() {
        let words = ["x", "--", "--a_b", "-p"];
        assert_eq!(spelled(&words), words);
    }

    #[test]
    fn the_name_of_the_program_is_no_option() {
        assert_eq!(spelled(&["-program", "a"]), ["-program", "a"]);
    }

    #[test]
    fn bytes_that_are_no_text_survive() {
        let word = OsString::from_vec(b"--to_=\xff_".to_vec());
        let all = normal([OsString::from("x"), word].into_iter());
        assert_eq!(all[1].as_bytes(), b"--to-=\xff_");
    }
}
