//! Policies at every level, what holds and where it comes from, folders and what is taken out, profiles and previews.

use super::world::{Device, USER, World, code};
use app::folders::{self, FolderDraft};
use app::page::PageAsk;
use app::policy::{self, PolicyView};
use app::{AdminActor, AppError, PolicySubject, profiles};
use base::{Count, DeviceId, ProfileId, UserId};
use control::policy::{FolderOs, Key, PolicyLevel};
use control::{Level, Refusal, Rights, State};

pub const ADMIN: AdminActor = AdminActor::Command;

/// Values as a request has them: an empty text takes the value back.
pub fn values(pairs: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
    let value = |(key, text): &(&str, &str)| ((*key).to_owned(), (!text.is_empty()).then(|| (*text).to_owned()));
    pairs.iter().map(value).collect()
}

pub fn draft(path: &str, mandatory: bool) -> FolderDraft {
    FolderDraft { os: FolderOs::Any, path: path.to_owned(), mandatory, include: Vec::new(), exclude: Vec::new() }
}

async fn all(world: &World) -> Vec<profiles::ProfileView> {
    profiles::page(&world.app, &ADMIN, None, &PageAsk::first()).await.expect("readable").items
}

/// The profile of the world's user: the default one.
pub async fn profile(world: &World) -> ProfileId {
    all(world).await[0].id
}

async fn set(world: &World, subject: PolicySubject, pairs: &[(&str, &str)]) -> Result<(), AppError> {
    policy::set(&world.app, &ADMIN, subject, &values(pairs)).await.map(|_| ())
}

async fn own(world: &World, device: &Device) -> PolicyView {
    policy::own(&world.app, &device.actor).await.expect("readable")
}

async fn own_set(world: &World, device: &Device, pairs: &[(&str, &str)]) -> Result<PolicyView, AppError> {
    policy::own_set(&world.app, &device.actor, &values(pairs)).await
}

/// A value and where it comes from, as a person reads it.
fn said(view: &PolicyView, key: Key) -> String {
    format!("{} from {}", view.policy.value(key), view.policy.from(key))
}

async fn audit(world: &World) -> Vec<String> {
    let verified = app::audit::verify(&world.app, &ADMIN, None).await.expect("readable");
    assert_eq!(verified.broken, None, "the chain holds");
    let mut tx = world.app.db.read().await.expect("readable");
    let rows = app::audit::list(&mut tx, 0).await.expect("readable");
    rows.into_iter().map(|row| format!("{} {}: {}", row.actor, row.action, row.detail)).collect()
}

#[tokio::test]
async fn every_value_says_which_level_it_comes_from_and_every_change_is_audited() {
    let world = World::new().await;
    let device = world.device(1).await;
    let (profile, id) = (profile(&world).await, device.actor.device);
    assert_eq!(said(&own(&world, &device).await, Key::Interval), "4h from default");
    let steps = [
        (PolicySubject::Organisation, "6h", "6h from organisation"),
        (PolicySubject::Profile(profile), "5h", "5h from profile"),
        (PolicySubject::User(USER), "180m", "3h from user"),
        (PolicySubject::Device(id), "2h", "2h from device"),
        (PolicySubject::User(USER), "", "2h from device"),
        (PolicySubject::Device(id), "", "5h from profile"),
        (PolicySubject::Profile(profile), "", "6h from organisation"),
    ];
    for (subject, text, expected) in steps {
        set(&world, subject, &[("interval", text)]).await.expect("granted");
        assert_eq!(said(&own(&world, &device).await, Key::Interval), expected);
        let shown = policy::of_device(&world.app, &ADMIN, id).await.expect("readable");
        assert_eq!(shown, own(&world, &device).await, "an admin sees what the device sees");
    }
    let user = policy::of_user(&world.app, &ADMIN, USER).await.expect("readable");
    assert_eq!(
        (said(&user, Key::Interval), user.profile_name.as_str()),
        ("6h from organisation".to_owned(), "Default")
    );
    let of_values: Vec<String> = audit(&world).await.into_iter().filter(|row| row.contains("policy_set")).collect();
    assert_eq!(of_values.len(), steps.len());
    assert_eq!(of_values[0], format!("{ADMIN} policy_set: interval: nothing to 6h"));
    assert_eq!(of_values[5], format!("{ADMIN} policy_set: interval: 2h to nothing"));
}

