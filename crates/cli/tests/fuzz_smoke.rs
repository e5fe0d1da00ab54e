//! The fuzz target of the program on stable Rust: the same damaged option files in every run.
#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod fuzz_bodies;

use testkit::Random;

/// Every kind of line once.
const FILE: &str = "# comment\n; another\n\n[client]\nuser = root\npassword=\"p # 'w\\\"\" # why\n\
    socket\t=  /run/m y.sock\r\nskip-ssl\nempty =\nquoted = ''\nescaped = a\\sb\\tc\\\\d\\n\\q\\\n\
    [ mysqld ] junk\nloose_x = '\\''\n!include ~/more.cnf\n!includedir /etc/my.cnf.d\n!what else\n= 1\nü = ß\n";

#[test]
fn damaged_option_files_are_read_or_refused() {
    fuzz_bodies::option_file(FILE.as_bytes());
    let mut random = Random::new(0x5851_F42D_4C95_7F2D);
    for round in 0..20_000 {
        let mut bytes = FILE.as_bytes().to_vec();
        for _ in 0..=round % 8 {
            let at = random.index(bytes.len());
            match random.index(4) {
                0 => bytes[at] ^= 1 << random.index(8),
                1 => bytes[at] = *b"\"'\\#=[]! \n".get(random.index(10)).unwrap(),
                2 => bytes.insert(at, *b"\"'\\#=[]! \n".get(random.index(10)).unwrap()),
                _ => drop(bytes.remove(at)),
            }
        }
        fuzz_bodies::option_file(&bytes);
    }
}
