//! What holds for every setting of the registry.

use super::*;

#[test]
fn every_setting_has_its_own_flag_variable_and_key() {
    let mut names = HashSet::new();
    let mut variables = HashSet::new();
    for setting in setting::all() {
        let name = setting.name;
        assert!(names.insert(name), "{name} stands twice");
        assert!(
            variables.insert(setting.variable()),
            "{}",
            setting.variable()
        );
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        assert!(name.contains('.') && name.chars().all(word), "{name}");
        assert!(
            !setting.help.ends_with('.'),
            "{name}'s help ends with a dot"
        );
        assert_eq!(
            setting.shape == Shape::Switch,
            COLLECTORS.iter().any(|c| c.switch == name)
        );
    }
}

#[test]
fn every_setting_is_set_by_variable_file_and_flag() {
    for setting in setting::all() {
        let words = other_words(setting);
        let expected = with_other_words(&[setting]);
        assert_ne!(
            expected,
            Config::default(),
            "{} changes nothing",
            setting.name
        );
        let from_variable = Sources {
            environment: BTreeMap::from([(setting.variable(), words.join(", "))]),
            ..Sources::default()
        };
        // A comma separates only where there may be many.
        assert_eq!(
            from_variable.resolve().unwrap(),
            expected,
            "{}",
            setting.name
        );
        let from_flag = Sources {
            flags: vec![Assignment {
                setting,
                words,
                origin: Origin::Flag(setting.name),
            }],
            ..Sources::default()
        };
        assert_eq!(from_flag.resolve().unwrap(), expected, "{}", setting.name);
        if !setting.secret {
            assert_eq!(resolve(&to_yaml(&expected)), expected, "{}", setting.name);
        }
    }
}