#[tokio::test]
async fn a_policy_that_is_named_twice_has_its_last_value_and_the_log_says_each_step() {
    let world = World::new().await;
    let twice = [("interval", "6h"), ("interval", "6h"), ("interval", "2h"), ("interval", "2h")];
    set(&world, PolicySubject::User(USER), &twice).await.expect("granted");
    let none = [("interval".to_owned(), None), ("interval".to_owned(), Some("3h".to_owned()))];
    policy::set(&world.app, &ADMIN, PolicySubject::User(USER), &none).await.expect("granted");
    let rows = audit(&world).await;
    let steps: Vec<&str> = rows.iter().filter_map(|row| row.split_once("interval: ")).map(|(_, step)| step).collect();
    assert_eq!(steps, ["nothing to 6h", "6h to 2h", "2h to nothing", "nothing to 3h"]);
    let held = policy::values(&world.app, &ADMIN, PolicySubject::User(USER)).await.expect("readable");
    assert_eq!(held.iter().map(|row| row.set.value.to_string()).collect::<Vec<_>>(), ["3h"]);
}

#[tokio::test]
async fn values_are_set_all_of_them_or_none_and_only_where_they_belong() {
    let world = World::new().await;
    let device = world.device(1).await;
    let id = device.actor.device;
    let long = "a".repeat(1 << 20);
    type Row<'a> = (PolicySubject, &'a [(&'a str, &'a str)], &'a str);
    let rows: [Row<'_>; 9] = [
        (PolicySubject::Organisation, &[("interval", "1h"), ("quota", "lots")], "policy_value_invalid"),
        (PolicySubject::Organisation, &[("interval", "1h"), ("quotas", "1GB")], "policy_unknown"),
        (PolicySubject::Organisation, &[("support", &long)], "policy_value_invalid"),
        (PolicySubject::Organisation, &[("exclusions", "a\0b")], "policy_value_invalid"),
        (PolicySubject::Organisation, &[(&long, "1h")], "policy_unknown"),
        (PolicySubject::User(USER), &[("support", "me")], "policy_level_wrong"),
        (PolicySubject::Device(id), &[("quota", "1GB")], "policy_level_wrong"),
        (PolicySubject::Profile(ProfileId::from_bytes([9; 16])), &[("interval", "1h")], "profile_unknown"),
        (PolicySubject::User(UserId::from_bytes([9; 16])), &[("interval", "1h")], "user_unknown"),
    ];
    for (subject, pairs, expected) in rows {
        let error = set(&world, subject, pairs).await.expect_err("refused");
        assert!(error.to_string().len() < 260, "hostile texts are not said back: {error}");
        assert_eq!(error.code(), expected);
    }
    assert_eq!(said(&own(&world, &device).await, Key::Interval), "4h from default");
    assert!(!audit(&world).await.iter().any(|row| row.contains("policy_set")));
}

