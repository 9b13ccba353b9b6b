//! What the machine has, what the program can use of it, and what is missing.

use std::fmt::Write as _;
use std::fs;
use std::thread;

use serde::Serialize;
use stride_files::memory_limit;
use stride_kernels::adapter::{self, AdapterKind};
use stride_kernels::device::DeviceName;
use stride_kernels::isa::Isa;

use super::cards::{Card, cards};
use crate::processor::cpu_name;

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    version: &'static str,
    /// The Cargo features for GPUs that the program was built with.
    features: &'static [&'static str],
    processor: Processor,
    memory: Option<Memory>,
    /// As the system names them.
    cards: Vec<Card>,
    /// What the program can compute on, beside the processor.
    adapters: Vec<AdapterReport>,
    /// What `--device auto` takes.
    auto: DeviceName,
    /// What a command without `--device` takes.
    default: DeviceName,
    /// What is missing, and what to do about it.
    advice: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Processor {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    threads: usize,
    /// The vector instructions that kernels use.
    instructions: &'static str,
    /// Those that it has.
    instructions_of_processor: &'static str,
}

#[derive(Debug, Serialize)]
struct Memory {
    total_mib: u64,
    available_mib: u64,
}

#[derive(Debug, Serialize)]
struct AdapterReport {
    device: DeviceName,
    name: String,
    kind: AdapterKind,
    /// What its kernels are compiled for.
    target: String,
}

impl Machine {
    /// Looks at the machine.
    pub(super) fn look() -> Self {
        let adapters = adapter::adapters().iter().map(|adapter| {
            let [name, target] =
                adapter.identity().unwrap_or_else(|| ["unknown".to_owned(), String::new()]);
            AdapterReport {
                device: DeviceName::Adapter(adapter.number),
                name,
                kind: adapter.kind,
                target,
            }
        });
        let mut machine = Self {
            version: env!("CARGO_PKG_VERSION"),
            features: adapter::FEATURES,
            processor: Processor {
                name: cpu_name(),
                threads: thread::available_parallelism().map_or(1, usize::from),
                instructions: name_of(Isa::detect()),
                instructions_of_processor: name_of(Isa::of_processor()),
            },
            memory: memory(),
            cards: cards(),
            adapters: adapters.collect(),
            auto: DeviceName::Auto.resolved().unwrap_or(DeviceName::Cpu),
            default: DeviceName::default(),
            advice: Vec::new(),
        };
        machine.advice = machine.advise();
        machine
    }

    fn advise(&self) -> Vec<String> {
        let mut advice = Vec::new();
        let cards: Vec<&str> = self.cards.iter().map(|card| card.name.as_str()).collect();
        let cards = cards.join(", ");
        let has_gpu = self.adapters.iter().any(|adapter| !adapter.kind.is_software());
        let has_nvidia = cards.contains("NVIDIA");
        if !adapter::IS_BUILT && !cards.is_empty() {
            let feature = if has_nvidia { "gpu-vulkan" } else { "gpu" };
            advice.push(format!(
                "this program computes on the processor alone; for {cards} build one with: cargo build --release \
                 --features {feature}"
            ));
        } else if adapter::IS_BUILT && !has_gpu {
            let what = if cards.is_empty() { "a GPU" } else { &cards };
            advice.push(format!(
                "no driver for {what} was found; on Linux, install the vendor's driver and the Vulkan loader \
                 (libvulkan1); `vulkaninfo --summary` shows what the loader finds"
            ));
        }
        if has_gpu {
            let device = self.auto;
            advice.push(format!("`stride doctor --check {device}` tells whether it computes what the processor computes"));
        }
        if self.features == ["gpu"] && has_nvidia && has_gpu {
            advice.push(
                "a program built with --features gpu-vulkan uses the matrix units of NVIDIA's cards, this one does not"
                    .to_owned(),
            );
        }
        let Processor { instructions, instructions_of_processor, .. } = self.processor;
        if instructions != instructions_of_processor {
            advice.push(format!(
                "STRIDE_ISA holds the processor to {instructions}; without it, {instructions_of_processor} is used"
            ));
        }
        advice
    }

    /// One fact to a line.
    pub(super) fn to_text(&self) -> String {
        let features = if self.features.is_empty() {
            "the processor alone".to_owned()
        } else {
            self.features.join(", ")
        };
        let Processor { name, threads, instructions, .. } = &self.processor;
        let processor = name.as_deref().unwrap_or("unknown");
        let mut text = format!("stride      {}, built for {features}\n", self.version);
        // Writing to a string cannot fail.
        let mut line = |name: &str, fact: &str| _ = writeln!(text, "{name:11} {fact}");
        line("cpu", &format!("{processor}, {threads} threads, {instructions}"));
        if let Some(Memory { total_mib, available_mib }) = &self.memory {
            line("memory", &format!("{}, {} free", gib(*total_mib), gib(*available_mib)));
        }
        for Card { name, memory_mib, driver } in &self.cards {
            let memory = memory_mib.map(|mib| format!(", {}", gib(mib))).unwrap_or_default();
            let driver =
                driver.as_deref().map(|driver| format!(", driver {driver}")).unwrap_or_default();
            line("card", &format!("{name}{memory}{driver}"));
        }
        for AdapterReport { device, name, kind, target } in &self.adapters {
            let kind = match kind {
                AdapterKind::Discrete => "a card",
                AdapterKind::Integrated => "part of the processor",
                AdapterKind::Virtual => "a share of a card",
                AdapterKind::Other => "of an unknown kind",
                AdapterKind::Software => "imitated on the processor, for tests",
            };
            line(&device.to_string(), &format!("{name}, {kind}, {target}"));
        }
        line("auto", &format!("takes {}; without --device, {} is taken", self.auto, self.default));
        for advice in &self.advice {
            line("note", advice);
        }
        text
    }
}

fn gib(mib: u64) -> String {
    format!("{:.1} GiB", mib as f64 / 1024.0)
}

/// The name that `STRIDE_ISA` takes.
fn name_of(isa: Isa) -> &'static str {
    match isa {
        Isa::Portable => "portable",
        Isa::Avx2 => "avx2",
        Isa::Avx512 => "avx512",
        Isa::Avx512Bf16 => "avx512bf16",
    }
}

/// Known on Linux only; of a control group, as containers and batch systems make them, its bound.
fn memory() -> Option<Memory> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    let mib = |name: &str| -> Option<u64> {
        let line = info.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? >> 10)
    };
    let limit_mib = memory_limit().map_or(u64::MAX, |bytes| bytes >> 20);
    let within = |name| Some(mib(name)?.min(limit_mib));
    Some(Memory { total_mib: within("MemTotal:")?, available_mib: within("MemAvailable:")? })
}
