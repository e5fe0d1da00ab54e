//! The variables of CLONE: what they may hold, and what they hold.

mod definition;
mod store;
mod value;

pub(crate) use definition::{Compressed, Domain, Variable};
pub(crate) use store::Variables;
pub(crate) use value::Value;
