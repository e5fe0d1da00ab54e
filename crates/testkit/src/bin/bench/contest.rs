//! Contenders that take turns.

use std::time::Duration;

use innoclone_testkit::{Io, Result, Run};
use serde_json::{Value, json};

/// One run of a contender.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) time: Duration,
    pub(crate) io: Io,
    /// Of the process that did it; `None` where that is the server.
    pub(crate) peak_memory: Option<u64>,
    /// What innoclone printed with `--json`.
    pub(crate) answer: Value,
}

impl From<Run> for Sample {
    fn from(run: Run) -> Self {
        Self {
            time: run.time,
            io: run.io,
            peak_memory: Some(run.peak_memory),
            answer: serde_json::from_str(&run.stdout).unwrap_or_default(),
        }
    }
}

/// All runs of a contender.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) samples: Vec<Sample>,
}

impl Series {
    pub(crate) fn new(name: &str, samples: Vec<Sample>) -> Self {
        Self {
            name: name.to_owned(),
            samples,
        }
    }

    /// Seconds of the rounds.
    pub(crate) fn seconds(&self) -> Spread {
        Spread::of(self.samples.iter().map(|sample| sample.time.as_secs_f64()))
    }

    /// How many times as long as `other` this took, round by round: what disturbs a whole round
    /// disturbs both.
    pub(crate) fn ratio(&self, other: &Self) -> Spread {
        let pairs = self.samples.iter().zip(&other.samples);
        Spread::of(pairs.map(|(one, two)| one.time.as_secs_f64() / two.time.as_secs_f64()))
    }

    /// The most memory that any run took.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        self.samples
            .iter()
            .filter_map(|sample| sample.peak_memory)
            .max()
    }

    /// Counters of the last run.
    pub(crate) fn io(&self) -> Io {
        self.samples
            .last()
            .map(|sample| sample.io)
            .unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "seconds": self.samples.iter().map(|sample| sample.time.as_secs_f64()).collect::<Vec<_>>(),
            "median_seconds": self.seconds().median,
            "bytes_read": self.io().read,
            "bytes_written": self.io().written,
            "bytes_from_disk": self.io().from_disk,
            "peak_memory": self.peak_memory(),
        })
    }
}

/// The middle and the ends of some numbers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(numbers: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = numbers.collect();
        sorted.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (sorted.first(), sorted.last()) else {
            return Self::default();
        };
        let half = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[half]
        } else {
            f64::midpoint(sorted[half - 1], sorted[half])
        };
        Self {
            median,
            min: *min,
            max: *max,
        }
    }
}

/// A contender: its name, and what it does in the round of that number.
pub(crate) type Contender<'a> = (&'a str, Box<dyn FnMut(usize) -> Result<Sample> + 'a>);

/// Lets every contender run once per round, each round begun by another one.
pub(crate) fn take_turns(runs: usize, mut contenders: Vec<Contender<'_>>) -> Result<Vec<Series>> {
    let mut all: Vec<Series> = contenders
        .iter()
        .map(|(name, _)| Series::new(name, Vec::new()))
        .collect();
    let count = contenders.len();
    for round in 0..runs {
        for turn in 0..count {
            let at = (round + turn) % count;
            let sample = (contenders[at].1)(round)?;
            all[at].samples.push(sample);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let spread = Spread::of([3.0, 1.0, 2.0].into_iter());
        assert!(spread.median.total_cmp(&2.0).is_eq() && spread.max.total_cmp(&3.0).is_eq());
        let spread = Spread::of([4.0, 1.0].into_iter());
        assert!(spread.median.total_cmp(&2.5).is_eq() && spread.min.total_cmp(&1.0).is_eq());
    }
}
