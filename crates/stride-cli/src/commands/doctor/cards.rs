//! Graphics cards as the system names them, whether or not this program can use them.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

/// A card.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Card {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memory_mib: Option<u64>,
    /// Version of the driver; none where the driver does not tell, or is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) driver: Option<String>,
}

/// Where Linux lists display devices.
const DRM: &str = "/sys/class/drm";

/// The cards that NVIDIA's tool and Linux know of; none on systems that have neither.
pub(super) fn cards() -> Vec<Card> {
    let query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader,nounits"];
    let output = Command::new("nvidia-smi").args(query).output().ok();
    let output = output.filter(|output| output.status.success());
    let mut cards =
        output.map_or_else(Vec::new, |output| of_nvidia(&String::from_utf8_lossy(&output.stdout)));
    let has_nvidia = !cards.is_empty();
    cards.extend(of_linux(Path::new(DRM), has_nvidia));
    cards
}

/// Reads lines such as `NVIDIA H100 80GB HBM3, 81559, 580.65`.
fn of_nvidia(text: &str) -> Vec<Card> {
    let card = |line: &str| {
        let mut fields = line.split(',').map(str::trim);
        let name = fields.next().filter(|name| !name.is_empty())?.to_owned();
        let memory_mib = fields.next().and_then(|memory| memory.parse().ok());
        Some(Card { name, memory_mib, driver: fields.next().map(ToOwned::to_owned) })
    };
    text.lines().filter_map(card).collect()
}

/// Reads the folders `card0`, `card1` and so on; those of NVIDIA are left out where its own tool has told of them.
fn of_linux(folder: &Path, has_nvidia: bool) -> Vec<Card> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let is_card = |name: &str| {
        name.strip_prefix("card")
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| is_card(name)).collect();
    names.sort_unstable();
    let card = |name: String| {
        let device = folder.join(name).join("device");
        let read = |file: &str| Some(fs::read_to_string(device.join(file)).ok()?.trim().to_owned());
        let vendor = match read("vendor")?.as_str() {
            "0x10de" if has_nvidia => return None,
            "0x10de" => "NVIDIA",
            "0x1002" => "AMD",
            "0x8086" => "Intel",
            // Screens of virtual machines and of servers' consoles.
            _ => return None,
        };
        let number = read("device").unwrap_or_default();
        let bytes = read("mem_info_vram_total").and_then(|bytes| bytes.parse::<u64>().ok());
        let memory_mib = bytes.map(|bytes| bytes >> 20);
        Some(Card { name: format!("{vendor} {number}"), memory_mib, driver: None })
    };
    names.into_iter().filter_map(card).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_nvidias_tool_are_read() {
        let read = of_nvidia("NVIDIA H100 80GB HBM3, 81559, 580.65.06\nQuadro, [N/A], 470\n\n");
        let card = |name: &str, memory_mib, driver: &str| Card {
            name: name.to_owned(),
            memory_mib,
            driver: Some(driver.to_owned()),
        };
        let expected =
            [card("NVIDIA H100 80GB HBM3", Some(81559), "580.65.06"), card("Quadro", None, "470")];
        assert_eq!(read, expected);
    }

    #[test]
    fn cards_of_linux_are_listed_once_each() {
        let folder = tempfile::tempdir().expect("folder");
        let write = |card: &str, files: &[(&str, &str)]| {
            let device = folder.path().join(card).join("device");
            fs::create_dir_all(&device).expect("writable");
            for (name, value) in files {
                fs::write(device.join(name), format!("{value}\n")).expect("writable");
            }
        };
        write("card0", &[("vendor", "0x10de"), ("device", "0x2684")]);
        let amd =
            [("vendor", "0x1002"), ("device", "0x744c"), ("mem_info_vram_total", "25753026560")];
        write("card1", &amd);
        write("card1-DP-1", &amd);
        write("card2", &[("vendor", "0x1234")]);
        let names = |has_nvidia| {
            let cards = of_linux(folder.path(), has_nvidia);
            cards.into_iter().map(|card| (card.name, card.memory_mib)).collect::<Vec<_>>()
        };
        let [nvidia, amd] =
            [("NVIDIA 0x2684".to_owned(), None), ("AMD 0x744c".to_owned(), Some(24560))];
        assert_eq!(names(true), std::slice::from_ref(&amd));
        assert_eq!(names(false), [nvidia, amd]);
    }
}
