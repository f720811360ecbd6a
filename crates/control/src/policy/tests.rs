//! Policies against docs/control.md, `effective` against a model that looks levels up one by one, and every value's
//! text read back.

use super::*;
use crate::document::{TEXT, Table};
use base::FolderId;
use proptest::prelude::*;

#[test]
fn the_document_lists_every_policy_as_it_is() {
    let documented: Vec<String> = Table::read("policies").rows.iter().map(|row| row.join(" | ")).collect();
    let row = |key: &Key| {
        let default =
            if key.default_text().is_empty() { "–".to_owned() } else { format!("`{}`", key.default_text()) };
        let levels: Vec<&str> = key.levels().iter().map(|level| level.word()).collect();
        let permit = key.user_permit().map_or("–".to_owned(), |permit| format!("`{permit}`"));
        let resets = if key.resets() { "reset" } else { "–" };
        let (allowed, levels, obeyed_by) = (key.allowed(), levels.join(", "), key.obeyed_by().word());
        format!("`{key}` | {default} | {allowed} | {levels} | {permit} | {resets} | {obeyed_by}")
    };
    assert_eq!(documented, Key::ALL.iter().map(row).collect::<Vec<String>>());
}

/// The end of the README, where it says what is not there yet.
const README: &str = include_str!("../../../../README.md");

#[test]
fn the_readme_names_every_policy_that_nothing_obeys_yet_and_no_other() {
    let (_, young) = README.split_once("Holdfast is young").expect("what is not there yet");
    for key in Key::ALL {
        let is_kept_only = matches!(key.obeyed_by(), ObeyedBy::Nothing | ObeyedBy::Watch);
        assert_eq!(young.contains(&format!("`{key}`")), is_kept_only, "{key}");
    }
}

#[test]
fn every_default_is_a_canonical_value_and_every_word_reads_back() {
    for (number, key) in Key::ALL.iter().enumerate() {
        assert_eq!(*key as usize, number, "the order of the list is that of the enum");
        assert_eq!(Value::default_of(*key).to_string(), key.default_text(), "{key}");
        assert_eq!(Key::from_word(key.word()), Some(*key));
        assert!(key.user_permit().is_none_or(|permit| matches!(Value::default_of(permit), Value::Flag(_))));
        assert!(key.user_permit().is_none() || key.levels().contains(&PolicyLevel::Device), "{key}");
        assert!(key.user_permit().is_some() || !key.resets(), "what a user cannot set is not reset: {key}");
    }
    assert_eq!(Key::from_word("Interval"), None);
    for level in PolicyLevel::ALL {
        assert_eq!(PolicyLevel::from_word(level.word()), Some(level));
    }
}

