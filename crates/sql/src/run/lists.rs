//! What `SHOW` lists from `information_schema`: some of the columns, under other names.

use rusqlite::types::Value;

use crate::tables::{Columns, Definition, catalog, text};

type Listed = (Columns, Vec<Vec<Value>>);

/// `SHOW ENGINES`.
pub(super) fn engines() -> Listed {
    (ENGINES, catalog::engines())
}

/// `SHOW PLUGINS`.
pub(super) fn plugins() -> Listed {
    (PLUGINS, picked(catalog::plugins(), &[0, 2, 3, 4, 5]))
}

/// `SHOW INDEX`.
pub(super) fn indexes(table: &Definition) -> Listed {
    let mut rows = catalog::statistics();
    let [schema, name] = [table.shape.schema, table.shape.name].map(text);
    rows.retain(|row| row[1] == schema && row[2] == name);
    let kept = [2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17];
    (INDEXES, picked(rows, &kept))
}

/// `SHOW TABLE STATUS`.
pub(super) fn table_status(schema: &str) -> Listed {
    let mut rows = catalog::tables();
    let schema = text(schema);
    rows.retain(|row| row[1] == schema);
    let kept = [
        2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
    ];
    (TABLE_STATUS, picked(rows, &kept))
}

/// `SHOW CHARACTER SET`: the only one.
pub(super) fn character_sets() -> Listed {
    let row = ["utf8mb4", "UTF-8 Unicode", catalog::COLLATION].map(text);
    let mut row = row.to_vec();
    row.push(Value::Integer(4));
    (CHARACTER_SETS, vec![row])
}

/// `SHOW COLLATION`: those that texts compare by here.
pub(super) fn collations() -> Listed {
    let row = |name: &str, id: i64, default: &str, pad: &str| {
        vec![
            text(name),
            text("utf8mb4"),
            Value::Integer(id),
            text(default),
            text("Yes"),
            Value::Integer(i64::from(id != 255)),
            text(pad),
        ]
    };
    let rows = vec![
        row(catalog::COLLATION, 255, "Yes", "NO PAD"),
        row("utf8mb4_0900_bin", 309, "", "NO PAD"),
        row("utf8mb4_bin", 46, "", "PAD SPACE"),
        row("utf8mb4_general_ci", 45, "", "PAD SPACE"),
    ];
    (COLLATIONS, rows)
}

fn picked(rows: Vec<Vec<Value>>, kept: &[usize]) -> Vec<Vec<Value>> {
    let row = |row: Vec<Value>| kept.iter().map(|at| row[*at].clone()).collect();
    rows.into_iter().map(row).collect()
}

const ENGINES: Columns = &[
    ("Engine", "varchar(64)"),
    ("Support", "varchar(8)"),
    ("Comment", "varchar(80)"),
    ("Transactions", "varchar(3)"),
    ("XA", "varchar(3)"),
    ("Savepoints", "varchar(3)"),
];

const PLUGINS: Columns = &[
    ("Name", "varchar(64)"),
    ("Status", "varchar(10)"),
    ("Type", "varchar(80)"),
    ("Library", "varchar(64)"),
    ("License", "varchar(80)"),
];

const INDEXES: Columns = &[
    ("Table", "varchar(64)"),
    ("Non_unique", "int"),
    ("Key_name", "varchar(64)"),
    ("Seq_in_index", "int unsigned"),
    ("Column_name", "varchar(64)"),
    ("Collation", "varchar(1)"),
    ("Cardinality", "bigint"),
    ("Sub_part", "bigint"),
    ("Packed", "varchar(64)"),
    ("Null", "varchar(3)"),
    ("Index_type", "varchar(11)"),
    ("Comment", "varchar(8)"),
    ("Index_comment", "varchar(2048)"),
    ("Visible", "varchar(3)"),
    ("Expression", "longtext"),
];

const TABLE_STATUS: Columns = &[
    ("Name", "varchar(64)"),
    ("Engine", "varchar(64)"),
    ("Version", "int"),
    ("Row_format", "varchar(10)"),
    ("Rows", "bigint unsigned"),
    ("Avg_row_length", "bigint unsigned"),
    ("Data_length", "bigint unsigned"),
    ("Max_data_length", "bigint unsigned"),
    ("Index_length", "bigint unsigned"),
    ("Data_free", "bigint unsigned"),
    ("Auto_increment", "bigint unsigned"),
    ("Create_time", "timestamp"),
    ("Update_time", "timestamp"),
    ("Check_time", "timestamp"),
    ("Collation", "varchar(64)"),
    ("Checksum", "bigint"),
    ("Create_options", "varchar(256)"),
    ("Comment", "varchar(2048)"),
];

const CHARACTER_SETS: Columns = &[
    ("Charset", "varchar(64)"),
    ("Description", "varchar(2048)"),
    ("Default collation", "varchar(64)"),
    ("Maxlen", "int unsigned"),
];

const COLLATIONS: Columns = &[
    ("Collation", "varchar(64)"),
    ("Charset", "varchar(64)"),
    ("Id", "bigint unsigned"),
    ("Default", "varchar(3)"),
    ("Compiled", "varchar(3)"),
    ("Sortlen", "int unsigned"),
    ("Pad_attribute", "varchar(9)"),
];
