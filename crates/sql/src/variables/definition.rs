//! The variables: those of MySQL's clone plugin, and those that GreatSQL added for sets that are
//! compressed or incremental.

use super::value::Value;

/// A variable, by its place in [`DEFINITIONS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Variable {
    AutotuneConcurrency,
    BlockDdl,
    BufferSize,
    DdlTimeout,
    DelayAfterDataDrop,
    DonorTimeoutAfterNetworkFailure,
    EnableCompression,
    EncryptKeyPath,
    FileCompress,
    FileCompressChunkSize,
    FileCompressThreads,
    FileCompressZstdLevel,
    IncrementalDir,
    MaxConcurrency,
    MaxDataBandwidth,
    MaxNetworkBandwidth,
    SslCa,
    SslCert,
    SslKey,
    ValidDonorList,
}

/// What a variable may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Domain {
    /// A whole number; other than multiples of `step` are rounded down.
    Number {
        least: u64,
        most: u64,
        step: u64,
    },
    Switch,
    /// One of these words, or its number.
    Words(&'static [&'static str]),
    Text,
}

/// What follows from setting a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Clones heed it.
    Heeded,
    /// It belongs to the server's way to clone and has nothing to change here.
    None(&'static str),
    /// Only its default can be had.
    OnlyDefault(&'static str),
    /// It cannot be set while the server runs.
    ReadOnly,
}

/// The value a variable begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Initial {
    Number(u64),
    Switch(bool),
    Word(usize),
    Text(Option<&'static str>),
}

impl From<Initial> for Value {
    fn from(initial: Initial) -> Self {
        match initial {
            Initial::Number(number) => Self::Number(number),
            Initial::Switch(on) => Self::Switch(on),
            Initial::Word(at) => Self::Word(at),
            Initial::Text(text) => Self::Text(text.map(str::to_owned)),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Definition {
    pub(crate) variable: Variable,
    pub(crate) name: &'static str,
    pub(crate) domain: Domain,
    pub(crate) default: Initial,
    pub(crate) effect: Effect,
}

impl Variable {
    /// The variable of this name, in any case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let found = DEFINITIONS
            .iter()
            .find(|definition| definition.name.eq_ignore_ascii_case(name));
        found.map(|definition| definition.variable)
    }

    /// Every variable, by name.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        DEFINITIONS.iter().map(|definition| definition.variable)
    }

    pub(crate) fn name(self) -> &'static str {
        self.definition().name
    }

    /// The value it begins with.
    pub(crate) fn default(self) -> Value {
        self.definition().default.into()
    }

    pub(crate) fn definition(self) -> &'static Definition {
        // The order of the table is that of the variants; a test holds them together.
        &DEFINITIONS[self as usize]
    }
}

const fn number(
    variable: Variable,
    name: &'static str,
    range: [u64; 3],
    default: u64,
) -> Definition {
    let [least, most, step] = range;
    Definition {
        variable,
        name,
        domain: Domain::Number { least, most, step },
        default: Initial::Number(default),
        effect: Effect::Heeded,
    }
}

const fn switch(variable: Variable, name: &'static str, default: bool) -> Definition {
    Definition {
        variable,
        name,
        domain: Domain::Switch,
        default: Initial::Switch(default),
        effect: Effect::Heeded,
    }
}

const fn text(variable: Variable, name: &'static str) -> Definition {
    Definition {
        variable,
        name,
        domain: Domain::Text,
        default: Initial::Text(None),
        effect: Effect::Heeded,
    }
}

const fn with(effect: Effect, definition: Definition) -> Definition {
    Definition {
        effect,
        ..definition
    }
}

/// The names of `clone_file_compress`.
pub(crate) const COMPRESS: [&str; 3] = [
    "CLONE_FILE_COMPRESS_NONE",
    "CLONE_FILE_COMPRESS_LZ4",
    "CLONE_FILE_COMPRESS_ZSTD",
];

/// How files are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compressed {
    Not,
    Lz4,
    Zstd,
}

const NOT_COMPRESSED: Effect = Effect::None("the connection to a donor is not compressed here");

/// By name.
const DEFINITIONS: [Definition; 20] = [
    switch(
        Variable::AutotuneConcurrency,
        "clone_autotune_concurrency",
        true,
    ),
    with(
        Effect::OnlyDefault(
            "DDL is blocked only at the end of a clone, while the last changes are copied.",
        ),
        switch(Variable::BlockDdl, "clone_block_ddl", false),
    ),
    with(
        Effect::None("buffers have one size here"),
        number(
            Variable::BufferSize,
            "clone_buffer_size",
            [1 << 20, 256 << 20, 1 << 20],
            4 << 20,
        ),
    ),
    number(
        Variable::DdlTimeout,
        "clone_ddl_timeout",
        [0, 2_592_000, 1],
        300,
    ),
    with(
        Effect::None("no clone replaces the data of an instance here"),
        number(
            Variable::DelayAfterDataDrop,
            "clone_delay_after_data_drop",
            [0, 3600, 1],
            0,
        ),
    ),
    number(
        Variable::DonorTimeoutAfterNetworkFailure,
        "clone_donor_timeout_after_network_failure",
        [0, 30, 1],
        5,
    ),
    with(
        NOT_COMPRESSED,
        switch(
            Variable::EnableCompression,
            "clone_enable_compression",
            false,
        ),
    ),
    text(Variable::EncryptKeyPath, "clone_encrypt_key_path"),
    Definition {
        variable: Variable::FileCompress,
        name: "clone_file_compress",
        domain: Domain::Words(&COMPRESS),
        default: Initial::Word(0),
        effect: Effect::Heeded,
    },
    number(
        Variable::FileCompressChunkSize,
        "clone_file_compress_chunk_size",
        [1024, u64::MAX, 1024],
        65536,
    ),
    number(
        Variable::FileCompressThreads,
        "clone_file_compress_threads",
        [1, 128, 1],
        4,
    ),
    number(
        Variable::FileCompressZstdLevel,
        "clone_file_compress_zstd_level",
        [1, 19, 1],
        1,
    ),
    with(
        Effect::ReadOnly,
        Definition {
            variable: Variable::IncrementalDir,
            name: "clone_incremental_dir",
            domain: Domain::Text,
            default: Initial::Text(Some("")),
            effect: Effect::Heeded,
        },
    ),
    number(
        Variable::MaxConcurrency,
        "clone_max_concurrency",
        [1, 128, 1],
        16,
    ),
    number(
        Variable::MaxDataBandwidth,
        "clone_max_data_bandwidth",
        [0, 1_048_576, 1],
        0,
    ),
    number(
        Variable::MaxNetworkBandwidth,
        "clone_max_network_bandwidth",
        [0, 1_048_576, 1],
        0,
    ),
    text(Variable::SslCa, "clone_ssl_ca"),
    text(Variable::SslCert, "clone_ssl_cert"),
    text(Variable::SslKey, "clone_ssl_key"),
    text(Variable::ValidDonorList, "clone_valid_donor_list"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_finds_itself_and_names_are_sorted() {
        for variable in Variable::all() {
            assert_eq!(variable.definition().variable, variable);
            assert_eq!(
                Variable::named(&variable.name().to_uppercase()),
                Some(variable)
            );
        }
        assert!(
            DEFINITIONS
                .windows(2)
                .all(|pair| pair[0].name < pair[1].name)
        );
    }
}