#[tokio::test]
async fn a_user_changes_what_the_profile_lets_users_change_and_nothing_else() {
    let world = World::new().await;
    let device = world.device(1).await;
    let (user, id) = (PolicySubject::User(USER), device.actor.device);
    let view = own_set(&world, &device, &[("interval", "1h"), ("cpu_priority", "high")]).await.expect("granted");
    assert_eq!(said(&view, Key::Interval), "1h from device");
    assert_eq!(view.may_change, [Key::Interval, Key::BandwidthLan, Key::BandwidthWan, Key::CpuPriority]);
    for key in ["run_on_metered", "quota", "exclusions", "user_may_change_interval", "start_hours"] {
        let no = own_set(&world, &device, &[("interval", "2h"), (key, "yes")]).await.expect_err("refused");
        let AppError::Refused(Refusal::PolicyNotAllowed { key: named }) = no else { panic!("{no}") };
        assert_eq!(named, key);
    }
    assert_eq!(code(own_set(&world, &device, &[("interval", "1s")]).await), "policy_value_invalid");
    // Taking the right away makes the user's value count no longer, giving it back makes it count again.
    set(&world, user, &[("user_may_change_interval", "no")]).await.expect("granted");
    assert_eq!(said(&own(&world, &device).await, Key::Interval), "4h from default");
    assert_eq!(code(own_set(&world, &device, &[("interval", "")]).await), "policy_not_allowed");
    set(&world, user, &[("user_may_change_interval", "")]).await.expect("granted");
    assert_eq!(said(&own(&world, &device).await, Key::Interval), "1h from device");
    // What an admin has set at the device is the admin's.
    set(&world, PolicySubject::Device(id), &[("interval", "8h")]).await.expect("granted");
    for text in ["1h", ""] {
        assert_eq!(code(own_set(&world, &device, &[("interval", text)]).await), "policy_not_allowed");
    }
    let view = own_set(&world, &device, &[("cpu_priority", "")]).await.expect("granted");
    assert_eq!([said(&view, Key::Interval), said(&view, Key::CpuPriority)], ["8h from device", "low from default"]);
}

#[tokio::test]
async fn only_a_device_that_is_active_with_full_rights_changes_its_policy() {
    let world = World::new().await;
    let mut device = world.device(1).await;
    let rights = Rights::Full;
    let held = State::Held { rights, append_until: world.app.clock.now() + base::Span::days(1) };
    let rows = [
        (State::Active { rights: Rights::AppendOnly }, "rights_append_only"),
        (held.clone(), "device_held"),
        (State::Quarantined { was: Box::new(held) }, "device_quarantined"),
        (State::Deactivated { rights, level: Level::Revoke }, "device_deactivated"),
    ];
    let folder = folders::own_add(&world.app, &device.actor, "${home}/a", vec![], vec![]).await.expect("granted");
    for (state, expected) in rows {
        world.state_set(&mut device, state).await;
        let (app, actor, id) = (&world.app, &device.actor, folder.folder.id);
        assert_eq!(code(own_set(&world, &device, &[("interval", "1h")]).await), expected);
        assert_eq!(code(folders::own_add(app, actor, "${home}/b", vec![], vec![]).await), expected);
        assert_eq!(code(folders::own_remove(app, actor, id).await), expected);
        assert_eq!(code(folders::own_link(app, actor, id, false).await), expected);
    }
}

#[tokio::test]
async fn the_revision_grows_with_every_change_and_only_then() {
    let world = World::new().await;
    let device = world.device(1).await;
    let (profile, id) = (profile(&world).await, device.actor.device);
    let mut last = own(&world, &device).await.revision;
    let mut grown = async |what: &str, grows: bool| {
        let now = own(&world, &device).await.revision;
        assert_eq!(now > last, grows, "{what}: {last} to {now}");
        last = now;
    };
    for subject in [
        PolicySubject::Organisation,
        PolicySubject::Profile(profile),
        PolicySubject::User(USER),
        PolicySubject::Device(id),
    ] {
        set(&world, subject, &[("interval", "1h")]).await.expect("granted");
        grown("a value", true).await;
    }
    own_set(&world, &device, &[("cpu_priority", "high")]).await.expect("granted");
    grown("an own value", true).await;
    let app = &world.app;
    let folder = folders::add(app, &ADMIN, PolicySubject::Profile(profile), &draft("${home}/a", false)).await;
    let folder = folder.expect("granted").id;
    grown("a folder", true).await;
    for linked in [false, false, true, true] {
        let is_out = own(&world, &device).await.folders.iter().any(|folder| !folder.linked);
        folders::own_link(app, &device.actor, folder, linked).await.expect("granted");
        grown("linking", linked == is_out).await;
    }
    folders::change(app, &ADMIN, folder, &draft("${home}/a", true)).await.expect("granted");
    grown("a changed folder", true).await;
    folders::remove(app, &ADMIN, folder).await.expect("granted");
    grown("a removed folder", true).await;
    profiles::rename(app, &ADMIN, profile, "Everyone").await.expect("granted");
    grown("the profile's name", true).await;
    let other = profiles::make(app, &ADMIN, "Other").await.expect("granted").id;
    grown("another profile", false).await;
    for to in [other, other, profile, other] {
        let from = own(&world, &device).await.profile;
        profiles::assign(app, &ADMIN, to, USER).await.expect("granted");
        grown("another profile for the user", from != to).await;
    }
    assert_eq!(policy::revision(app, id).await.expect("known"), own(&world, &device).await.revision);
    world.backup(&device).await;
    grown("a backup", false).await;
    assert_eq!(code(policy::revision(app, DeviceId::from_bytes([8; 16])).await), "device_unknown");
}

