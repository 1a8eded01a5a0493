//! Laws of files, layers and reloads, whatever they say.

use proptest::{prelude::*, sample::select};

use super::*;

proptest! {
    #[test]
    fn what_is_printed_resolves_to_the_same(
        chosen in proptest::sample::subsequence(setting::all().iter().collect::<Vec<_>>(), 0..=10)
    ) {
        let chosen: Vec<_> = chosen.into_iter().filter(|setting| !setting.secret).collect();
        let config = with_other_words(&chosen);
        prop_assert_eq!(resolve(&to_yaml(&config)), config);
    }

    #[test]
    fn the_highest_layer_that_speaks_wins(
        levels in proptest::array::uniform3(proptest::option::of(select(
            vec!["off", "error", "warn", "debug", "trace"],
        )))
    ) {
        let [file, variable, argument] = levels;
        let directory = tempfile::tempdir().unwrap();
        let text = file.map(|level| format!("log.level: {level}\n")).unwrap_or_default();
        let mut sources = sources(directory.path(), &text);
        if let Some(level) = variable {
            sources.environment.insert("SONDE_LOG_LEVEL".into(), level.into());
        }
        sources.flags.extend(argument.map(|level| flag("log.level", level)));
        let expected = argument.or(variable).or(file).unwrap_or("info");
        prop_assert_eq!(sources.resolve().unwrap().log.level.as_str(), expected);
    }

    #[test]
    fn no_file_makes_it_panic(text in "[-a-z0-9:\\[\\]{},&*#'\". \n]{0,200}") {
        let _ = file::parse(Path::new("x"), &text);
    }

    #[test]
    fn a_reload_changes_what_is_live_and_tells_of_the_rest(
        chosen in proptest::sample::subsequence(setting::all().iter().collect::<Vec<_>>(), 0..=10)
    ) {
        let chosen: Vec<_> = chosen.into_iter().filter(|setting| !setting.secret).collect();
        let wanted = with_other_words(&chosen);
        let directory = tempfile::tempdir().unwrap();
        let running = Config::default();
        let reloaded = sources(directory.path(), &to_yaml(&wanted)).reload(&running).unwrap();
        for setting in setting::all() {
            let is_live = setting.reload == setting::Reload::Live;
            let expected = if is_live { &wanted } else { &running };
            prop_assert_eq!(setting.get(&reloaded.config), setting.get(expected));
            let is_chosen = chosen.iter().any(|other| other.name == setting.name);
            let lists = [&reloaded.changed, &reloaded.needs_restart];
            let listed = lists.map(|list| list.contains(&setting.name));
            prop_assert_eq!(listed, [is_chosen && is_live, is_chosen && !is_live]);
        }
    }
}
