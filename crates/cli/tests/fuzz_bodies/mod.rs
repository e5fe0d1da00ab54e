//! What the fuzz target does with its input. Shared by `fuzz/` and by `fuzz_smoke`.

// The program has no library: its parser is compiled here too. It needs nothing else of it.
#[path = "../../src/option_file/line.rs"]
mod line;

use line::Line;

/// The bytes of an option file, line by line: nothing panics, and what a line sets can be written
/// so that it says the same again.
pub(crate) fn option_file(data: &[u8]) {
    for text in data.split(|byte| *byte == b'\n') {
        let Ok(text) = std::str::from_utf8(text) else {
            continue;
        };
        match line::parse(text) {
            Ok(Line::Nothing) => {}
            Err(problem) => assert!(!problem.is_empty(), "{text:?}"),
            Ok(Line::Group(name)) => {
                assert_eq!(line::parse(&format!("[{name}]")), Ok(Line::Group(name)));
            }
            Ok(Line::Include(path) | Line::IncludeDir(path)) => {
                assert!(!path.is_empty(), "{text:?}");
            }
            Ok(Line::Setting { name, value }) => setting(text, name, value),
        }
    }
}

fn setting(text: &str, name: &str, value: Option<String>) {
    assert!(!name.is_empty() && text.contains(name), "{text:?}");
    let Some(value) = value else {
        return;
    };
    // Escapes are longer than what they stand for.
    assert!(name.len() + value.len() < text.len(), "{text:?}");
    if name.contains(['"', '\'']) {
        // Such a name opens a quote, in which the value would be.
        return;
    }
    let mut written = format!("{name} = \"");
    for character in value.chars() {
        match character {
            '\n' => written.push_str("\\n"),
            '\\' | '"' => written.extend(['\\', character]),
            other => written.push(other),
        }
    }
    written.push('"');
    let value = Some(value);
    assert_eq!(line::parse(&written), Ok(Line::Setting { name, value }));
}