#[tokio::test]
async fn folders_are_added_taken_out_and_removed_by_those_who_may() {
    let world = World::new().await;
    let device = world.device(1).await;
    let (app, actor) = (&world.app, &device.actor);
    let of_profile = PolicySubject::Profile(profile(&world).await);
    let add = async |subject, path, mandatory| folders::add(app, &ADMIN, subject, &draft(path, mandatory)).await;
    let optional = add(of_profile, "${home}/Music/", false).await.expect("granted");
    assert_eq!((optional.path.as_str(), optional.from), ("${home}/Music", PolicyLevel::Profile));
    let mandatory = add(of_profile, "${documents}", true).await.expect("granted").id;
    let users = add(PolicySubject::User(USER), "${home}/Work", false).await.expect("granted").id;
    assert_eq!(code(add(of_profile, "${home}/Music", true).await), "folder_exists");
    assert_eq!(code(add(PolicySubject::Organisation, "/a", true).await), "folder_level_wrong");
    assert_eq!(code(add(PolicySubject::Device(actor.device), "/a", true).await), "folder_level_wrong");
    for path in ["../a", "${home}/../../etc/shadow", "${root}/a", "a\0b", "/a\nb", &format!("/{}", "a".repeat(1 << 20))]
    {
        let no = folders::own_add(app, actor, path, vec![], vec![]).await.expect_err("refused");
        assert!(no.code() == "folder_path_invalid" && no.to_string().len() < 260, "{no}");
    }
    let pattern = vec!["[".to_owned()];
    assert_eq!(code(folders::own_add(app, actor, "/a", vec![], pattern).await), "pattern_invalid");
    let own_folder = folders::own_add(app, actor, "/srv/data/", vec![], vec![]).await.expect("granted");
    let again = folders::own_add(app, actor, "/srv/data", vec![], vec![]).await.expect("the same again");
    assert_eq!(own_folder, again);
    let other = vec!["*.a".to_owned()];
    assert_eq!(code(folders::own_add(app, actor, "/srv/data", other, vec![]).await), "folder_exists");
    let link = async |id, linked| folders::own_link(app, actor, id, linked).await;
    assert_eq!(code(link(mandatory, false).await), "folder_mandatory");
    assert_eq!(code(link(own_folder.folder.id, false).await), "folder_own");
    assert_eq!(code(link(base::FolderId::from_bytes([1; 16]), false).await), "folder_not_yours");
    assert_eq!(code(folders::own_remove(app, actor, optional.id).await), "folder_not_yours");
    assert!(!link(users, false).await.expect("granted").linked);
    // As long as the device has it too, it would be backed up all the same.
    let twin = folders::own_add(app, actor, &optional.path, vec![], vec![]).await.expect("granted").folder.id;
    assert_eq!(code(link(optional.id, false).await), "folder_own");
    assert!(link(optional.id, true).await.expect("it is in").linked);
    folders::own_remove(app, actor, twin).await.expect("its own");
    assert!(!link(optional.id, false).await.expect("granted").linked);
    // Of another device, all of it is as it was.
    let second = world.device(2).await;
    let linked: Vec<bool> = own(&world, &second).await.folders.iter().map(|folder| folder.linked).collect();
    assert_eq!(linked, [true; 3]);
    // What became mandatory counts as linked, and is out again when it is optional once more.
    let is_linked = async || {
        let view = own(&world, &device).await;
        view.folders.into_iter().find(|found| found.folder.id == optional.id).expect("there").linked
    };
    assert!(!is_linked().await);
    folders::change(app, &ADMIN, optional.id, &draft("${home}/Music", true)).await.expect("granted");
    assert!(is_linked().await);
    folders::change(app, &ADMIN, optional.id, &draft("${home}/Music", false)).await.expect("granted");
    assert!(!is_linked().await);
    // Removed while it is out: it is gone, and one with the same path is a new one.
    folders::remove(app, &ADMIN, optional.id).await.expect("granted");
    assert_eq!(code(link(optional.id, true).await), "folder_not_yours");
    let anew = add(of_profile, "${home}/Music", false).await.expect("granted").id;
    let view = own(&world, &device).await;
    assert!(view.folders.iter().find(|found| found.folder.id == anew).expect("there").linked);
    folders::own_remove(app, actor, own_folder.folder.id).await.expect("granted");
    assert_eq!(own(&world, &device).await.folders.len(), 3);
}

