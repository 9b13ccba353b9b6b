//! What one row of a training batch is for.

use super::BASE_LEVEL;

/// What one row of a training batch is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Which target it gets.
    pub kind: RowKind,
    /// The time t in [0, 1).
    pub t: f64,
    /// The level k = -log2 d it asks the student for, a real number in [0, 7].
    pub log2_steps: f64,
    /// The guidance scale it asks the student for; 1 is none.
    pub guidance_scale: f64,
    /// Whether its caption is replaced by the empty one.
    pub drop_caption: bool,
}

/// The target of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// Made of the teacher's answers.
    Bootstrap,
    /// The velocity of the straight path.
    Flow,
    /// The noise or velocity of the diffusion process.
    Diffusion,
}

/// Names of the losses of bootstrap rows, by level.
const LEVEL_NAMES: [&str; BASE_LEVEL as usize + 1] = [
    "loss_d1",
    "loss_d1/2",
    "loss_d1/4",
    "loss_d1/8",
    "loss_d1/16",
    "loss_d1/32",
    "loss_d1/64",
    "loss_d1/128",
];

impl Row {
    /// A row that regresses the velocity of the straight path at d = 0.
    pub fn flow(t: f64) -> Self {
        Self {
            kind: RowKind::Flow,
            t,
            log2_steps: f64::from(BASE_LEVEL),
            guidance_scale: 1.0,
            drop_caption: false,
        }
    }

    /// The step size d = 2^-k.
    pub fn step_size(&self) -> f64 {
        // Exact for whole levels.
        if self.log2_steps.fract() == 0.0 {
            0.5f64.powi(self.log2_steps as i32)
        } else {
            (-self.log2_steps).exp2()
        }
    }

    /// Whether its target is made of the teacher's answers.
    pub fn needs_teacher(&self) -> bool {
        self.kind == RowKind::Bootstrap
    }

    /// The name of its loss in the record: bootstrap rows by the nearest level.
    pub fn loss_name(&self) -> &'static str {
        match self.kind {
            RowKind::Bootstrap => {
                let level = self.log2_steps.round().clamp(0.0, f64::from(BASE_LEVEL));
                LEVEL_NAMES[level as usize]
            }
            RowKind::Flow => "loss_flow",
            RowKind::Diffusion => "loss_diffusion",
        }
    }
}

/// How many rows at the start of a plan need the teacher.
pub(super) fn num_leading(rows: &[Row]) -> usize {
    rows.iter().take_while(|row| row.needs_teacher()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_named_by_the_nearest_level() {
        let name =
            |log2_steps| Row { kind: RowKind::Bootstrap, log2_steps, ..Row::flow(0.0) }.loss_name();
        assert_eq!(
            [0.0, 0.4, 2.6, 6.0].map(name),
            ["loss_d1", "loss_d1", "loss_d1/8", "loss_d1/64"]
        );
        assert_eq!(Row::flow(0.5).loss_name(), "loss_flow");
    }
}
