//! Names that are counted together: a place of many style sheets is no place of many users.

use super::placeholder::Placeholder;

/// Kinds of names: those without an extension of these, and the files of each of them. What
/// stands for a name of that kind once it is taken for a value.
const KINDS: [(&str, &str); 36] = [
    ("", "{name}"),
    ("avif", "{name}.avif"),
    ("bmp", "{name}.bmp"),
    ("css", "{name}.css"),
    ("csv", "{name}.csv"),
    ("eot", "{name}.eot"),
    ("gif", "{name}.gif"),
    ("gz", "{name}.gz"),
    ("htm", "{name}.htm"),
    ("html", "{name}.html"),
    ("ico", "{name}.ico"),
    ("jpeg", "{name}.jpeg"),
    ("jpg", "{name}.jpg"),
    ("js", "{name}.js"),
    ("json", "{name}.json"),
    ("map", "{name}.map"),
    ("md", "{name}.md"),
    ("mjs", "{name}.mjs"),
    ("mp3", "{name}.mp3"),
    ("mp4", "{name}.mp4"),
    ("ogg", "{name}.ogg"),
    ("otf", "{name}.otf"),
    ("pdf", "{name}.pdf"),
    ("php", "{name}.php"),
    ("png", "{name}.png"),
    ("svg", "{name}.svg"),
    ("tar", "{name}.tar"),
    ("ttf", "{name}.ttf"),
    ("txt", "{name}.txt"),
    ("wasm", "{name}.wasm"),
    ("webm", "{name}.webm"),
    ("webp", "{name}.webp"),
    ("woff", "{name}.woff"),
    ("woff2", "{name}.woff2"),
    ("xml", "{name}.xml"),
    ("zip", "{name}.zip"),
];

/// One of them, by its place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind(u8);

impl Kind {
    /// The kind of a segment of a template; `None` for what stands for a value already.
    pub(super) fn of(segment: &str) -> Option<Self> {
        let extension = segment.rsplit_once('.').map(|(_, extension)| extension);
        let kind = extension.and_then(|extension| {
            Self::all().find(|kind| kind.entry().0.eq_ignore_ascii_case(extension))
        });
        let kind = kind.unwrap_or(Self(0));
        let is_value = segment == kind.placeholder() || Placeholder::is(segment);
        (!is_value && !matches!(segment, "" | "*")).then_some(kind)
    }

    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..).zip(KINDS).map(|(place, _)| Self(place))
    }

    /// Its place among all of them.
    pub(super) fn index(self) -> usize {
        self.0.into()
    }

    /// How many there are.
    pub(super) const COUNT: usize = KINDS.len();

    /// What stands for a name of this kind.
    pub(super) fn placeholder(self) -> &'static str {
        self.entry().1
    }

    fn entry(self) -> (&'static str, &'static str) {
        KINDS.get(self.index()).copied().unwrap_or(("", "{name}"))
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds(u64);

impl Kinds {
    pub(super) const fn has(self, kind: Kind) -> bool {
        self.0 >> kind.0 & 1 == 1
    }

    pub(super) const fn insert(&mut self, kind: Kind) {
        self.0 |= 1 << kind.0;
    }
}

const _: () = assert!(KINDS.len() <= u64::BITS as usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_by_extension() {
        let placeholder = |segment| Kind::of(segment).map(Kind::placeholder);
        assert_eq!(placeholder("alice"), Some("{name}"));
        assert_eq!(placeholder("v1.Greeter"), Some("{name}"));
        assert_eq!(placeholder("app-{hash}.min.JS"), Some("{name}.js"));
        for value in ["{id}", "{name}", "{name}.css", "*", ""] {
            assert_eq!(placeholder(value), None, "{value}");
        }
        // Written out by a client, and so a name.
        assert_eq!(placeholder("{name}x"), Some("{name}"));
    }

    #[test]
    fn the_table_is_in_order() {
        assert!(KINDS.is_sorted_by(|left, right| left.0 < right.0));
        for (extension, placeholder) in KINDS.iter().skip(1) {
            assert_eq!(*placeholder, format!("{{name}}.{extension}"));
        }
    }
}
