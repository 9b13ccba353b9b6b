//! Which row of a batch trains which level at which time.

use crate::noise::{self, ChaCha8Rng};

use super::flow_matching::draw_time;
use super::{BASE_LEVEL, LevelAllocation, ObjectiveConfig, ShortcutConfig};

/// What one row of a training batch is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Which target it gets.
    pub kind: RowKind,
    /// The time t in [0, 1).
    pub t: f64,
    /// The level k it asks the student for: d = 2^-k.
    pub log2_steps: u32,
    /// Whether its caption is replaced by the empty one.
    pub drop_caption: bool,
}

/// The target of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// Self-consistency: the mean of two consecutive half steps of the teacher.
    Bootstrap,
    /// Flow matching: the velocity of the straight path.
    Flow,
}

/// Plans a batch: self-consistency rows first, then flow-matching rows.
///
/// `progress` in [0, 1] is the fraction of the run that is done. `rngs` holds one keyed
/// generator per row, so that a row's draws depend on neither the batch nor its order.
///
/// # Source
/// kvfrans/shortcut-models, `targets_shortcut.py`: levels in a fixed order from the finest, the
/// remainder to d = 1; t on the grid {0, d, ..., 1 - d}.
/// # Deviations
/// Every image of the batch is used once (the reference uses the first twice and the last
/// never); levels may be drawn at random, so that small batches reach all of them.
pub fn plan_rows(config: &ObjectiveConfig, progress: f64, rngs: &mut [ChaCha8Rng]) -> Vec<Row> {
    match config {
        ObjectiveConfig::FlowMatching { flow_time, cond_dropout_prob } => {
            rngs.iter_mut().map(|rng| flow_row(*flow_time, *cond_dropout_prob, rng)).collect()
        }
        ObjectiveConfig::Shortcut(config) => plan_shortcut_rows(config, progress, rngs),
    }
}

fn plan_shortcut_rows(config: &ShortcutConfig, progress: f64, rngs: &mut [ChaCha8Rng]) -> Vec<Row> {
    let num_bootstrap =
        if progress < config.bootstrap_start { 0 } else { config.bootstrap_rows(rngs.len()) };
    rngs.iter_mut()
        .enumerate()
        .map(|(index, rng)| {
            if index < num_bootstrap {
                bootstrap_row(config, index, num_bootstrap, rng)
            } else {
                flow_row(config.flow_time, config.cond_dropout_prob, rng)
            }
        })
        .collect()
}

fn flow_row(flow_time: super::FlowTime, cond_dropout_prob: f64, rng: &mut ChaCha8Rng) -> Row {
    Row {
        kind: RowKind::Flow,
        t: draw_time(flow_time, rng),
        log2_steps: BASE_LEVEL,
        drop_caption: noise::uniform(rng) < cond_dropout_prob,
    }
}

