//! All attacks on all steps, and what they prove.

use anyhow::Result;

use super::STEPS;
use super::attack::Attack;
use super::trial::{Cell, Programs, Who, carry_out};

/// One attack by one user.
pub(super) struct Row {
    pub attack: &'static Attack,
    pub who: Who,
    /// The positive control: the same attack, by the same user, without a container.
    pub host: Cell,
    /// One cell for each step.
    pub steps: Vec<Cell>,
}

impl Row {
    fn carry_out(attack: &'static Attack, who: Who, programs: &Programs) -> Result<Row> {
        let trial = |step| carry_out(attack, step, who, programs);
        let host = trial(None)?;
        let steps = STEPS.into_iter().map(|step| trial(Some(step))).collect::<Result<_>>()?;
        Ok(Row { attack, who, host, steps })
    }

    /// Whether the attack has succeeded somewhere.
    pub(super) fn has_succeeded(&self) -> bool {
        self.steps.iter().chain([&self.host]).any(|cell| *cell == Cell::Leaks)
    }
}

/// Some attacks, by everybody that we can be.
pub(super) struct Matrix {
    pub rows: Vec<Row>,
    pub attacks: Vec<&'static Attack>,
}

impl Matrix {
    /// Carries them out.
    ///
    /// # Errors
    /// If a host cannot be made, or a step does not start.
    pub(super) fn carry_out(
        attacks: Vec<&'static Attack>,
        programs: &Programs,
        mut progress: impl FnMut(&Row),
    ) -> Result<Matrix> {
        let everybody = if programs.is_root { &[Who::Root, Who::User][..] } else { &[Who::User] };
        let mut rows = Vec::new();
        for who in everybody {
            for attack in &attacks {
                let row = Row::carry_out(attack, *who, programs)?;
                progress(&row);
                rows.push(row);
            }
        }
        Ok(Matrix { rows, attacks })
    }

    /// The row of this attack by this user.
    pub(super) fn row(&self, attack: &Attack, who: Who) -> Option<&Row> {
        self.rows.iter().find(|row| row.attack.id == attack.id && row.who == who)
    }

    /// The attacks that have succeeded nowhere, by nobody: their rows prove nothing.
    pub(super) fn unproven(&self) -> impl Iterator<Item = &'static Attack> {
        let rows = |id| self.rows.iter().filter(move |row| row.attack.id == id);
        let is_unproven = move |attack: &&'static Attack| !rows(attack.id).any(Row::has_succeeded);
        self.attacks.iter().copied().filter(is_unproven)
    }
}
