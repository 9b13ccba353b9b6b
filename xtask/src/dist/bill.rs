//! A bill of materials: what the programs are made of, for programs that look for known flaws.

use anyhow::Result;
use serde_json::{Value, json};

use super::packages::{Package, version_of};

/// The packages as CycloneDX 1.6, without times and random names, so that the same sources give the same bill.
///
/// # Source
/// ECMA-424, with packages named by package URLs (`pkg:cargo/NAME@VERSION`).
pub(super) fn cyclone_dx(packages: &[Package], program: &str) -> Result<Value> {
    let component = |package: &Package| {
        let Package { name, version, license, repository, .. } = package;
        let mut component = json!({
            "type": "library",
            "bom-ref": format!("pkg:cargo/{name}@{version}"),
            "purl": format!("pkg:cargo/{name}@{version}"),
            "name": name,
            "version": version,
        });
        if let Some(license) = license {
            component["licenses"] = json!([{ "expression": license.replace('/', " OR ") }]);
        }
        if let Some(url) = repository {
            component["externalReferences"] = json!([{ "type": "vcs", "url": url }]);
        }
        component
    };
    let components: Vec<Value> =
        packages.iter().filter(|package| package.is_foreign).map(component).collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application", "name": "stride", "version": version_of(packages, program)?,
            },
        },
        "components": components,
    }))
}
