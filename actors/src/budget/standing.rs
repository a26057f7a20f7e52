//! How budgets stand, and what they allow. Pure.

use crate::model::{Amount, Budget, BudgetScope, Exceeded, Measure};

/// The budgets that a model call is paid from: those of its run and of those above it, and the task's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing(pub Vec<Line>);

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Whose.
    pub scope: BudgetScope,
    /// What may be used up.
    pub most: Budget,
    /// What is.
    pub used: Amount,
    /// What is set aside for calls of others.
    pub reserved: Amount,
}

/// What becomes of a model call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be made.
    Granted,
    /// It may be made when calls that were granted before have left enough.
    Waits,
    /// It can not be paid.
    Refused(Exceeded),
}

/// From how much of a budget on a run is told, in hundredths.
const NEARLY: u64 = 80;

impl Standing {
    /// Whether there is any budget.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether a call of this amount may be made: what is used, what was set aside before and the call itself must fit.
    #[must_use]
    pub fn verdict(&self, needed: Amount) -> Verdict {
        if let Some(exceeded) = self.refusal(needed) {
            return Verdict::Refused(exceeded);
        }
        match self.first(needed, |line, measure| line.reserved.of(measure)) {
            Some(_) => Verdict::Waits,
            None => Verdict::Granted,
        }
    }

    /// The budget that can not pay a call, whatever calls under way leave over.
    #[must_use]
    pub fn refusal(&self, needed: Amount) -> Option<Exceeded> {
        self.first(needed, |_, _| 0)
    }

    /// The budget that can not pay a call beside those under way.
    #[must_use]
    pub fn crowded(&self, needed: Amount) -> Option<Exceeded> {
        self.first(needed, |line, measure| line.reserved.of(measure))
    }

    fn first(&self, needed: Amount, beside: impl Fn(&Line, Measure) -> u64) -> Option<Exceeded> {
        let too_much = |line: &Line, measure: Measure| {
            let most = line.most.of(measure)?;
            let used = line.used.of(measure);
            let all = used
                .saturating_add(beside(line, measure))
                .saturating_add(needed.of(measure));
            (all > most).then(|| line.exceeded(measure, most, needed))
        };
        let lines = self.0.iter();
        lines
            .flat_map(|line| Measure::ALL.map(|measure| too_much(line, measure)))
            .flatten()
            .next()
    }

    /// The budget of which a run should be told that it is nearly used up.
    #[must_use]
    pub fn nearly(&self) -> Option<Exceeded> {
        let nearly = |line: &Line, measure: Measure| {
            let most = line.most.of(measure)?;
            let used = u128::from(line.used.of(measure));
            let is_nearly = used * 100 >= u128::from(most) * u128::from(NEARLY);
            is_nearly.then(|| line.exceeded(measure, most, Amount::default()))
        };
        let lines = self.0.iter();
        lines
            .flat_map(|line| Measure::ALL.map(|measure| nearly(line, measure)))
            .flatten()
            .next()
    }
}

impl Line {
    fn exceeded(&self, measure: Measure, most: u64, needed: Amount) -> Exceeded {
        Exceeded {
            budget: self.scope,
            measure,
            most,
            used: self.used.of(measure),
            reserved: self.reserved.of(measure),
            needed: needed.of(measure),
        }
    }
}

/// What a run is told whose budget is nearly used up.
#[must_use]
pub fn nearly_note(nearly: &Exceeded) -> String {
    let whose = match nearly.budget {
        BudgetScope::Task => "the whole task",
        BudgetScope::Run(_) => "this run and all it delegates",
    };
    let share = nearly.measure.share(nearly.used, nearly.most);
    format!(
        "{share} that {whose} may use are used up. Bring the work to an end with what there is, and delegate nothing that can be done \
         without."
    )
}

/// Why a run can not be delegated, for the model.
#[must_use]
pub fn not_delegated(crowded: &Exceeded) -> String {
    let whose = match crowded.budget {
        BudgetScope::Task => "the task",
        BudgetScope::Run(_) => "this run",
    };
    let words = |n| crowded.measure.words(n);
    format!(
        "of the budget of {whose} {} are left, and the first model call of another run needs up to {}; do it yourself, or come to \
         an end with what there is",
        crowded.measure.share(crowded.left(), crowded.most),
        words(crowded.needed)
    )
}
