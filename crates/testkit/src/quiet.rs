//! A server with nothing left to do: tests that look at single pages or count bytes start there.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::{Result, Server};

/// How long a server may take to write and purge everything: a guard, not a goal.
const PATIENCE: Duration = Duration::from_secs(300);

impl Server {
    /// Writes every changed page to its file. What was changed before is then in the pages of a
    /// backup, where it would otherwise be a matter of luck whether it is there or in the redo log.
    pub fn flush_pages(&self) -> Result<()> {
        self.sql("SELECT innodb_redo_log_sharp_checkpoint()")
            .map(drop)
    }

    /// Waits until the server has nothing left to purge or to write.
    pub fn quiesce(&self) -> Result<()> {
        // Otherwise what has been purged is taken off the list only after many rounds.
        self.sql("SET GLOBAL innodb_purge_rseg_truncate_frequency = 1")?;
        let begin = Instant::now();
        let mut quiet = 0;
        // Purge makes pages dirty again: it has to stay like this for a while.
        while quiet < 3 {
            self.flush_pages()?;
            let left = self.query_value(
                "SELECT (SELECT COUNT FROM information_schema.INNODB_METRICS WHERE NAME = 'trx_rseg_history_len') \
                 + (SELECT VARIABLE_VALUE FROM performance_schema.global_status \
                    WHERE VARIABLE_NAME = 'Innodb_buffer_pool_pages_dirty')",
            )?;
            quiet = if left == "0" { quiet + 1 } else { 0 };
            ensure!(begin.elapsed() < PATIENCE, "the server never gets quiet");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}