#[tokio::test]
async fn what_the_profile_no_longer_allows_is_refused_and_own_folders_stay() {
    let world = World::new().await;
    let device = world.device(1).await;
    let (app, actor) = (&world.app, &device.actor);
    let of_profile = PolicySubject::Profile(profile(&world).await);
    let folder = folders::add(app, &ADMIN, of_profile, &draft("${home}/a", false)).await.expect("granted").id;
    folders::own_add(app, actor, "/b", vec![], vec![]).await.expect("granted");
    folders::own_link(app, actor, folder, false).await.expect("granted");
    let switches = [("user_may_add_folders", "no"), ("user_may_unlink_folders", "no")];
    set(&world, of_profile, &switches).await.expect("granted");
    assert_eq!(code(folders::own_add(app, actor, "/c", vec![], vec![]).await), "policy_not_allowed");
    assert_eq!(code(folders::own_link(app, actor, folder, false).await), "policy_not_allowed");
    let linked: Vec<bool> = own(&world, &device).await.folders.iter().map(|folder| folder.linked).collect();
    assert_eq!(linked, [true, true], "what was taken out counts no longer");
    set(&world, of_profile, &[("user_may_add_folders", "yes")]).await.expect("granted");
    for n in 0..99 {
        folders::own_add(app, actor, &format!("/n/{n}"), vec![], vec![]).await.expect("granted");
    }
    assert_eq!(code(folders::own_add(app, actor, "/one-more", vec![], vec![]).await), "folder_limit");
}

