//! How a backup is compressed: the arguments, and what the option files say.

use std::str::FromStr;

use backup::recipient::Compression;
use clap::Args;
use frame::{Algorithm, Settings};

use crate::failure::Failure;
use crate::job::given_or;
use crate::option_file::Options;

/// Arguments of commands that make sets.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct CompressionArgs {
    /// Compress the files of the set: none, zstd or lz4 [default: none].
    #[arg(long, value_name = "ALGORITHM")]
    compress: Option<Choice>,
    /// Level of zstd, 1 to 19 [default: 1].
    #[arg(long, value_name = "N")]
    compress_level: Option<i64>,
    /// Compressing threads, 1 to 128 [default: 4].
    #[arg(long, value_name = "N")]
    compress_threads: Option<u64>,
    /// Bytes that are compressed on their own, 1024 or more, also as 64K or 1M: the block size of
    /// lz4. What is more than 1M makes the pieces of both algorithms larger, up to 4M [default: 64K].
    #[arg(long, value_name = "BYTES")]
    compress_chunk_size: Option<Size>,
}

impl CompressionArgs {
    /// The compression asked for; what the command line does not say, the option files may. Values
    /// out of range are refused even if nothing is compressed.
    pub(crate) fn resolve(&self, file: &Options) -> Result<Option<Compression>, Failure> {
        let choice = given_or(self.compress, file, "compress")?;
        let level = given_or(self.compress_level, file, "compress-level")?;
        let threads = given_or(self.compress_threads, file, "compress-threads")?;
        let chunk = given_or(self.compress_chunk_size, file, "compress-chunk-size")?;
        let algorithm = choice.unwrap_or_default().0;
        let refused = |error: frame::Error| Failure::Usage(error.to_string());
        let settings = Settings::new(
            algorithm.unwrap_or(Algorithm::Zstd),
            level.unwrap_or(Settings::DEFAULT_LEVEL.into()),
            chunk.map_or(Settings::DEFAULT_CHUNK_SIZE, |Size(bytes)| bytes),
        );
        let compression = Compression {
            settings: settings.map_err(refused)?,
            threads: Settings::threads(threads.unwrap_or(Settings::DEFAULT_THREADS as u64))
                .map_err(refused)?,
        };
        Ok(algorithm.map(|_| compression))
    }
}

/// An algorithm, or none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Choice(Option<Algorithm>);

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self(None));
        }
        let algorithm = text.parse().map(Some).map(Self);
        algorithm.map_err(|_| "it must be none, zstd or lz4".to_owned())
    }
}

/// A number of bytes, written as MySQL's programs take it: `65536`, `64K`, `1M`, `1g`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size(u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, shift) = match text.char_indices().last() {
            Some((at, 'k' | 'K')) => (&text[..at], 10),
            Some((at, 'm' | 'M')) => (&text[..at], 20),
            Some((at, 'g' | 'G')) => (&text[..at], 30),
            _ => (text, 0),
        };
        let number: Option<u64> = digits.parse().ok();
        let bytes = number.and_then(|number| number.checked_mul(1 << shift));
        let wrong = || "it must be a number of bytes, 1024 or more, as 65536, 64K or 1M".to_owned();
        bytes.map(Self).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(level: i64, threads: u64, chunk: &str) -> Result<Option<Compression>, Failure> {
        let args = CompressionArgs {
            compress: Some("lz4".parse().unwrap()),
            compress_level: Some(level),
            compress_threads: Some(threads),
            compress_chunk_size: Some(chunk.parse().unwrap()),
        };
        args.resolve(&Options::default())
    }

    #[test]
    fn nothing_is_compressed_unless_asked_for() {
        let nothing = CompressionArgs::default();
        assert_eq!(nothing.resolve(&Options::default()).unwrap(), None);
        let none = CompressionArgs {
            compress: Some("NONE".parse().unwrap()),
            ..CompressionArgs::default()
        };
        assert_eq!(none.resolve(&Options::default()).unwrap(), None);
    }

    #[test]
    fn defaults_are_those_of_the_variables_of_clone() {
        let args = CompressionArgs {
            compress: Some("zstd".parse().unwrap()),
            ..CompressionArgs::default()
        };
        let how = args.resolve(&Options::default()).unwrap().unwrap();
        assert_eq!(how.settings, Settings::of(Algorithm::Zstd));
        assert_eq!(how.threads, 4);
    }

    #[test]
    fn what_is_given_arrives_and_what_is_out_of_range_is_refused_with_the_range() {
        let how = resolved(19, 128, "1m").unwrap().unwrap();
        assert_eq!(how.settings.algorithm(), Algorithm::Lz4);
        assert_eq!(how.settings.level(), 19);
        assert_eq!((how.threads, how.settings.chunk_size()), (128, 1 << 20));
        for (level, threads, chunk, range) in [
            (0, 1, "64K", "between 1 and 19"),
            (20, 1, "64K", "between 1 and 19"),
            (1, 0, "64K", "between 1 and 128"),
            (1, 129, "64K", "between 1 and 128"),
            (1, 1, "1023", "1024 bytes or more"),
        ] {
            let text = resolved(level, threads, chunk).unwrap_err().to_string();
            assert!(text.contains(range), "{text}");
        }
    }

    #[test]
    fn sizes_have_the_suffixes_of_mysql() {
        for (text, bytes) in [
            ("65536", 65536),
            ("64K", 65536),
            ("2m", 2 << 20),
            ("1G", 1 << 30),
        ] {
            assert_eq!(text.parse(), Ok(Size(bytes)));
        }
        for text in ["", "K", "-1", "64KB", "1.5M", "99999999999G", "ü"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
