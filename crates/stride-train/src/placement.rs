//! Where the weights of a run are drawn and where they are trained.

use burn::module::Module;
use burn::tensor::Device;
use stride_kernels::device::is_cpu;

/// The CPU with automatic differentiation, where the first weights of every run are made, so that they are the same
/// whichever device it trains on.
pub(crate) fn cpu() -> Device {
    Device::flex().autodiff()
}

/// Moves a network that was made on the CPU to the device that trains it; what is frozen stays frozen.
pub(crate) fn placed<M: Module>(module: M, device: &Device) -> M {
    if is_cpu(device) { module } else { module.fork(&device.clone().autodiff()) }
}
