//! The distance between two normal distributions fitted to features.

/// Mean and covariance of features, which are all of one length.
#[derive(Clone, Debug)]
pub(super) struct Gaussian {
    mean: Vec<f64>,
    /// Row by row.
    covariance: Matrix,
}

type Matrix = Vec<Vec<f64>>;

impl Gaussian {
    /// Fits mean and unbiased covariance; at least two features.
    pub(super) fn fit<const N: usize>(features: &[[f64; N]]) -> Self {
        let count = features.len() as f64;
        let mean: Vec<f64> =
            (0..N).map(|i| features.iter().map(|f| f[i]).sum::<f64>() / count).collect();
        let covariance = (0..N)
            .map(|i| {
                let with = |j: usize| {
                    let products = features.iter().map(|f| (f[i] - mean[i]) * (f[j] - mean[j]));
                    products.sum::<f64>() / (count - 1.0)
                };
                (0..N).map(with).collect()
            })
            .collect();
        Self { mean, covariance }
    }

    /// |m_1 - m_2|^2 + tr(C_1) + tr(C_2) - 2 tr((C_1 C_2)^(1/2)).
    ///
    /// # Source
    /// GANs Trained by a Two Time-Scale Update Rule (Heusel et al. 2017, arXiv 1706.08500),
    /// equation 6. The root's trace is the sum of the roots of the eigenvalues of
    /// C_1^(1/2) C_2 C_1^(1/2).
    pub(super) fn distance(&self, other: &Self) -> f64 {
        let means: f64 = self.mean.iter().zip(&other.mean).map(|(a, b)| (a - b).powi(2)).sum();
        let trace = |m: &Matrix| (0..m.len()).map(|i| m[i][i]).sum::<f64>();
        let root = square_root(&self.covariance);
        let product = multiply(&multiply(&root, &other.covariance), &root);
        let (eigenvalues, _) = eigen(product);
        let cross: f64 = eigenvalues.iter().map(|value| value.max(0.0).sqrt()).sum();
        means + trace(&self.covariance) + trace(&other.covariance) - 2.0 * cross
    }
}

fn multiply(a: &Matrix, b: &Matrix) -> Matrix {
    let n = b.len();
    let entry = |row: &[f64], j: usize| (0..n).map(|k| row[k] * b[k][j]).sum();
    a.iter().map(|row| (0..n).map(|j| entry(row, j)).collect()).collect()
}

fn square_root(m: &Matrix) -> Matrix {
    let (values, vectors) = eigen(m.clone());
    let n = m.len();
    let entry = |i: usize, j: usize| {
        (0..n).map(|k| vectors[i][k] * values[k].max(0.0).sqrt() * vectors[j][k]).sum()
    };
    (0..n).map(|i| (0..n).map(|j| entry(i, j)).collect()).collect()
}

/// Eigenvalues and, in columns, eigenvectors of a symmetric matrix, by Jacobi's rotations.
fn eigen(mut m: Matrix) -> (Vec<f64>, Matrix) {
    const SWEEPS: usize = 50;
    let n = m.len();
    let mut vectors: Matrix =
        (0..n).map(|i| (0..n).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    let scale: f64 = m.iter().flatten().map(|v| v * v).sum();
    for _ in 0..SWEEPS {
        let beside: f64 = (0..n).map(|i| m[i][..i].iter().map(|v| v * v).sum::<f64>()).sum();
        if beside <= 1e-26 * scale {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                if m[p][q] == 0.0 {
                    continue;
                }
                // The rotation that clears the entry (p, q).
                let theta = (m[q][q] - m[p][p]) / (2.0 * m[p][q]);
                let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                let sine = tangent * cosine;
                for row in m.iter_mut().chain(&mut vectors) {
                    let (a, b) = (row[p], row[q]);
                    (row[p], row[q]) = (cosine * a - sine * b, sine * a + cosine * b);
                }
                let (upper, lower) = m.split_at_mut(q);
                for (a, b) in upper[p].iter_mut().zip(&mut lower[0]) {
                    (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
                }
            }
        }
    }
    ((0..n).map(|i| m[i][i]).collect(), vectors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stride::noise::{keyed_rng, normal};

    /// Points x = A z with the given rows of A, moved by `shift`.
    fn points(a: [[f64; 3]; 3], shift: f64, seed: u64) -> Vec<[f64; 3]> {
        let mut rng = keyed_rng(seed, 0, 0, 0);
        let mut point = || {
            let z = [0; 3].map(|_| normal(&mut rng));
            a.map(|row| shift + row.iter().zip(z).map(|(a, z)| a * z).sum::<f64>())
        };
        (0..20_000).map(|_| point()).collect()
    }

    #[test]
    fn distances_with_a_known_answer_come_out() {
        let diagonal = |a: f64, b: f64, c: f64| [[a, 0.0, 0.0], [0.0, b, 0.0], [0.0, 0.0, c]];
        let one = Gaussian::fit(&points(diagonal(1.0, 2.0, 3.0), 0.0, 1));
        assert!(one.distance(&one).abs() < 1e-9, "{}", one.distance(&one));
        // Moved by 2 along each axis: 3 x 4.
        let moved = Gaussian::fit(&points(diagonal(1.0, 2.0, 3.0), 2.0, 1));
        assert!((one.distance(&moved) - 12.0).abs() < 1e-9);
        // Axes of other lengths: the sum of squared differences of the standard deviations.
        let other = Gaussian::fit(&points(diagonal(2.0, 2.0, 1.0), 0.0, 2));
        let distance = one.distance(&other);
        assert!((distance - 5.0).abs() < 0.2, "{distance}");
        assert!((distance - other.distance(&one)).abs() < 1e-9);
    }

    #[test]
    fn correlated_features_have_a_root() {
        let skewed = [[1.0, 0.5, 0.2], [0.0, 1.0, -0.7], [0.3, 0.0, 0.4]];
        let covariance = Gaussian::fit(&points(skewed, 0.0, 3)).covariance;
        let root = square_root(&covariance);
        let squared = multiply(&root, &root);
        for (found, expected) in squared.iter().flatten().zip(covariance.iter().flatten()) {
            assert!((found - expected).abs() < 1e-10, "{found} {expected}");
        }
    }
}
