//! Which requests become spans. Metrics never depend on it.

use crate::l7::exchange::TraceParent;

/// W3C Trace Context level 1, section 3.2.2.5.1: the "sampled" flag.
pub const SAMPLED: u8 = 1;

/// Decides for a trace that has no parent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Root {
    On,
    Off,
    /// Traces whose number is below; of `2^63`.
    Ratio(u64),
}

/// A sampler of the OpenTelemetry SDK specification, "Built-in samplers".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    root: Root,
    parent_based: bool,
}

/// What is wrong with a sampler's setting.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SamplerError {
    /// No such sampler.
    #[error(
        "unknown sampler {0:?}: expected always_on, always_off, traceidratio, \
         parentbased_always_on, parentbased_always_off or parentbased_traceidratio"
    )]
    Unknown(String),
    /// The ratio is no number from 0 to 1.
    #[error("sampler argument {0:?}: expected a ratio from 0 to 1")]
    Ratio(String),
}

impl Default for Sampler {
    /// `parentbased_always_on`, the specification's default.
    fn default() -> Self {
        Self {
            root: Root::On,
            parent_based: true,
        }
    }
}

impl Sampler {
    /// The sampler that `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` name. The argument is
    /// 1 where it is missing, and only looked at by samplers that have one.
    pub fn parse(name: &str, argument: Option<&str>) -> Result<Self, SamplerError> {
        let (parent_based, root) = match name.strip_prefix("parentbased_") {
            Some(root) => (true, root),
            None => (false, name),
        };
        let root = match root {
            "always_on" => Root::On,
            "always_off" => Root::Off,
            "traceidratio" => Root::Ratio(threshold(argument)?),
            _ => return Err(SamplerError::Unknown(name.to_owned())),
        };
        Ok(Self { root, parent_based })
    }

    /// Whether the trace's span is kept.
    #[must_use]
    pub fn samples(&self, trace_id: &[u8; 16], parent: Option<&TraceParent>) -> bool {
        if let (true, Some(parent)) = (self.parent_based, parent) {
            return parent.flags & SAMPLED != 0;
        }
        match self.root {
            Root::On => true,
            Root::Off => false,
            // The same bits as the Go, Java and Rust SDKs look at, so that one ratio keeps the
            // same traces everywhere.
            Root::Ratio(threshold) => {
                #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
                let low = u128::from_be_bytes(*trace_id) as u64;
                low >> 1 < threshold
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 0 to 2^63"
)]
fn threshold(argument: Option<&str>) -> Result<u64, SamplerError> {
    let Some(text) = argument else {
        return Ok(1 << 63);
    };
    let ratio: f64 = text
        .trim()
        .parse()
        .ok()
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or_else(|| SamplerError::Ratio(text.to_owned()))?;
    Ok((ratio * (1_u64 << 63) as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent(flags: u8) -> TraceParent {
        TraceParent {
            trace_id: [0xff; 16],
            span_id: [2; 8],
            flags,
        }
    }

    #[test]
    fn the_parents_flag_is_honoured_where_the_name_says_so() {
        for (name, without, sampled, unsampled) in [
            ("always_on", true, true, true),
            ("always_off", false, false, false),
            ("parentbased_always_on", true, true, false),
            ("parentbased_always_off", false, true, false),
        ] {
            let sampler = Sampler::parse(name, None).unwrap();
            let id = [1; 16];
            assert_eq!(sampler.samples(&id, None), without, "{name}");
            assert_eq!(sampler.samples(&id, Some(&parent(1))), sampled, "{name}");
            assert_eq!(sampler.samples(&id, Some(&parent(2))), unsampled, "{name}");
        }
        let default = Sampler::parse("parentbased_always_on", None);
        assert_eq!(default, Ok(Sampler::default()));
    }

    #[test]
    fn a_ratio_looks_at_the_last_eight_bytes() {
        let half = Sampler::parse("traceidratio", Some("0.5")).unwrap();
        let mut low = [0xff; 16];
        low[8] = 0x7f;
        assert!(half.samples(&low, None));
        assert!(!half.samples(&[0xff; 16], None));
        let all = Sampler::parse("traceidratio", Some("1")).unwrap();
        assert!(all.samples(&[0xff; 16], None));
        let none = Sampler::parse("parentbased_traceidratio", Some("0")).unwrap();
        assert!(!none.samples(&[0; 16], None));
        assert!(none.samples(&[0; 16], Some(&parent(1))));
    }

    #[test]
    fn wrong_settings_say_what_is_expected() {
        for argument in ["", "x", "-0.1", "1.1", "NaN"] {
            let error = Sampler::parse("traceidratio", Some(argument));
            assert_eq!(error, Err(SamplerError::Ratio(argument.to_owned())));
        }
        let error = Sampler::parse("sometimes", None).unwrap_err();
        assert!(error.to_string().contains("parentbased_always_on"));
    }
}
