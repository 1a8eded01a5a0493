//! The image's recipe: what a build would only find after minutes.

use crate::{deploy, read};

/// The instructions with their lines joined, comments left out.
fn instructions() -> Vec<(String, String)> {
    let text = read(&deploy("container/Dockerfile"));
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let instructions = joined.lines().filter(|line| !line.trim().is_empty());
    let split = |line: &str| {
        let (name, rest) = line.split_once(' ').expect("an instruction has arguments");
        (
            name.to_owned(),
            rest.split_whitespace().collect::<Vec<_>>().join(" "),
        )
    };
    instructions.map(split).collect()
}

fn all<'a>(instructions: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    let named = instructions
        .iter()
        .filter(|(instruction, _)| instruction == name);
    named.map(|(_, arguments)| arguments.as_str()).collect()
}

#[test]
fn every_image_has_a_fixed_tag() {
    let instructions = instructions();
    let mut stages = Vec::new();
    for from in all(&instructions, "FROM") {
        let (image, stage) = from.split_once(" AS ").unwrap_or((from, ""));
        let (_, tag) = image
            .rsplit_once(':')
            .unwrap_or_else(|| panic!("{image} has no tag"));
        assert!(
            tag != "latest" && tag.contains(|c: char| c.is_ascii_digit()),
            "{image}"
        );
        stages.push(stage);
    }
    for copy in all(&instructions, "COPY") {
        if let Some(from) = copy.strip_prefix("--from=") {
            let stage = from.split(' ').next();
            assert!(stage.is_some_and(|stage| stages.contains(&stage)), "{copy}");
        }
    }
}

/// Signals reach the agent only where no shell stands between.
#[test]
fn the_agent_is_started_without_a_shell() {
    let instructions = instructions();
    let exec = |name| -> Vec<String> {
        let [only] = all(&instructions, name)[..] else {
            panic!("one {name}");
        };
        serde_json::from_str(only).expect("the exec form")
    };
    let binary = exec("ENTRYPOINT");
    assert_eq!(exec("CMD"), ["run"]);
    let copied = all(&instructions, "COPY");
    assert!(
        copied.iter().any(|copy| copy.ends_with(&binary[0])),
        "{binary:?} is in the image"
    );
}

#[test]
fn the_build_is_the_one_of_the_readme() {
    let instructions = instructions();
    let runs = all(&instructions, "RUN").join("\n");
    assert!(
        runs.contains("cargo xtask setup && cargo build --release"),
        "{runs}"
    );
}
