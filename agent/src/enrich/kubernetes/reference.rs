//! References to container images: `registry:5000/shop/cart:1.4@sha256:...`.

/// The parts of a reference (`github.com/distribution/reference`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    /// With the registry, as it was written.
    pub(super) name: &'a str,
    pub(super) tag: Option<&'a str>,
    /// `<algorithm>:<hexadecimal digits>`
    pub(super) digest: Option<&'a str>,
}

impl<'a> Reference<'a> {
    /// The parts of `text`; `None` where it isn't a reference by name, such as an image's id.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon before a slash is a port's.
        let path = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest.get(path..)?.split_once(':') {
            Some((last, tag)) => (rest.get(..path + last.len())?, Some(tag)),
            None => (rest, None),
        };
        let is_whole = is_name(name) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest);
        // An image's id has the form of a name and a tag.
        let is_id = digest.is_none() && is_digest(text);
        (is_whole && !is_id).then_some(Self { name, tag, digest })
    }

    /// `service.version` as OpenTelemetry's rules for Kubernetes calculate it: `<tag>@<digest>`,
    /// else the one of them that there is.
    pub(super) fn version(&self) -> Option<String> {
        match (self.tag, self.digest) {
            (Some(tag), Some(digest)) => Some(format!("{tag}@{digest}")),
            (tag, digest) => digest.or(tag).map(str::to_owned),
        }
    }
}

/// The longest name is 255 characters.
fn is_name(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:[]".contains(&byte);
    (1..=255).contains(&text.len())
        && text.bytes().all(known)
        && text.ends_with(|last: char| last.is_ascii_alphanumeric())
}

fn is_tag(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=128).contains(&text.len()) && text.bytes().all(known) && !text.starts_with(['.', '-'])
}

fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, digits)| {
        !algorithm.is_empty()
            && algorithm
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+._-".contains(&byte))
            && (32..=128).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGEST: &str = "sha256:7cc4b5aefd1d0cadf8d97d4350462ba51c694ebca145b08d7d41b41acc8db5aa";

    /// Reference, name, tag, whether there is a digest.
    #[rustfmt::skip]
    const ROWS: &[(&str, &str, Option<&str>, bool)] = &[
        ("nginx", "nginx", None, false),
        ("nginx:1.27", "nginx", Some("1.27"), false),
        ("registry.k8s.io/pause:3.9", "registry.k8s.io/pause", Some("3.9"), false),
        ("localhost:5000/shop/cart", "localhost:5000/shop/cart", None, false),
        ("localhost:5000/shop/cart:v1_2.3-rc", "localhost:5000/shop/cart", Some("v1_2.3-rc"), false),
        ("[::1]:5000/cart:1", "[::1]:5000/cart", Some("1"), false),
        ("shop/cart@DIGEST", "shop/cart", None, true),
        ("shop/cart:1.4@DIGEST", "shop/cart", Some("1.4"), true),
    ];

    #[test]
    fn name_tag_and_digest_are_told_apart() {
        for (text, name, tag, has_digest) in ROWS {
            let text = text.replace("DIGEST", DIGEST);
            let expected = Reference {
                name,
                tag: *tag,
                digest: has_digest.then_some(DIGEST),
            };
            assert_eq!(Reference::parse(&text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_names_no_image_is_refused() {
        for text in [
            "",
            ":1",
            "a:",
            "a:b c",
            "a@",
            "a@sha256:xyz",
            "a:-1",
            "a/",
            DIGEST,
        ] {
            assert_eq!(Reference::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_version_is_tag_and_digest() {
        let version = |text: String| Reference::parse(&text).and_then(|it| it.version());
        let both = format!("1.4@{DIGEST}");
        assert_eq!(version(format!("cart:{both}")), Some(both));
        assert_eq!(version(format!("cart@{DIGEST}")).as_deref(), Some(DIGEST));
        assert_eq!(version("cart:1.4".into()).as_deref(), Some("1.4"));
        assert_eq!(version("cart".into()), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "([a-z0-9]{0,5}|[:@/.]|\\PC){0,12}") {
            if let Some(reference) = Reference::parse(&text) {
                prop_assert!(text.starts_with(reference.name));
            }
        }
    }
}