#[tokio::test]
async fn profiles_are_made_copied_given_and_removed_when_nobody_has_them() {
    let world = World::new().await;
    let app = &world.app;
    let default = profile(&world).await;
    let made = profiles::make(app, &ADMIN, "  Sales ").await.expect("granted");
    assert_eq!((made.name.as_str(), made.users, made.is_default), ("Sales", Count(0), false));
    for (name, expected) in [
        ("Sales", "profile_exists"),
        ("", "profile_name_invalid"),
        ("a\nb", "profile_name_invalid"),
        (&"a".repeat(101), "profile_name_invalid"),
        (&made.id.to_string(), "profile_name_invalid"),
    ] {
        assert_eq!(code(profiles::make(app, &ADMIN, name).await), expected);
        assert_eq!(code(profiles::copy(app, &ADMIN, made.id, name).await), expected);
        assert_eq!(code(profiles::rename(app, &ADMIN, default, name).await), expected);
    }
    let subject = PolicySubject::Profile(made.id);
    set(&world, subject, &[("quota", "5GB")]).await.expect("granted");
    let folder = folders::add(app, &ADMIN, subject, &draft("${home}/a", true)).await.expect("granted");
    let copy = profiles::copy(app, &ADMIN, made.id, "Marketing").await.expect("granted");
    let copied = PolicySubject::Profile(copy.id);
    assert_eq!(policy::values(app, &ADMIN, copied).await.expect("readable")[0].set.value.to_string(), "5GB");
    let folders_copied = folders::list(app, &ADMIN, copied).await.expect("readable");
    assert!(folders_copied.len() == 1 && folders_copied[0].id != folder.id && folders_copied[0].mandatory);
    profiles::assign(app, &ADMIN, copy.id, USER).await.expect("granted");
    assert_eq!(said(&policy::of_user(app, &ADMIN, USER).await.expect("readable"), Key::Quota), "5GB from profile");
    assert_eq!(code(profiles::remove(app, &ADMIN, copy.id).await), "profile_in_use");
    assert_eq!(code(profiles::remove(app, &ADMIN, default).await), "profile_default");
    profiles::remove(app, &ADMIN, made.id).await.expect("nobody has it");
    assert_eq!(code(profiles::get(app, &ADMIN, made.id).await), "profile_unknown");
    assert_eq!(code(folders::remove(app, &ADMIN, folder.id).await), "folder_unknown");
    let named = profiles::page(app, &ADMIN, Some("Marketing"), &PageAsk::first()).await.expect("readable");
    assert_eq!((named.items.len(), named.items[0].users), (1, Count(1)));
    assert_eq!(code(profiles::assign(app, &ADMIN, made.id, USER).await), "profile_unknown");
    assert_eq!(code(profiles::assign(app, &ADMIN, copy.id, UserId::from_bytes([9; 16])).await), "user_unknown");
    let names: Vec<String> = all(&world).await.into_iter().map(|profile| profile.name).collect();
    assert_eq!(names, ["Default", "Marketing"]);
}

#[tokio::test]
async fn a_preview_says_what_would_change_for_whom_and_changes_nothing() {
    let world = World::new().await;
    let (one, _two) = (world.device(1).await, world.device(2).await);
    let id = profile(&world).await;
    own_set(&world, &one, &[("interval", "1h")]).await.expect("granted");
    let preview = async |pairs| profiles::preview(&world.app, &ADMIN, id, &values(pairs)).await.expect("readable");
    let said = |preview: &profiles::Preview| -> Vec<String> {
        let line = |change: &profiles::Difference| {
            format!("{} {} to {}: {} {}", change.key, change.was, change.now, change.users, change.devices)
        };
        preview.differences.iter().map(line).collect()
    };
    let found = preview(&[("interval", "6h"), ("quota", "1GB")]).await;
    assert_eq!(said(&found), ["interval 4h to 6h: 1 1", "quota none to 1GB: 1 2"]);
    assert_eq!((found.users, found.devices), (Count(1), Count(2)));
    assert_eq!((found.users_changed, found.devices_changed), (Count(1), Count(2)));
    // A switch changes what follows from it.
    let found = preview(&[("user_may_change_interval", "no")]).await;
    assert_eq!(said(&found), ["interval 1h to 4h: 0 1", "user_may_change_interval yes to no: 1 2"]);
    assert_eq!(said(&preview(&[("interval", "4h"), ("quota", "")]).await), [""; 0]);
    assert_eq!(said(&preview(&[]).await), [""; 0]);
    assert_eq!(own(&world, &one).await.policy.from(Key::Quota), PolicyLevel::Default);
    let no = profiles::preview(&world.app, &ADMIN, id, &values(&[("support", "me")])).await;
    assert_eq!(code(no), "policy_level_wrong");
}

#[tokio::test]
async fn a_restart_keeps_the_default_profile_and_the_rules_of_activation_follow_the_policy() {
    let world = World::on_disk().await;
    let before = all(&world).await;
    set(&world, PolicySubject::Profile(before[0].id), &[("device_limit", "2")]).await.expect("granted");
    let world = world.reopened().await;
    let after = all(&world).await;
    assert_eq!((after.len(), after[0].id, after[0].is_default), (1, before[0].id, true));
    let mut tx = world.app.db.read().await.expect("readable");
    let rules = policy::activation_rules(&mut tx, USER).await.expect("readable");
    assert_eq!(rules.device_limit, Some(Count(2)));
}
