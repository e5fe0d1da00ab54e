//! The two algorithms, and the names they give to files.

use std::fmt;
use std::str::FromStr;

/// How a file is compressed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// Zstandard (RFC 8878).
    Zstd,
    /// The LZ4 frame format.
    Lz4,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Zstd, Self::Lz4];

    /// What is put behind the name of a file that is stored compressed.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Zstd => ".zstd",
            Self::Lz4 => ".lz4",
        }
    }

    /// The algorithm that a stored file's name tells, and the name of the original.
    pub fn of_name(name: &str) -> Option<(&str, Self)> {
        Self::ALL.into_iter().find_map(|algorithm| {
            let base = name.strip_suffix(algorithm.suffix())?;
            let is_name = !base.is_empty() && !base.ends_with('/');
            is_name.then_some((base, algorithm))
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownAlgorithm(text.to_owned()))
    }
}

/// A word that names no algorithm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("compression algorithm must be zstd or lz4, not {0:?}")]
pub struct UnknownAlgorithm(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_stored_files_tell_original_and_algorithm() {
        let of = Algorithm::of_name;
        assert_eq!(of("s/t.ibd.zstd"), Some(("s/t.ibd", Algorithm::Zstd)));
        assert_eq!(
            of("a b.ibd.delta.lz4"),
            Some(("a b.ibd.delta", Algorithm::Lz4))
        );
        for name in ["t.ibd", ".zstd", "s/.lz4", "x.zst", "x.zstd3", "x.LZ4", ""] {
            assert_eq!(of(name), None, "{name}");
        }
    }

    #[test]
    fn algorithms_are_words() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
            assert_eq!(algorithm.suffix(), format!(".{algorithm}"));
        }
        assert_eq!("ZSTD".parse(), Ok(Algorithm::Zstd));
        assert!("gzip".parse::<Algorithm>().is_err());
    }
}
