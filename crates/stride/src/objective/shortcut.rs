//! Self-consistency: one step of size d equals two consecutive steps of size d / 2.

use burn::tensor::Tensor;

use super::{BASE_LEVEL, Conditioning, Row, ShortcutConfig};

/// The targets of self-consistency rows, without gradient.
///
/// With s' the teacher (an exponential moving average of the student) and h = d / 2,
///
/// v_1 = s'(x_t, t, h), x' = clip(x_t + h v_1), v_2 = s'(x', t + h, h),
/// target = clip((v_1 + v_2) / 2).
///
/// The student is asked for level k, the teacher for k + 1. With a guidance scale w other than
/// 1, both teacher velocities of the rows at d = 1/64 become v_null + w (v_text - v_null).
///
/// # Shapes
/// `x_t` is `[b, C, H, W]` for the `b` self-consistency rows, `rows` describes them.
///
/// # Source
/// One Step Diffusion via Shortcut Models (Frans et al. 2024, arXiv 2410.12557), equation 5;
/// clips and guidance from its code (kvfrans/shortcut-models, `targets_shortcut.py`).
pub(super) fn bootstrap_targets(
    config: &ShortcutConfig,
    rows: &[Row],
    x_t: Tensor<4>,
    teacher: &dyn Fn(Tensor<4>, Tensor<1>, Tensor<1>, Conditioning) -> Tensor<4>,
) -> Tensor<4> {
    let device = x_t.device();
    let numbers = |f: &dyn Fn(&Row) -> f64| {
        let values: Vec<f32> = rows.iter().map(|row| f(row) as f32).collect();
        Tensor::<1>::from_floats(values.as_slice(), &device)
    };
    let half_step = |row: &Row| 0.5 / f64::from(1u32 << row.log2_steps);
    let teacher_level = numbers(&|row| f64::from(row.log2_steps + 1));
    let guided = numbers(&|row| f64::from(u8::from(row.log2_steps + 1 == BASE_LEVEL)));

    let velocity = |x: Tensor<4>, t: Tensor<1>| {
        let v = teacher(x.clone(), t.clone(), teacher_level.clone(), Conditioning::Caption);
        if config.guidance_scale == 1.0 {
            return v;
        }
        let v_null = teacher(x, t, teacher_level.clone(), Conditioning::Null);
        let extra = (v.clone() - v_null) * (config.guidance_scale - 1.0);
        v + extra * guided.clone().reshape([-1, 1, 1, 1])
    };

    let t = numbers(&|row| row.t);
    let h = numbers(&half_step);
    let v_1 = velocity(x_t.clone(), t.clone());
    let x_next = x_t + v_1.clone() * h.clone().reshape([-1, 1, 1, 1]);
    let v_2 = velocity(x_next.clamp(-config.clip, config.clip), t + h);
    ((v_1 + v_2) * 0.5).clamp(-config.clip, config.clip)
}
