//! The manual page: settings once, then each subcommand with what is its own.

use std::io::{self, Write};

use clap::Command;
use clap_mangen::Man;

use super::{args::AFTER_HELP, flags};
use crate::config::setting;

/// Writes the page in roff with the man macros (`groff_man(7)`), for section 8.
pub(super) fn write(mut command: Command, out: &mut impl Write) -> io::Result<()> {
    command.build();
    let page = Man::new(command.clone()).section("8");
    page.render_title(out)?;
    page.render_name_section(out)?;
    // The generated synopsis would list every flag.
    writeln!(
        out,
        ".SH SYNOPSIS\n\\fBsonde\\fR [\\fIOPTIONS\\fR] [\\fICOMMAND\\fR]"
    )?;
    page.render_description_section(out)?;
    writeln!(out, ".SH COMMANDS")?;
    for subcommand in command
        .get_subcommands()
        .filter(|found| found.get_name() != "help")
    {
        write_command(subcommand.clone(), out)?;
    }
    writeln!(out, ".SH OPTIONS")?;
    write_options(&page, out)?;
    writeln!(out, ".SH NOTES\n.nf\n{}\n.fi", escaped(AFTER_HELP))
}

fn write_command(command: Command, out: &mut impl Write) -> io::Result<()> {
    let about = command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    writeln!(
        out,
        ".SS \"sonde {}\"\n{}",
        command.get_name(),
        escaped(&about)
    )?;
    let own = command.mut_args(|arg| {
        let id = arg.get_id().as_str();
        let shared = id == "help" || flags::is_setting(id);
        arg.hide(shared)
    });
    write_options(&Man::new(own), out)
}

/// The options with one subsection per heading, as they are spelled in the help.
fn write_options(page: &Man, out: &mut impl Write) -> io::Result<()> {
    let mut rendered = Vec::new();
    page.render_options_section(&mut rendered)?;
    for line in String::from_utf8_lossy(&rendered).lines() {
        match line
            .strip_prefix(".SH ")
            .map(|heading| heading.trim_matches('"'))
        {
            Some("OPTIONS") => {}
            Some(heading) => {
                let mut known = setting::all().iter().map(|setting| setting.heading);
                let spelled = known.find(|known| known.to_uppercase() == heading);
                writeln!(out, ".SS \"{}\"", escaped(spelled.unwrap_or(heading)))?;
            }
            None => writeln!(out, "{line}")?,
        }
    }
    Ok(())
}

/// `text` as roff takes it: no line starts a request, and dashes and backslashes are themselves.
fn escaped(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    let lines = escaped.lines().map(|line| {
        if line.starts_with(['.', '\'']) {
            format!("\\&{line}")
        } else {
            line.to_owned()
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_taken_for_a_request() {
        assert_eq!(escaped(".x\n'y\na-b\\c"), "\\&.x\n\\&'y\na\\-b\\ec");
    }
}
