//! Where operands begin in the statement being written: `x - INTERVAL 1 DAY` becomes a call that
//! has `x` as argument, and `x` has been written by then.

/// The operands at the end of the statement so far.
#[derive(Debug, Default)]
pub(super) struct Operands {
    open: Vec<Open>,
    /// Where the last complete operand begins.
    last: Option<usize>,
}

#[derive(Debug)]
struct Open {
    /// Where the operand begins that the parenthesis belongs to.
    start: usize,
    /// In `DATE_SUB( … )`.
    subtracts: bool,
}

impl Operands {
    /// An operand was written at `start`; one that `joins` the last belongs to it, as in `a.b`.
    pub(super) fn operand(&mut self, start: usize, joins: bool) {
        if !joins || self.last.is_none() {
            self.last = Some(start);
        }
    }

    /// A parenthesis of an operand that begins at `start`.
    pub(super) fn open(&mut self, start: usize) {
        self.open.push(Open {
            start,
            subtracts: false,
        });
        self.last = None;
    }

    /// The parenthesis opened last is that of `DATE_SUB`.
    pub(super) fn subtract(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.subtracts = true;
        }
    }

    pub(super) fn close(&mut self) {
        self.last = self.open.pop().map(|open| open.start);
    }

    /// Parentheses that are open.
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// Takes the sign or comma off the end of `out`. The place of the operand in front of a sign,
    /// `None` behind a comma; and whether the interval is added.
    pub(super) fn shift(&self, out: &mut String) -> Option<(Option<usize>, bool)> {
        let sign = out.pop()?;
        match sign {
            '+' | '-' => Some((Some(self.last?), sign == '+')),
            ',' => {
                out.push(',');
                let subtracts = self.open.last().is_some_and(|open| open.subtracts);
                Some((None, !subtracts))
            }
            _ => None,
        }
    }
}
