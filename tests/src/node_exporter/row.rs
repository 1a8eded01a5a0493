//! What a line of the comparison says.

/// Labels with their values, or their labels with ours.
pub type Labels = &'static [(&'static str, &'static str)];

/// Series of theirs and the series of ours that must show the same.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// Which of their series: those with these labels.
    pub theirs: Labels,
    /// Our name in Prometheus.
    pub sonde: &'static str,
    /// The resource that reads it (`--collector.NAME`).
    pub resource: &'static str,
    /// Which of our series, summed.
    pub ours: Labels,
    /// Their labels whose values ours must have under another name.
    pub join: Labels,
    /// How many of theirs one of ours is.
    pub scale: f64,
}

impl Pair {
    /// All series of both, without labels that tell them apart.
    #[must_use]
    pub const fn of(resource: &'static str, sonde: &'static str) -> Self {
        Self {
            theirs: &[],
            sonde,
            resource,
            ours: &[],
            join: &[],
            scale: 1.0,
        }
    }

    /// Of theirs, those with these labels.
    #[must_use]
    pub const fn theirs(self, theirs: Labels) -> Self {
        Self { theirs, ..self }
    }

    /// Of ours, those with these labels.
    #[must_use]
    pub const fn ours(self, ours: Labels) -> Self {
        Self { ours, ..self }
    }

    /// Series by series.
    #[must_use]
    pub const fn join(self, join: Labels) -> Self {
        Self { join, ..self }
    }

    /// In another unit.
    #[must_use]
    pub const fn scale(self, scale: f64) -> Self {
        Self { scale, ..self }
    }
}

/// How sonde tells it.
#[derive(Clone, Copy, Debug)]
pub enum Ours {
    /// The same counter of the kernel's: what it has grown by is compared.
    Counter(&'static [Pair]),
    /// The same number, which doesn't change under load: it is compared.
    Stable(&'static [Pair]),
    /// The same number, which changes from moment to moment: it must be there when theirs is.
    Moving(&'static [Pair]),
    /// By other metrics of these names.
    Other(&'static [&'static str]),
    /// Not at all.
    No,
}

impl Ours {
    /// The pairs, where there are any.
    #[must_use]
    pub const fn pairs(&self) -> &'static [Pair] {
        match self {
            Self::Counter(pairs) | Self::Stable(pairs) | Self::Moving(pairs) => pairs,
            Self::Other(_) | Self::No => &[],
        }
    }
}

/// A metric of `node_exporter`'s.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name; with `*` at its end, all that begin so and have no line of their own.
    pub node: &'static str,
    /// What sonde has.
    pub ours: Ours,
    /// What is different, or why sonde hasn't got it; Markdown.
    pub difference: &'static str,
}

impl Row {
    /// A counter that both read.
    #[must_use]
    pub const fn counter(
        node: &'static str,
        pairs: &'static [Pair],
        difference: &'static str,
    ) -> Self {
        Self {
            node,
            ours: Ours::Counter(pairs),
            difference,
        }
    }

    /// A gauge that stays as it is.
    #[must_use]
    pub const fn stable(
        node: &'static str,
        pairs: &'static [Pair],
        difference: &'static str,
    ) -> Self {
        Self {
            node,
            ours: Ours::Stable(pairs),
            difference,
        }
    }

    /// A gauge that doesn't.
    #[must_use]
    pub const fn moving(
        node: &'static str,
        pairs: &'static [Pair],
        difference: &'static str,
    ) -> Self {
        Self {
            node,
            ours: Ours::Moving(pairs),
            difference,
        }
    }

    /// Told in another way.
    #[must_use]
    pub const fn other(
        node: &'static str,
        sonde: &'static [&'static str],
        difference: &'static str,
    ) -> Self {
        Self {
            node,
            ours: Ours::Other(sonde),
            difference,
        }
    }

    /// Not told, and why.
    #[must_use]
    pub const fn no(node: &'static str, why: &'static str) -> Self {
        Self {
            node,
            ours: Ours::No,
            difference: why,
        }
    }

    /// Whether this line is about the metric of that name.
    #[must_use]
    pub fn is_about(&self, name: &str) -> bool {
        self.node == name
            || self
                .node
                .strip_suffix('*')
                .is_some_and(|beginning| name.starts_with(beginning))
    }
}

/// The metrics of one of its collectors.
#[derive(Clone, Copy, Debug)]
pub struct Collector {
    /// As in `--collector.NAME`.
    pub name: &'static str,
    /// Its metrics.
    pub rows: &'static [Row],
}
