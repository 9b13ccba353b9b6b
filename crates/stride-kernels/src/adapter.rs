//! The graphics adapters that the program can compute on.

use std::sync::OnceLock;

use burn::tensor::Device;
use serde::Serialize;

/// Whether the program was built for GPUs.
pub const IS_BUILT: bool = cfg!(any(feature = "gpu", feature = "cuda"));

/// The Cargo features for GPUs that the program was built with.
pub const FEATURES: &[&str] = &[
    #[cfg(feature = "gpu")]
    "gpu",
    #[cfg(feature = "gpu-vulkan")]
    "gpu-vulkan",
    #[cfg(feature = "cuda")]
    "cuda",
];

/// What an adapter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AdapterKind {
    /// A card with memory of its own.
    Discrete,
    /// Part of the processor, with which it shares the memory.
    Integrated,
    /// A share of a card in a virtual machine.
    Virtual,
    /// Something else that computes.
    Other,
    /// A driver that computes on the processor, such as lavapipe and SwiftShader: for tests.
    Software,
}

impl AdapterKind {
    /// Whether it only imitates a GPU.
    pub fn is_software(self) -> bool {
        self == Self::Software
    }
}

/// A graphics adapter.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// Its number, N in `gpu:N`.
    pub number: usize,
    /// What it is.
    pub kind: AdapterKind,
    device: Device,
}

impl Adapter {
    pub(crate) fn new(number: usize, kind: AdapterKind, device: Device) -> Self {
        Self { number, kind, device }
    }

    /// The library's device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// What the driver calls it, and what its kernels are compiled for. Opens it.
    pub fn identity(&self) -> Option<[String; 2]> {
        #[cfg(any(feature = "gpu", feature = "cuda"))]
        return self.device.identity().map(|identity| [identity.name, identity.fingerprint]);
        #[cfg(not(any(feature = "gpu", feature = "cuda")))]
        None
    }
}

/// The adapters of this machine that the program can compute on, best first, imitations last.
///
/// They are listed once; none in a program for the processor alone.
pub fn adapters() -> &'static [Adapter] {
    static ADAPTERS: OnceLock<Vec<Adapter>> = OnceLock::new();
    ADAPTERS.get_or_init(|| {
        let mut found = listed();
        found.sort_by_key(|&(kind, _)| kind);
        let numbered = found.into_iter().enumerate();
        numbered.map(|(number, (kind, device))| Adapter::new(number, kind, device)).collect()
    })
}

#[cfg(not(any(feature = "gpu", feature = "cuda")))]
fn listed() -> Vec<(AdapterKind, Device)> {
    Vec::new()
}

#[cfg(any(feature = "gpu", feature = "cuda"))]
fn listed() -> Vec<(AdapterKind, Device)> {
    use burn::tensor::DeviceType;

    // A card that CUDA reaches comes first through CUDA.
    let types = [
        #[cfg(feature = "cuda")]
        DeviceType::Cuda,
        #[cfg(feature = "gpu")]
        DeviceType::Wgpu,
    ];
    let devices = types.into_iter().flat_map(|of_type| Device::enumerate(of_type).into_vec());
    devices.map(|device| (kind_of(&device), device)).collect()
}

#[cfg(any(feature = "gpu", feature = "cuda"))]
fn kind_of(device: &Device) -> AdapterKind {
    #[cfg(feature = "gpu")]
    {
        use burn::backend::{CubeDevice, DispatchDevice, WgpuDeviceKind};

        if let DispatchDevice::Cube(CubeDevice::Wgpu(device)) = device.as_dispatch() {
            return match device.kind {
                WgpuDeviceKind::DiscreteGpu(_) => AdapterKind::Discrete,
                WgpuDeviceKind::IntegratedGpu(_) => AdapterKind::Integrated,
                WgpuDeviceKind::VirtualGpu(_) => AdapterKind::Virtual,
                WgpuDeviceKind::Cpu => AdapterKind::Software,
                _ => AdapterKind::Other,
            };
        }
    }
    _ = device;
    AdapterKind::Discrete
}