#[test]
fn texts_are_read_within_their_ranges_and_printed_in_one_way() {
    let rows = [
        ("interval", "off", "off"),
        ("interval", "60m", "1h"),
        ("interval", "24h", "1d"),
        ("interval", "90m", "90m"),
        ("interval", "5m", "5m"),
        ("interval", "4m", ""),
        ("interval", "30d", "30d"),
        ("interval", "31d", ""),
        ("interval", "18446744073709551615d", ""),
        ("interval", "1.5h", ""),
        ("interval", "+4h", ""),
        ("interval", " 4h", ""),
        ("interval", "", ""),
        ("bandwidth_wan", "none", "none"),
        ("bandwidth_wan", "2 mb/s", "2MB/s"),
        ("bandwidth_wan", "1500000B/s", "1500kB/s"),
        ("bandwidth_wan", "15kB/s", ""),
        ("bandwidth_wan", "100%", "100%"),
        ("bandwidth_wan", "0%", ""),
        ("bandwidth_wan", "101%", ""),
        ("bandwidth_wan", "2MB", ""),
        ("cpu_priority", "high", "high"),
        ("cpu_priority", "High", ""),
        ("run_on_battery", "yes", "yes"),
        ("run_on_battery", "true", ""),
        ("retention_days", "0", ""),
        ("retention_days", "none", ""),
        ("retention_weeks", "0", "0"),
        ("device_limit", "none", "none"),
        ("device_limit", "01", "1"),
        ("device_limit", "0", ""),
        ("device_limit", "-1", ""),
        ("device_limit", "1001", ""),
        ("quota", "1000MB", "1GB"),
        ("quota", "1001kB", "1001kB"),
        ("quota", "999B", ""),
        ("quota", "0", ""),
        ("quota", "99999999999PB", ""),
        ("quota", "GB", ""),
        ("login", "single_sign_on, password,password", "password,single_sign_on"),
        ("login", "", ""),
        ("login", "password,", ""),
        ("exclusions", "*.tmp\n\n/cache/\n", "*.tmp\n/cache/"),
        ("exclusions", "", ""),
        ("support", "  it@example.org, 4711 ", "it@example.org, 4711"),
        ("start_hours", "mon+tue+wed 08:00-18:00", "mon-wed 08:00-18:00"),
        ("start_hours", "none", ""),
        ("blackout_hours", "none", "none"),
    ];
    for (key, text, canonical) in rows {
        let key = Key::from_word(key).expect("a policy");
        let read = Value::parse(key, text).map(|value| value.to_string());
        let empty_is_good = matches!(key, Key::Exclusions | Key::Support);
        match read {
            Ok(read) => assert!(read == canonical && (!read.is_empty() || empty_is_good), "{key} {text:?}: {read:?}"),
            Err(no) => {
                assert_eq!(canonical, "", "{key} {text:?}");
                assert_eq!(no, Refusal::PolicyValueInvalid { key: key.word(), allowed: key.allowed() });
            }
        }
    }
}

#[test]
fn hostile_texts_are_refused_by_every_policy_and_never_repeated() {
    let long = "a".repeat(1 << 20);
    for key in Key::ALL {
        for text in [long.as_str(), "\0", "a\u{7}b", "yes\nno", "../../etc", "none\r", "\u{202e}\u{0}"] {
            let no = match Value::parse(*key, text) {
                Err(no) => no,
                // What only a line or a pattern may have is no danger there: control characters are refused in both.
                Ok(value) => {
                    assert!(matches!(value, Value::Patterns(_) | Value::Line(_)), "{key}: {text:?}");
                    assert!(!value.to_string().chars().any(|c| c.is_control() && c != '\n'), "{key}: {text:?}");
                    continue;
                }
            };
            assert!(no.sentence().len() < 260 && no.sentence().contains(key.word()), "{no}");
        }
    }
}

/// A text that a policy may have.
fn text_of(key: Key) -> BoxedStrategy<String> {
    match Value::default_of(key) {
        Value::Interval(_) => prop_oneof![
            Just("off".to_owned()),
            (5_u64..=43_200).prop_map(|n| format!("{n}m")),
            (1_u64..=720).prop_map(|n| format!("{n}h"))
        ]
        .boxed(),
        Value::Hours(_) => prop::collection::vec((1_u8..128, 0_u32..1_440, 1_u32..=1_440), 1..5)
            .prop_map(|ranges| {
                let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
                let range = |(set, from, to): (u8, u32, u32)| {
                    let to = if from == to { 1_440 } else { to };
                    let days: Vec<&str> = (0..7).filter(|day| set >> day & 1 == 1).map(|day| days[day]).collect();
                    let time = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
                    format!("{} {}-{}", days.join("+"), time(from), time(to))
                };
                ranges.into_iter().map(range).collect::<Vec<String>>().join(",")
            })
            .boxed(),
        Value::Rate(_) => prop_oneof![
            Just("none".to_owned()),
            (16_u64..100_000_000).prop_map(|n| format!("{n}kB/s")),
            (1_u64..=100).prop_map(|n| format!("{n}%"))
        ]
        .boxed(),
        Value::Word(default) => {
            let words = ["low", "normal", "high", "reset", "keep", "organisation", "user"];
            let good = words.into_iter().filter(move |word| Value::parse(key, word).is_ok()).chain([default]);
            prop::sample::select(good.map(str::to_owned).collect::<Vec<String>>()).boxed()
        }
        Value::Words(_) => prop::sample::subsequence(vec!["single_sign_on", "password", "directory"], 1..=3)
            .prop_map(|w| w.join(","))
            .boxed(),
        Value::Flag(_) => prop::sample::select(vec!["yes".to_owned(), "no".to_owned()]).boxed(),
        Value::Number(_) if key == Key::QuotaWarning => (1_u64..=99).prop_map(|n| n.to_string()).boxed(),
        Value::Number(_) => (1_u64..=240).prop_map(|n| n.to_string()).boxed(),
        Value::Size(_) => (1_u64..1 << 40).prop_map(|n| format!("{n}kB")).boxed(),
        Value::Patterns(_) => {
            let pattern = "[a-z*?/.]{0,3}[a-z]".prop_filter("no way up", |text| !text.contains(".."));
            prop::collection::vec(pattern, 0..4).prop_map(|patterns| patterns.join("\n")).boxed()
        }
        Value::Line(_) => "[ -~]{0,40}".boxed(),
    }
}

