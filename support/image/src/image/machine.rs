//! For which machine an image is, and how well that fits this one.

use serde::Deserialize;
use std::fmt;

/// A kind of machine, as an image names it: by the words of Go.
#[derive(Clone, Debug, Deserialize)]
pub struct Platform {
    /// `linux`.
    #[serde(default)]
    pub os: String,
    /// `amd64`, `arm64`.
    #[serde(default)]
    pub architecture: String,
    /// Which processors of this architecture: `v3` of amd64 has AVX2, say.
    #[serde(default)]
    pub variant: Option<String>,
}

impl Platform {
    /// How well this is for this machine: the less, the better; not at all if `None`.
    ///
    /// The baseline of an architecture runs on every machine of it, so it goes first, as in
    /// containerd. What needs more is taken where there is nothing else, and the processor has it.
    pub fn fit(&self) -> Option<u32> {
        self.fit_for(architecture(), level())
    }

    fn fit_for(&self, architecture: &str, level: u32) -> Option<u32> {
        let is_it = self.os == "linux" && self.architecture == architecture;
        let least = match (architecture, self.variant.as_deref().unwrap_or_default()) {
            (_, "") | ("amd64", "v1") | ("arm64", "v8") => 0,
            ("amd64", variant) => variant.strip_prefix('v')?.parse().ok()?,
            // 32 bits: who has v7 runs what is for less, and v7 is the usual one.
            ("arm", "v7") => 0,
            ("arm", "v6") => 1,
            ("arm", "v5") => 2,
            _ => return None,
        };
        (is_it && (architecture != "amd64" || least <= level)).then_some(least)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [os, architecture] = [&self.os, &self.architecture]
            .map(|word| if word.is_empty() { "unknown" } else { word.as_str() });
        write!(f, "{os}/{architecture}")?;
        match self.variant.as_deref() {
            None | Some("") => Ok(()),
            Some(variant) => write!(f, "/{variant}"),
        }
    }
}

/// What is wrong with an image that is for these machines.
pub(super) fn for_others(platforms: &str) -> String {
    format!("it is for {platforms}, and this machine is {}", here())
}

/// This machine, as an image would name it.
fn here() -> String {
    match level() {
        0 | 1 => format!("linux/{}", architecture()),
        level => format!("linux/{}/v{level}", architecture()),
    }
}

/// This machine's architecture, by the name that Go has for it.
pub(super) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

/// Which variant of amd64 this processor is (the x86-64 psABI, "micro-architecture levels").
#[cfg(target_arch = "x86_64")]
fn level() -> u32 {
    use std::arch::is_x86_feature_detected as has;
    let v2 = has!("cmpxchg16b") && has!("popcnt") && has!("sse4.2");
    let v3 = has!("avx2") && has!("bmi1") && has!("bmi2") && has!("f16c") && has!("fma");
    let v3 = v3 && has!("lzcnt") && has!("movbe");
    let v4 = has!("avx512f") && has!("avx512bw") && has!("avx512cd");
    let v4 = v4 && has!("avx512dq") && has!("avx512vl");
    [v2, v3, v4].into_iter().take_while(|has| *has).fold(1, |level, _| level + 1)
}

#[cfg(not(target_arch = "x86_64"))]
fn level() -> u32 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(platform: &str, architecture: &str, level: u32) -> Option<u32> {
        let mut words = platform.split('/').map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        let (os, of_it) = (word(), word());
        let variant = Some(word()).filter(|word| !word.is_empty());
        Platform { os, architecture: of_it, variant }.fit_for(architecture, level)
    }

    #[test]
    fn the_baseline_fits_best_and_then_what_the_processor_can_do() {
        let amd64 = |platform: &str| fit(platform, "amd64", 3);
        assert_eq!(amd64("linux/amd64"), Some(0));
        assert_eq!(amd64("linux/amd64/v1"), Some(0));
        assert_eq!(amd64("linux/amd64/v2"), Some(2));
        assert_eq!(amd64("linux/amd64/v3"), Some(3));
        for other in ["v4", "v99999999999", "v", "x", "3"] {
            assert_eq!(amd64(&format!("linux/amd64/{other}")), None, "{other}");
        }
        assert_eq!(fit("linux/arm64/v8", "arm64", 0), Some(0));
        assert_eq!(fit("linux/arm64", "arm64", 0), Some(0));
        assert_eq!(fit("linux/arm/v7", "arm64", 0), None);
        assert!(fit("linux/arm/v7", "arm", 0) < fit("linux/arm/v6", "arm", 0));
        for other in ["windows/amd64", "unknown/unknown", "linux/386", "/", "linux/"] {
            assert_eq!(amd64(other), None, "{other}");
        }
    }

    #[test]
    fn a_machine_has_a_name_whatever_an_image_leaves_out() {
        let platform: Platform = serde_json::from_str("{}").unwrap();
        assert_eq!(platform.to_string(), "unknown/unknown");
        let platform: Platform =
            serde_json::from_str(r#"{"os": "linux", "architecture": "amd64", "variant": "v2"}"#)
                .unwrap();
        assert_eq!(platform.to_string(), "linux/amd64/v2");
        assert!(here().starts_with("linux/"));
    }
}
