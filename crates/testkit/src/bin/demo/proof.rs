//! Comparing the restored server with the one it was made from.

use innoclone_testkit::{
    Result, Server, Snapshot, Workload, check_tables, scan_error_log, show, snapshot,
};

use crate::screen::Screen;

/// Compares everything, shows the result; whether all is identical.
pub(crate) fn compare(screen: &Screen, source: &Server, restored: &Server) -> Result<bool> {
    check_tables(restored)?;
    screen.say(
        "CHECK TABLE ... EXTENDED finds nothing wrong in any table, system tables included.",
    )?;
    Workload::check(restored)?;
    screen.say(
        "All balances add up to zero, every order has its lines: no transaction is half there.",
    )?;
    let complaints = scan_error_log(&restored.error_log());
    screen.say(&format!(
        "The restored server's error log has {} complaints.\n\n",
        complaints.len()
    ))?;
    screen.output(&complaints.join("\n"))?;

    // A replayed binary log does not repeat the numbers that rolled back transactions used up.
    let take = |server| Ok::<_, anyhow::Error>(snapshot(server)?.ignoring_auto_increment());
    let (left, right) = (take(source)?, take(restored)?);
    screen.say(&show::table(
        &["table", "rows", "source", "restored", ""],
        &rows(&left, &right),
    ))?;
    screen.say(&format!(
        "\nGTID set of the source:   {}",
        left.gtid_executed
    ))?;
    screen.say(&format!(
        "GTID set of the restored: {}",
        right.gtid_executed
    ))?;
    let differences = left.differences(&right);
    screen.output(&differences.join("\n"))?;
    screen.say(&format!(
        "{} other objects (schemas, routines, accounts, ...) were compared too.",
        left.objects.len()
    ))?;
    Ok(differences.is_empty() && complaints.is_empty() && !left.tables.is_empty())
}

/// One row per table of either server.
fn rows(left: &Snapshot, right: &Snapshot) -> Vec<Vec<String>> {
    let mut names: Vec<&String> = left.tables.keys().chain(right.tables.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let sum = |checksum: Option<u64>| checksum.map_or("-".to_owned(), |sum| sum.to_string());
    let row = |name: &&String| {
        let (left, right) = (left.tables.get(*name), right.tables.get(*name));
        vec![
            name.replace('`', ""),
            left.and_then(|table| table.rows)
                .map_or("-".to_owned(), show::number),
            sum(left.and_then(|table| table.checksum)),
            sum(right.and_then(|table| table.checksum)),
            if left == right { "same" } else { "DIFFERENT" }.to_owned(),
        ]
    };
    names.iter().map(row).collect()
}