fn a_set() -> impl Strategy<Value = (PolicyLevel, Key, Set)> {
    let levels: Vec<(PolicyLevel, Key)> =
        Key::ALL.iter().flat_map(|key| key.levels().iter().map(|level| (*level, *key))).collect();
    let value = |(level, key): (PolicyLevel, Key)| {
        (text_of(key), any::<bool>()).prop_map(move |(text, user)| {
            let value = Value::parse(key, &text).unwrap_or_else(|no| panic!("{text:?}: {no}"));
            let by_user = user && level == PolicyLevel::Device && key.user_permit().is_some();
            (level, key, Set { value, by_user })
        })
    };
    prop::sample::select(levels).prop_flat_map(value)
}

#[test]
fn the_value_of_another_policy_is_refused_and_never_read_as_no_limit() {
    for (key, other) in [
        (Key::Quota, Key::DeviceLimit),
        (Key::DeviceLimit, Key::Quota),
        (Key::DeviceLimit, Key::MayAddDevices),
        (Key::MayAddDevices, Key::DeviceLimit),
        (Key::OnReactivation, Key::CpuPriority),
        (Key::CpuPriority, Key::BandwidthWan),
    ] {
        let set =
            |of| Levels::default().set(PolicyLevel::User, key, Set { value: Value::default_of(of), by_user: false });
        assert_eq!(set(other).map_err(|no| no.code()), Err("policy_value_invalid"), "{key} with a value of {other}");
        assert_eq!(set(key), Ok(()));
    }
}

fn levels_of(sets: Vec<(PolicyLevel, Key, Set)>) -> Levels {
    let mut levels = Levels::default();
    for (level, key, set) in sets {
        levels.set(level, key, set).expect("only levels that the policy has were drawn");
    }
    levels
}

