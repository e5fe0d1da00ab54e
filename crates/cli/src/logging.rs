//! The log on standard error, and its peace with progress bars.

use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::sync::OnceLock;

use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::args::GlobalArgs;
use crate::failure::Failure;

/// The progress bars of the process. Whoever writes to standard error suspends them.
pub(crate) fn bars() -> &'static MultiProgress {
    static BARS: OnceLock<MultiProgress> = OnceLock::new();
    BARS.get_or_init(MultiProgress::new)
}

/// Starts the log as the command line wants it.
pub(crate) fn start(args: &GlobalArgs) -> Result<(), Failure> {
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter(args)?)
        .with_timer(LocalTime)
        .with_writer(|| Log);
    if args.json {
        log.json().flatten_event(true).init();
    } else {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        log.with_target(false)
            .with_ansi(!plain && io::stderr().is_terminal())
            .init();
    }
    Ok(())
}

fn filter(args: &GlobalArgs) -> Result<EnvFilter, Failure> {
    let default = if args.quiet { "warn" } else { "info" };
    let given = args.log_level.as_deref().filter(|text| !text.is_empty());
    let text = given.unwrap_or(default);
    let wrong =
        |why: &dyn fmt::Display| Failure::Usage(format!("invalid log level '{text}': {why}"));
    // The library takes a word that it does not know for a filter that lets nothing through.
    let is_known = |part: &str| part.contains('=') || part.parse::<LevelFilter>().is_ok();
    if !text.split(',').all(is_known) {
        return Err(wrong(&"error, warn, info, debug, trace or off"));
    }
    EnvFilter::builder()
        .parse(text)
        .map_err(|error| wrong(&error))
}

/// Standard error, with the bars out of the way while a line is written.
struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        bars().suspend(|| io::stderr().lock().write_all(bytes))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The time of this host with its distance from UTC.
struct LocalTime;

impl FormatTime for LocalTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let now = jiff::Zoned::now();
        write!(writer, "{}", now.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter_of(quiet: bool, level: Option<&str>) -> Result<String, Failure> {
        let args = GlobalArgs {
            quiet,
            log_level: level.map(str::to_owned),
            ..GlobalArgs::default()
        };
        Ok(filter(&args)?.to_string())
    }

    #[test]
    fn quiet_means_warnings_unless_a_level_is_given() {
        assert_eq!(filter_of(false, None).unwrap(), "info");
        assert_eq!(filter_of(true, None).unwrap(), "warn");
        assert_eq!(filter_of(true, Some("debug")).unwrap(), "debug");
        assert_eq!(filter_of(false, Some("")).unwrap(), "info");
    }

    #[test]
    fn a_level_that_is_none_is_wrong_usage() {
        for level in ["x=y=z", "verbose", "info,loud"] {
            let refused = matches!(filter_of(false, Some(level)), Err(Failure::Usage(_)));
            assert!(refused, "{level}");
        }
        let both = filter_of(false, Some("info,backup=debug")).unwrap();
        assert!(both.contains("backup=debug"), "{both}");
    }
}
