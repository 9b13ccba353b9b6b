//! The fixtures: folders, and what their models compute.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::SafeTensors;
use stride::weights;
use tempfile::TempDir;

const EXPECTED: &[u8] = include_bytes!("../fixtures/components/expected.safetensors");

/// Path of a folder.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/components").join(name)
}

/// A copy of a folder to spoil.
pub(crate) fn copy(name: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("folder");
    for entry in fs::read_dir(folder(name)).expect("fixture") {
        let path = entry.expect("entry").path();
        fs::copy(&path, dir.path().join(path.file_name().expect("name"))).expect("copied");
    }
    dir
}

/// A tensor of `expected.safetensors`.
pub(crate) fn expected<const D: usize>(name: &str) -> Tensor<D> {
    weights::tensor("expected", EXPECTED, name, &Device::flex()).expect("expected tensor")
}

/// Shape and bytes of a tensor of bytes.
pub(crate) fn expected_bytes(name: &str) -> (Vec<usize>, Vec<u8>) {
    let file = SafeTensors::deserialize(EXPECTED).expect("whole");
    let view = file.tensor(name).expect("expected tensor");
    (view.shape().to_vec(), view.data().to_vec())
}

/// The captions of the fixtures.
pub(crate) fn token_ids() -> Tensor<2, Int> {
    let ids = vec![38i32, 5, 6, 7, 39, 38, 20, 39, 39, 39];
    Tensor::from_data(TensorData::new(ids, [2, 5]), &Device::flex())
}

/// Agreement within 1e-4 of the largest value.
pub(crate) fn check<const D: usize>(what: &str, found: Tensor<D>, expected: Tensor<D>) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let largest: f32 = expected.clone().abs().max().into_scalar();
    let error: f32 = (found - expected).abs().max().into_scalar();
    println!("{what}: largest value {largest:.3}, largest error {error:.2e}");
    assert!(error <= 1e-4 * largest, "{what}: error {error:.2e} of {largest:.3}");
}
