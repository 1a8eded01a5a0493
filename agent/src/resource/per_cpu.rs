//! `/proc/net/stat/*`: a line of names, then a line of hexadecimal numbers for each CPU.

/// A column of the first CPU, for what is the same on each line.
pub(super) fn first(text: &str, name: &str) -> Option<u64> {
    column(text, name)?.next()?
}

/// Sum of a column over the CPUs; `None` where there is no such column, or a number is none.
pub(super) fn sum(text: &str, name: &str) -> Option<u64> {
    column(text, name)?
        .try_fold(None, |sum: Option<u64>, value| {
            Some(Some(sum.unwrap_or(0).saturating_add(value?)))
        })
        .flatten()
}

fn column(text: &str, name: &str) -> Option<impl Iterator<Item = Option<u64>>> {
    let mut lines = text.lines();
    let column = lines
        .next()?
        .split_ascii_whitespace()
        .position(|heading| heading == name)?;
    Some(lines.map(move |line| {
        let field = line.split_ascii_whitespace().nth(column)?;
        u64::from_str_radix(field, 16).ok()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name_and_summed_over_cpus() {
        let text =
            "entries drop early_drop\n0000000a 00000001 00000010\n0000000a 0000000f 00000000\n";
        assert_eq!(sum(text, "drop"), Some(16));
        assert_eq!(sum(text, "early_drop"), Some(16));
        assert_eq!(sum(text, "insert_failed"), None);
        assert_eq!(first(text, "drop"), Some(1));
        assert_eq!(first("drop\n", "drop"), None);
        assert_eq!(sum("drop\n", "drop"), None);
        assert_eq!(sum("drop\nzz\n", "drop"), None);
    }
}