fn bootstrap_row(
    config: &ShortcutConfig,
    index: usize,
    num_bootstrap: usize,
    rng: &mut ChaCha8Rng,
) -> Row {
    let log2_steps = match config.levels {
        LevelAllocation::Even => {
            let rows_per_level = num_bootstrap / BASE_LEVEL as usize;
            (BASE_LEVEL as usize - 1).saturating_sub(index / rows_per_level.max(1)) as u32
        }
        LevelAllocation::Random if noise::uniform(rng) < config.one_step_bias => 0,
        LevelAllocation::Random => noise::below(rng, BASE_LEVEL as usize) as u32,
    };
    let num_steps = 1usize << log2_steps;
    Row {
        kind: RowKind::Bootstrap,
        t: noise::below(rng, num_steps) as f64 / num_steps as f64,
        log2_steps,
        drop_caption: config.bootstrap_cond_dropout
            && noise::uniform(rng) < config.cond_dropout_prob,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{keyed_rng, purpose};
    use crate::objective::{FlowTime, ObjectiveError};

    fn plan(config: &ShortcutConfig, batch_size: usize, step: u64) -> Vec<Row> {
        let mut rngs: Vec<_> =
            (0..batch_size as u64).map(|i| keyed_rng(0, purpose::TRAINING_ROW, step, i)).collect();
        plan_rows(&ObjectiveConfig::Shortcut(config.clone()), 1.0, &mut rngs)
    }

    fn level_counts(rows: &[Row]) -> Vec<usize> {
        (0..=BASE_LEVEL).map(|k| rows.iter().filter(|r| r.log2_steps == k).count()).collect()
    }

    #[test]
    fn levels_are_dealt_as_in_the_reference() {
        let with_share = |bootstrap_share| ShortcutConfig { bootstrap_share, ..Default::default() };
        // Batch 64: one row a level and one more at d = 1 for 1/8; two and two more for 1/4.
        assert_eq!(level_counts(&plan(&with_share(0.125), 64, 0)), [2, 1, 1, 1, 1, 1, 1, 56]);
        assert_eq!(level_counts(&plan(&with_share(0.25), 64, 0)), [4, 2, 2, 2, 2, 2, 2, 48]);
        // Batch 256 with 1/8: four a level and four more at d = 1.
        assert_eq!(level_counts(&plan(&with_share(0.125), 256, 0)), [8, 4, 4, 4, 4, 4, 4, 224]);
        assert_eq!(level_counts(&plan(&with_share(0.75), 64, 0)), [12, 6, 6, 6, 6, 6, 6, 16]);
    }

    #[test]
    fn times_lie_on_the_grid_of_their_level_and_steps_end_by_one() {
        let config = ShortcutConfig { bootstrap_share: 0.75, ..Default::default() };
        let mut seen = vec![std::collections::BTreeSet::new(); BASE_LEVEL as usize + 1];
        for step in 0..400 {
            for row in plan(&config, 64, step) {
                let scaled = row.t * f64::from(1 << row.log2_steps);
                assert_eq!(scaled.fract(), 0.0, "{row:?}");
                assert!(row.t + 1.0 / f64::from(1 << row.log2_steps) <= 1.0, "{row:?}");
                assert_eq!(row.kind == RowKind::Flow, row.log2_steps == BASE_LEVEL);
                seen[row.log2_steps as usize].insert(scaled as u32);
            }
        }
        // Every point of every grid is reached.
        for (k, times) in seen.iter().enumerate() {
            assert_eq!(times.len(), 1 << k, "level {k}");
        }
    }

    #[test]
    fn random_levels_reach_all_and_lean_to_one_step() {
        let config = ShortcutConfig {
            levels: LevelAllocation::Random,
            one_step_bias: 0.15,
            ..Default::default()
        };
        let mut counts = [0usize; BASE_LEVEL as usize + 1];
        for step in 0..2000 {
            for (total, n) in counts.iter_mut().zip(level_counts(&plan(&config, 16, step))) {
                *total += n;
            }
        }
        let share = |k: usize| counts[k] as f64 / (2000 * 4) as f64;
        assert!((share(0) - (0.15 + 0.85 / 7.0)).abs() < 0.02, "{counts:?}");
        assert!((1..7).all(|k| (share(k) - 0.85 / 7.0).abs() < 0.02), "{counts:?}");
    }

    #[test]
    fn captions_drop_where_they_should() {
        let drops = |config: &ShortcutConfig, kind| {
            let rows: Vec<Row> = (0..300).flat_map(|step| plan(config, 64, step)).collect();
            let of_kind: Vec<_> = rows.into_iter().filter(|row| row.kind == kind).collect();
            of_kind.iter().filter(|row| row.drop_caption).count() as f64 / of_kind.len() as f64
        };
        let reference = ShortcutConfig::default();
        assert_eq!(drops(&reference, RowKind::Bootstrap), 0.0);
        assert!((drops(&reference, RowKind::Flow) - 0.1).abs() < 0.01);
        let both = ShortcutConfig { bootstrap_cond_dropout: true, ..reference };
        assert!((drops(&both, RowKind::Bootstrap) - 0.1).abs() < 0.02);
    }

    #[test]
    fn self_consistency_waits_for_its_start() {
        let config = ShortcutConfig { bootstrap_start: 0.4, ..Default::default() };
        let mut rngs: Vec<_> = (0..64).map(|i| keyed_rng(0, 2, 0, i)).collect();
        let objective = ObjectiveConfig::Shortcut(config);
        let count = |rows: Vec<Row>| rows.iter().filter(|r| r.kind == RowKind::Bootstrap).count();
        assert_eq!(count(plan_rows(&objective, 0.39, &mut rngs)), 0);
        assert_eq!(count(plan_rows(&objective, 0.40, &mut rngs)), 16);
    }

    #[test]
    fn impossible_settings_are_named() {
        let validate =
            |config: ShortcutConfig, batch| ObjectiveConfig::Shortcut(config).validate(batch);
        assert_eq!(validate(ShortcutConfig::default(), 64), Ok(()));
        assert!(matches!(
            validate(ShortcutConfig::default(), 16),
            Err(ObjectiveError::TooFewRows { rows: 4, .. })
        ));
        let random = ShortcutConfig { levels: LevelAllocation::Random, ..Default::default() };
        assert_eq!(validate(random, 16), Ok(()));
        let share = ShortcutConfig { bootstrap_share: 1.5, ..Default::default() };
        assert!(validate(share, 64).is_err_and(|e| e.to_string().contains("bootstrap_share")));
        let nan = FlowTime::LogitNormal { mean: f64::NAN, std: 1.0, uniform_share: 0.0 };
        assert!(validate(ShortcutConfig { flow_time: nan, ..Default::default() }, 64).is_err());
    }
}