/// As docs/control.md says it, in the order of the words.
fn naive(levels: &Levels, key: Key) -> (String, &'static str) {
    let mut holds = (key.default_text().to_owned(), "default");
    for level in [PolicyLevel::Organisation, PolicyLevel::Profile, PolicyLevel::User] {
        if let Some(set) = levels.get(level, key) {
            holds = (set.value.to_string(), level.word());
        }
    }
    match levels.get(PolicyLevel::Device, key) {
        Some(set) if !set.by_user || naive(levels, key.user_permit().expect("drawn so")).0 == "yes" => {
            (set.value.to_string(), "device")
        }
        Some(_) | None => holds,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_holds_is_what_the_document_says(sets in prop::collection::vec(a_set(), 0..40)) {
        let levels = levels_of(sets);
        let policy = effective(&levels);
        for (key, value, from) in policy.iter() {
            prop_assert_eq!((value.to_string(), from.word()), naive(&levels, key), "{}", key);
        }
    }

    #[test]
    fn every_value_prints_and_reads_back_as_the_same((_, key, set) in a_set()) {
        let text = set.value.to_string();
        prop_assert_eq!(Value::parse(key, &text), Ok(set.value), "{:?}", text);
    }

    #[test]
    fn any_text_is_refused_or_read_to_a_value_with_one_text(
        number in 0..Key::ALL.len(),
        text in "\\PC{0,12}|[0-9a-zA-Z%/:,+ -]{0,12}",
    ) {
        let key = Key::ALL[number];
        if let Ok(value) = Value::parse(key, &text) {
            prop_assert_eq!(Value::parse(key, &value.to_string()), Ok(value));
        }
    }

    #[test]
    fn a_reactivation_takes_back_exactly_what_it_says(sets in prop::collection::vec(a_set(), 0..40)) {
        let levels = levels_of(sets);
        let changes = reactivation(&levels, &[], &[], false);
        let after = effective(&levels.without_user_resets());
        for (key, value, from) in effective(&levels).iter() {
            let own = levels.own_value(key).filter(|_| key.resets());
            let change = changes.values.iter().find(|change| change.key == key);
            prop_assert_eq!(own, change.map(|change| &change.was));
            match change {
                Some(change) => prop_assert_eq!(&change.now, after.value(key)),
                None => prop_assert_eq!((value, from), (after.value(key), after.from(key))),
            }
        }
        prop_assert_eq!(PolicyChanges::from_text(&changes.to_text()), Some(changes.clone()));
        // Who asks for the device's own settings gets all of them, whatever the profile says, and the same is named.
        let taken_over = reactivation(&levels, &[], &[], true);
        prop_assert!(taken_over.kept);
        prop_assert_eq!(taken_over.values, changes.values);
    }
}

fn folder(n: u8, from: PolicyLevel, mandatory: bool) -> Folder {
    let path = format!("${{home}}/{n}");
    Folder {
        id: FolderId::from_bytes([n; 16]),
        from,
        os: FolderOs::Any,
        path,
        mandatory,
        include: vec![],
        exclude: vec![],
    }
}

#[test]
fn paths_are_as_the_document_says() {
    for row in &Table::read("paths").rows {
        let [os, path, stored] = row[..] else { panic!("{row:?} has other columns") };
        let os = FolderOs::from_word(os).expect("a system");
        let found = path_parse(os, path).unwrap_or_else(|no| format!("`{}`", no.code()));
        assert_eq!(found, stored, "{os:?} {path}");
        if let Ok(again) = path_parse(os, &found) {
            assert_eq!(again, found);
        }
    }
    assert!(path_parse(FolderOs::Any, &format!("/{}", "a".repeat(1_024))).is_err());
    assert!(path_parse(FolderOs::Any, "/a\nb").is_err() && path_parse(FolderOs::Any, "").is_err());
}

#[test]
fn unlinking_is_as_the_document_says() {
    for row in &Table::read("unlink").rows {
        let [from, mandatory, switch, unlink, earlier] = row[..] else { panic!("{row:?} has other columns") };
        let folder = folder(1, PolicyLevel::from_word(from).expect("a level"), mandatory == "yes");
        let value = Value::parse(Key::UserMayUnlinkFolders, switch).expect("yes or no");
        let mut levels = Levels::default();
        let set = Set { value, by_user: false };
        levels.set(PolicyLevel::Profile, Key::UserMayUnlinkFolders, set).expect("a level that it has");
        let policy = effective(&levels);
        let found = may_unlink(&policy, &folder).map_or_else(|no| format!("`{}`", no.code()), |()| "yes".to_owned());
        assert_eq!(found, unlink, "{row:?}");
        let unlinked = [folder.id];
        let changes = reactivation(&levels, std::slice::from_ref(&folder), &unlinked, false);
        let linked = folders_of(&policy, None, vec![folder], &unlinked)[0].linked;
        assert_eq!(if linked { "in" } else { "out" }, earlier, "{row:?}");
        assert_eq!(changes.folders.is_empty(), linked, "what is named is what comes back: {row:?}");
    }
}

#[test]
fn a_device_has_the_folders_of_its_system_and_all_of_them_when_that_is_unknown() {
    let mut folders = vec![folder(1, PolicyLevel::Profile, false), folder(2, PolicyLevel::Profile, false)];
    folders[1].os = FolderOs::Windows;
    let policy = effective(&Levels::default());
    let count = |os| folders_of(&policy, os, folders.clone(), &[]).len();
    assert_eq!([count(Some(FolderOs::Windows)), count(Some(FolderOs::Linux)), count(None)], [2, 1, 2]);
}

#[test]
fn a_user_may_change_what_has_a_switch_while_it_is_on_and_no_admin_has_set_it_there() {
    let may = |levels: &Levels, key| effective(levels).user_may_change(levels, key).map_err(|no| no.code());
    let refused = Err("policy_not_allowed");
    let mut levels = Levels::default();
    for key in Key::ALL {
        assert_eq!(may(&levels, *key).is_ok(), key.user_permit().is_some(), "{key}");
    }
    let set = |key, text| Set { value: Value::parse(key, text).expect("a value"), by_user: false };
    levels.set(PolicyLevel::Device, Key::Interval, set(Key::Interval, "1h")).expect("a level that it has");
    assert_eq!([may(&levels, Key::Interval), may(&levels, Key::CpuPriority)], [refused, Ok(())]);
    let off = set(Key::UserMayChangeCpu, "no");
    levels.set(PolicyLevel::Organisation, Key::UserMayChangeCpu, off).expect("a level that it has");
    assert_eq!(may(&levels, Key::CpuPriority), refused);
    levels.unset(PolicyLevel::Device, Key::Interval);
    assert_eq!(may(&levels, Key::Interval), Ok(()));
}

#[test]
fn changes_are_said_to_the_audit_log_and_read_back_from_storage() {
    let key = Key::Interval;
    let parse = |text| Value::parse(key, text).expect("an interval");
    let changes = PolicyChanges {
        kept: false,
        folders: vec![FolderChange { folder: FolderId::from_bytes([1; 16]), path: "${home}/Music".to_owned() }],
        values: vec![ValueChange { key, was: parse("1h"), now: parse("4h") }],
    };
    assert_eq!(changes.to_string(), "linked again: ${home}/Music; taken back: interval 1h to 4h");
    let kept = PolicyChanges { kept: true, ..changes.clone() };
    assert_eq!(kept.to_string(), "still unlinked: ${home}/Music; kept: interval 1h");
    assert_eq!(PolicyChanges::default().to_string(), "");
    for changes in [changes, kept, PolicyChanges::default()] {
        assert_eq!(PolicyChanges::from_text(&changes.to_text()), Some(changes));
    }
    for text in
        ["x", "reset\nfolder\tfld_x\ta", "reset\nvalue\tinterval\t1s\t4h", "reset\nvalue\tx\t1h\t4h", "kept\n\n"]
    {
        assert_eq!(PolicyChanges::from_text(text), None, "{text:?}");
    }
}

#[test]
fn the_rules_of_activation_are_those_of_the_policy() {
    assert_eq!(effective(&Levels::default()).activation_rules(), Rules::default());
    let mut levels = Levels::default();
    for (key, text) in [
        (Key::MayAddDevices, "no"),
        (Key::DeviceLimit, "3"),
        (Key::FirstDeviceOnly, "yes"),
        (Key::AutomaticReplacement, "no"),
        (Key::TokenWaits, "yes"),
    ] {
        let value = Value::parse(key, text).expect("a value");
        levels.set(PolicyLevel::Profile, key, Set { value, by_user: false }).expect("a level that it has");
    }
    let rules = effective(&levels).activation_rules();
    let expected = Rules {
        may_add: false,
        device_limit: Some(Count(3)),
        first_device_only: true,
        automatic: false,
        token_waits: true,
    };
    assert_eq!(rules, expected);
    let refused = Err(Refusal::PolicyLevelWrong { key: "quota", level: "device" });
    assert_eq!(Key::Quota.may_be_set_at(PolicyLevel::Device), refused);
    assert!(TEXT.contains("`policy_level_wrong`"));
}
