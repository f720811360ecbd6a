//! From the policy to the folders of a backup, and the copy that is kept.

use super::*;
use base::SeededEntropy;
use protocol::agent::policy::QuotaDetail;

fn folder(number: u64, path: &str, os: &str) -> PolicyFolder {
    PolicyFolder {
        folder: Text(FolderId::mint(&SeededEntropy::new(number))),
        path: path.to_owned(),
        os: os.to_owned(),
        from: "profile".to_owned(),
        mandatory: false,
        linked: true,
        include: vec![],
        exclude: vec![],
    }
}

fn policy(folders: Vec<PolicyFolder>) -> PolicyReply {
    PolicyReply {
        revision: 7,
        profile: "Default".to_owned(),
        values: vec![],
        folders,
        exclusions: vec![],
        quota: QuotaDetail { used: 0, limit: None, from: "default".to_owned() },
    }
}

fn places() -> Places {
    Places::of(Some(std::path::Path::new("/home/anna")), Some("anna"))
}

fn path(text: &str) -> StoredPath {
    StoredPath::from_bytes(text.as_bytes().to_vec()).expect("a path")
}

fn chosen(policy: Option<&PolicyReply>, given: &[&str], fallback: &[&str]) -> Result<Vec<String>, String> {
    let given: Vec<StoredPath> = given.iter().map(|text| path(text)).collect();
    let fallback: Vec<StoredPath> = fallback.iter().map(|text| path(text)).collect();
    match wanted(policy, &places(), &given, &fallback) {
        Ok(wanted) => Ok(wanted.selection.folders().iter().map(ToString::to_string).collect()),
        Err(error) => Err(error.code().to_owned()),
    }
}

#[test]
fn a_backup_takes_what_is_given_else_the_policy_else_what_was_chosen_here() {
    let with = |change: fn(&mut PolicyFolder)| {
        let mut one = folder(1, "${home}/doc", "any");
        change(&mut one);
        policy(vec![one])
    };
    let plain = with(|_| ());
    let ok = |folders: &[&str]| Ok(folders.iter().map(|text| (*text).to_owned()).collect());
    assert_eq!(chosen(Some(&plain), &[], &["srv"]), ok(&["home/anna/doc"]));
    assert_eq!(chosen(Some(&plain), &["etc"], &["srv"]), ok(&["etc"]));
    assert_eq!(chosen(Some(&with(|one| one.os = "windows".to_owned())), &[], &["srv"]), ok(&["srv"]));
    assert_eq!(chosen(Some(&with(|one| one.linked = false)), &[], &["srv"]), Err("no_folders".to_owned()));
    let mandatory = with(|one| (one.linked, one.mandatory) = (false, true));
    assert_eq!(chosen(Some(&mandatory), &[], &[]), ok(&["home/anna/doc"]));
    assert_eq!(chosen(Some(&policy(vec![])), &[], &["srv"]), ok(&["srv"]));
    assert_eq!(chosen(None, &[], &["srv"]), ok(&["srv"]));
    assert_eq!(chosen(None, &[], &[]), Err("no_folders".to_owned()));
}

#[test]
fn what_means_nothing_here_is_a_problem_and_the_rest_holds() {
    let mut bad = folder(2, "/srv", "linux");
    bad.exclude = vec!["[".to_owned()];
    let mut all = policy(vec![folder(1, "${appdata}", "any"), folder(3, "../x", "any"), bad]);
    all.exclusions = vec!["{".to_owned(), "*.tmp".to_owned()];
    let wanted = wanted(Some(&all), &places(), &[], &[]).expect("a folder");
    let codes: Vec<&str> = wanted.problems.iter().map(|problem| problem.code).collect();
    let expected = ["variable_unknown", "path_invalid", "pattern_invalid", "pattern_invalid"];
    assert_eq!(codes, expected);
    assert_eq!(wanted.selection.folders(), [path("srv")]);
}

#[test]
fn a_folder_that_this_computer_does_not_have_is_no_problem_and_is_named() {
    let home = tempfile::tempdir().expect("a temporary directory");
    std::fs::create_dir(home.path().join("Documents")).expect("a folder");
    let places = Places::of(Some(home.path()), Some("anna"));
    let mut out = folder(3, "${videos}", "any");
    out.linked = false;
    let music = folder(4, "${music}", "windows");
    let all = policy(vec![folder(1, "${documents}", "any"), folder(2, "${desktop}", "any"), out, music]);
    let wanted = wanted(Some(&all), &places, &[], &[]).expect("a folder");
    assert_eq!((wanted.selection.folders().len(), wanted.problems.len()), (1, 0));
    let known = Known { policy: all, fetched_at_ms: 5, stale: None, absent: vec![] };
    assert_eq!(known.looked_for_in(&places).absent, ["${desktop}"], "of those that would be backed up here");

    let none = policy(vec![folder(2, "${desktop}", "any"), folder(5, "${pictures}/x", "any")]);
    let error = super::wanted(Some(&none), &places, &[], &[path("srv")]).expect_err("nothing to read");
    assert_eq!(error.code(), "nothing_to_read");
    assert!(error.sentence().ends_with("${desktop}, ${pictures}/x"), "{}", error.sentence());
}

#[test]
fn a_folder_is_found_by_its_name_and_by_both_of_its_paths() {
    let all = policy(vec![folder(1, "${home}/doc", "any"), folder(2, "/srv", "any"), folder(3, "C:\\x", "windows")]);
    let number = |number| FolderId::mint(&SeededEntropy::new(number));
    for (text, expected) in [
        ("${home}/doc".to_owned(), 1),
        ("/home/anna/doc/".to_owned(), 1),
        ("/srv".to_owned(), 2),
        (number(2).to_string(), 2),
        ("C:\\x".to_owned(), 3),
    ] {
        for of_device in [false, true] {
            assert_eq!(find(&all, &places(), &text, of_device).expect(&text), number(expected), "{text}");
        }
    }
    let missing = find(&all, &places(), "/home/anna", false).expect_err("no such folder");
    assert_eq!((missing.code(), missing.kind()), ("folder_unknown", Kind::NotFound));
}

#[test]
fn the_copy_is_this_devices_only_and_a_damaged_one_is_none() {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let dir = StateDir::open(&temp.path().join("state")).expect("a state directory");
    let device = DeviceId::mint(&SeededEntropy::new(1));
    assert!(kept(&dir, device).is_none());
    let known = Known { policy: policy(vec![folder(1, "/srv", "any")]), fetched_at_ms: 5, stale: None, absent: vec![] };
    dir.keep_beside(POLICY_FILE, &render(device, &known)).expect("kept");
    let found = kept(&dir, device).expect("a policy");
    assert_eq!((found.policy, found.fetched_at_ms), (known.policy, 5));
    assert!(kept(&dir, DeviceId::mint(&SeededEntropy::new(2))).is_none(), "another device's");
    dir.keep_beside(POLICY_FILE, b"{").expect("kept");
    assert!(kept(&dir, device).is_none());
}
