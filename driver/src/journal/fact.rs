//! What has to survive the process: the transitions of the core that cannot be found out again, in four groups.
//!
//! Executors are named by the order in which they were admitted, stages by their number. A fact is the number of its
//! kind, its length, and its fields in their order; numbers of kinds are never given twice. A fact of a kind that this
//! build does not know is refused: leaving it out could undo what it said.

mod application;
mod attempts;
mod executors;
mod stages;

use super::codec::{Damaged, Reader, Writer};

pub(crate) use application::ApplicationFact;
pub(crate) use attempts::{AttemptFact, AttemptName};
pub(crate) use executors::ExecutorFact;
pub(crate) use stages::StageFact;

/// One fact.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fact {
    Application(ApplicationFact),
    Executor(ExecutorFact),
    Stage(StageFact),
    Attempt(AttemptFact),
}

impl Fact {
    /// Whether nothing may be done before it is kept.
    pub(crate) fn is_urgent(&self) -> bool {
        match self {
            Self::Application(_) => true,
            Self::Stage(fact) => fact.is_urgent(),
            Self::Executor(_) | Self::Attempt(_) => false,
        }
    }

    pub(crate) fn write(&self, into: &mut Writer) {
        let mut body = Writer::default();
        let kind = match self {
            Self::Application(fact) => fact.write(&mut body),
            Self::Executor(fact) => fact.write(&mut body),
            Self::Stage(fact) => fact.write(&mut body),
            Self::Attempt(fact) => fact.write(&mut body),
        };
        into.number(kind).blob(&body.bytes);
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Damaged> {
        let kind = from.number()?;
        let mut body = Reader::new(from.blob()?);
        let from = &mut body;
        Ok(match kind {
            1 | 2 | 15..=17 => ApplicationFact::read(kind, from)?.into(),
            3..=5 | 20 => ExecutorFact::read(kind, from)?.into(),
            6 | 7 | 13 | 14 => StageFact::read(kind, from)?.into(),
            other => AttemptFact::read(other, from)?.into(),
        })
    }
}

impl From<ApplicationFact> for Fact {
    fn from(fact: ApplicationFact) -> Self {
        Self::Application(fact)
    }
}

impl From<ExecutorFact> for Fact {
    fn from(fact: ExecutorFact) -> Self {
        Self::Executor(fact)
    }
}

impl From<StageFact> for Fact {
    fn from(fact: StageFact) -> Self {
        Self::Stage(fact)
    }
}

impl From<AttemptFact> for Fact {
    fn from(fact: AttemptFact) -> Self {
        Self::Attempt(fact)
    }
}

fn unknown(kind: u64) -> Damaged {
    Damaged::new(format!("a fact of kind {kind}, which this build does not know"))
}

#[cfg(test)]
mod tests;
