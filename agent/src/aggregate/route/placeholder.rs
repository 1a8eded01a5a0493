//! What stands in a route for a value.

/// What stands in a path's place for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placeholder {
    /// A number, also with sign or fraction.
    Id,
    /// RFC 9562.
    Uuid,
    /// Hexadecimal digest, object id or commit.
    Hash,
    /// ISO 8601 date, or date and time.
    Date,
    /// Crockford base 32, 26 characters.
    Ulid,
    /// An email address.
    Email,
    /// An IPv4 address.
    Ip,
    /// Random text: base64, JWT, API keys.
    Token,
    /// A language, with a script or region: `en-US`.
    Locale,
    /// A name in a place of too many different ones.
    Name,
    /// Free text: percent-encoded, not plain ASCII, or very long.
    Text,
    /// The rest of a path that is too long.
    Rest,
}

impl Placeholder {
    /// All of them.
    pub(super) const ALL: [Self; 12] = [
        Self::Id,
        Self::Uuid,
        Self::Hash,
        Self::Date,
        Self::Ulid,
        Self::Email,
        Self::Ip,
        Self::Token,
        Self::Locale,
        Self::Name,
        Self::Text,
        Self::Rest,
    ];

    /// As it stands in a route.
    #[must_use]
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Id => "{id}",
            Self::Uuid => "{uuid}",
            Self::Hash => "{hash}",
            Self::Date => "{date}",
            Self::Ulid => "{ulid}",
            Self::Email => "{email}",
            Self::Ip => "{ip}",
            Self::Token => "{token}",
            Self::Locale => "{locale}",
            Self::Name => "{name}",
            Self::Text => "{text}",
            Self::Rest => "{rest}",
        }
    }

    /// Whether `text` is one of them.
    pub(super) fn is(text: &str) -> bool {
        text.starts_with('{')
            && Self::ALL
                .into_iter()
                .any(|placeholder| text == placeholder.as_str())
    }

    /// The placeholder that `text` begins with.
    #[must_use]
    pub(super) fn prefix_of(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|placeholder| text.starts_with(placeholder.as_str()))
    }
}
