//! What a device may try against the server, and the code with which each is refused. Nothing of it leaves a trace.

use super::world::{Draft, Run, World, code, directory, entry, noise, sample, totals};
use app::page::PageAsk;
use base::{Count, DeviceId, RepositoryId, RunId, SnapshotId};
use control::{Level, Rights, State};
use format::{
    ChunkKind, ChunkRef, Content, EntryBody, FrameSealer, IndexedChunk, ListRef, Manifest, NamingKey, ObjectHeader,
    PackBuilder, PackId, Page, Piece, RunKey, Totals, Tree, TreeBody,
};

type Change = fn(&mut Vec<u8>);

/// Every part of a pack, and what turning one bit of it, or cutting it, is called.
const TAMPERED: [(&str, Change, &str); 13] = [
    ("the magic word", |b| b[0] ^= 1, "pack_damaged"),
    ("the version", |b| b[6] ^= 2, "pack_damaged"),
    ("the key id", |b| b[8] ^= 1, "pack_not_of_run"),
    ("the reserved field", |b| b[12] ^= 1, "pack_damaged"),
    ("the run", |b| b[16] ^= 1, "pack_not_of_run"),
    ("the salt", |b| b[32] ^= 1, "pack_damaged"),
    ("the first frame", |b| b[64] ^= 1, "pack_damaged"),
    ("the index", |b| at_end(b, 40), "pack_damaged"),
    ("the tag of the index", |b| at_end(b, 9), "pack_damaged"),
    ("the length of the index", |b| at_end(b, 8), "pack_damaged"),
    ("the last magic word", |b| at_end(b, 1), "pack_damaged"),
    ("a byte that is missing", |b| b.truncate(b.len() - 1), "pack_damaged"),
    ("a byte too many", |b| b.push(0), "pack_damaged"),
];

fn at_end(bytes: &mut [u8], back: usize) {
    let at = bytes.len() - back;
    bytes[at] ^= 1;
}

#[tokio::test]
async fn a_tampered_pack_is_refused_whatever_part_was_changed_and_whatever_it_is_named() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    let (draft, root, _) = sample(&run.naming);
    let pack = run.pack(&draft);
    for (what, change, expected) in TAMPERED {
        let mut bytes = pack.bytes.clone();
        change(&mut bytes);
        assert_eq!(code(run.upload_bytes(pack.id, bytes.clone()).await), "pack_name_mismatch", "{what}");
        assert_eq!(code(run.upload_bytes(PackId::of(&bytes), bytes).await), expected, "{what}");
    }
    for (number, frame) in pack.index.frames().iter().enumerate() {
        let mut bytes = pack.bytes.clone();
        bytes[frame.range().end as usize - 1] ^= 0x80;
        assert_eq!(
            code(run.upload_bytes(PackId::of(&bytes), bytes).await),
            "pack_damaged",
            "the tag of frame {number}"
        );
    }
    for len in [0, 1, 63, 64, 71, 72, 80] {
        let bytes = pack.bytes[..len].to_vec();
        assert_eq!(code(run.upload_bytes(PackId::of(&bytes), bytes).await), "pack_damaged", "{len} bytes of it");
    }
    nothing_is_known(&world, &run, root).await;
}

async fn nothing_is_known(world: &World, run: &Run<'_>, root: ChunkRef) {
    assert_eq!(run.dedupe(&[root]).await.expect("open"), [true]);
    let listed = store::Store::list(world.store.as_ref(), "", None, 10).await.expect("memory does not fail");
    assert_eq!(listed, [], "nothing was stored");
}

#[tokio::test]
async fn a_chunk_under_another_name_is_refused_with_its_number() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    let (good, bad) = (noise(1, 100), noise(2, 100));
    let name = |bytes: &[u8]| run.naming.name(ChunkKind::Content, bytes);
    let chunk = |chunk| IndexedChunk { kind: ChunkKind::Content, chunk, len: 100 };
    // A chunk that would take the place of another for every device.
    let victim = name(&noise(3, 100));
    let frames = vec![
        (good.clone(), vec![chunk(name(&good))]),
        ([noise(4, 100), bad.clone()].concat(), vec![chunk(name(&noise(4, 100))), chunk(victim)]),
    ];
    let error = run.upload(&run.pack_as(frames)).await.expect_err("the name is another's");
    assert!(error.to_string().contains("chunk 1 of frame 1"), "{error}");
    assert_eq!(code::<()>(Err(error)), "chunk_name_mismatch");
    // The right bytes under the name that they would have as another kind.
    let as_tree = IndexedChunk { kind: ChunkKind::Content, chunk: run.naming.name(ChunkKind::Tree, &bad), len: 100 };
    assert_eq!(code(run.upload(&run.pack_as(vec![(bad, vec![as_tree])])).await), "chunk_name_mismatch");
    // A name made with a key that is not the repository's.
    let other = NamingKey::new(&base::Secret::new([5; 32])).name(ChunkKind::Content, &good);
    assert_eq!(code(run.upload(&run.pack_as(vec![(good, vec![chunk(other)])])).await), "chunk_name_mismatch");
    nothing_is_known(&world, &run, victim).await;
}

#[tokio::test]
async fn trees_and_lists_that_do_not_decode_are_refused_though_they_bear_their_right_names() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    for kind in [ChunkKind::Tree, ChunkKind::List] {
        let pack = run.pack_of(&[&[(ChunkKind::Content, noise(1, 50))], &[(kind, noise(2, 50))]]);
        assert_eq!(code(run.upload(&pack).await), "tree_damaged", "{kind:?}");
    }
}

#[tokio::test]
async fn a_pack_that_was_sealed_for_another_run_is_refused() {
    let world = World::new().await;
    let (one, two) = (world.device(1).await, world.device(2).await);
    let old = world.begin(&one).await;
    let (draft, root, sum) = sample(&old.naming);
    let pack = old.pack(&draft);
    let foreign = world.begin(&two).await;
    assert_eq!(code(foreign.upload(&pack).await), "pack_not_of_run", "another device's, before it is known");
    old.upload(&pack).await.expect("good");
    assert_eq!(code(foreign.upload(&pack).await), "pack_not_of_run", "another device's, when it is known");
    old.commit(&old.manifest(root, sum)).await.expect("all is there");
    let new = world.begin(&one).await;
    assert_eq!(code(new.upload(&pack).await), "pack_not_of_run", "its own, of a run before");
    assert_eq!(new.verify(&[pack.id]).await.expect("open"), [1]);
    // The header names this run, and the key is another one.
    let header = new.header();
    let sealer = FrameSealer::new(&RunKey::new(base::Secret::new([1; 32])), &header);
    let mut forged = PackBuilder::new(&header);
    let bytes = noise(1, 10);
    let chunk = IndexedChunk { kind: ChunkKind::Content, chunk: new.naming.name(ChunkKind::Content, &bytes), len: 10 };
    forged.push(&sealer.seal(0, &bytes, 3).expect("small"), vec![chunk]).expect("lengths add up");
    assert_eq!(code(new.upload(&forged.finish(&sealer).expect("small")).await), "pack_damaged");
}

#[tokio::test]
async fn a_foreign_run_is_as_unknown_as_one_that_does_not_exist() {
    let world = World::new().await;
    let (owner, thief) = (world.device(1).await, world.device(2).await);
    let run = world.begin(&owner).await;
    let (draft, root, sum) = sample(&run.naming);
    let pack = run.pack(&draft);
    let manifest = run.manifest(root, sum);
    let stolen = Run { world: &world, device: &thief, begun: run.begun.clone(), naming: run.naming.clone() };
    let mut unknown = run.begun.clone();
    unknown.run = RunId::from_bytes([0xee; 16]);
    let unknown = Run { world: &world, device: &owner, begun: unknown, naming: run.naming.clone() };
    for run in [&stolen, &unknown] {
        assert_eq!(code(run.dedupe(&[root]).await), "run_not_yours");
        assert_eq!(code(run.upload(&pack).await), "run_not_yours");
        assert_eq!(code(run.verify(&[pack.id]).await), "run_not_yours");
        assert_eq!(code(run.commit(&manifest).await), "run_not_yours");
        let abort = app::runs::abort(&world.app, &run.device.actor, run.id()).await;
        assert_eq!(code(abort), "run_not_yours");
    }
    run.upload(&pack).await.expect("it is still the owner's and open");
}

#[tokio::test]
async fn a_commit_before_its_uploads_is_refused_and_can_be_repeated_after_them() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    let (draft, root, sum) = sample(&run.naming);
    let manifest = run.seal(&run.manifest(root, sum));
    let error = run.commit_bytes(manifest.clone()).await.expect_err("nothing is there");
    assert!(error.to_string().contains("the root"), "{error}");
    assert_eq!(code::<()>(Err(error)), "tree_names_missing");
    run.upload(&run.pack(&draft)).await.expect("good");
    run.commit_bytes(manifest).await.expect("now it is");
}

/// Builds a root that does not hold, in this draft.
type Build = fn(&mut Draft) -> (ChunkRef, Totals);

/// Trees that name what is not there or lie about it, each with the code and what the sentence says of the place.
const UNCLOSED: [(&str, Build, &str, &str); 12] = [
    ("a chunk that is missing", missing_content, "tree_names_missing", "\"docs/note\""),
    ("a chunk of another length", wrong_length, "tree_names_missing", "\"note\""),
    ("a directory that is missing", missing_tree, "tree_names_missing", "\"gone\""),
    ("content as a directory", content_as_tree, "tree_names_missing", "\"dir\""),
    ("a list that is missing", missing_list, "tree_names_missing", "\"big\""),
    ("content missing from a list", missing_in_list, "tree_names_missing", "\"big\""),
    ("a tree as a list", tree_as_list, "tree_names_missing", "\"big\""),
    ("totals that are too large", large_totals, "manifest_mismatch", "\"docs\""),
    ("a list of other sums", lying_list, "manifest_mismatch", "\"big\""),
    ("totals of a fan that are too large", large_fan, "manifest_mismatch", "the root"),
    ("a page under another first name", page_out_of_place, "manifest_mismatch", "the root"),
    ("a fan as a page", fan_as_page, "manifest_mismatch", "the root"),
];

#[tokio::test]
async fn a_snapshot_whose_trees_do_not_hold_is_refused_with_the_place() {
    for (what, build, expected, place) in UNCLOSED {
        let world = World::new().await;
        let device = world.device(1).await;
        let run = world.begin(&device).await;
        let mut draft = Draft::new(&run.naming);
        let (root, sum) = build(&mut draft);
        run.upload(&run.pack(&draft)).await.expect("what is there is good");
        // Also the second time, when parts of it may be remembered.
        for _ in 0..2 {
            let error = run.commit(&run.manifest(root, sum)).await.expect_err(what);
            assert!(error.to_string().contains(place), "{what}: {error}");
            assert_eq!(code::<()>(Err(error)), expected, "{what}");
        }
        let page = app::snapshots::list(&world.app, &device.actor, &PageAsk::first()).await.expect("readable");
        assert_eq!(page.items, [], "{what}");
    }
}

fn missing_content(draft: &mut Draft) -> (ChunkRef, Totals) {
    let note = draft.file("note", &[b"here", b"not here"]);
    draft.contents.retain(|(_, bytes)| bytes != b"not here");
    let (docs, below) = draft.tree(vec![note], Totals::default());
    draft.tree(vec![directory("docs", docs)], below)
}

fn wrong_length(draft: &mut Draft) -> (ChunkRef, Totals) {
    let Piece::Data { chunk, .. } = draft.content(b"four") else { panic!("content is data") };
    let content = Content::Pieces(vec![Piece::Data { chunk, len: 5 }]);
    draft.tree(vec![entry("note", EntryBody::File { size: 5, content })], Totals::default())
}

fn missing_tree(draft: &mut Draft) -> (ChunkRef, Totals) {
    let gone = directory("gone", ChunkRef::from_bytes([7; 32]));
    draft.tree(vec![gone], Totals::default())
}

fn content_as_tree(draft: &mut Draft) -> (ChunkRef, Totals) {
    let Piece::Data { chunk, .. } = draft.content(b"four") else { panic!("content is data") };
    draft.tree(vec![directory("dir", chunk)], Totals::default())
}

fn missing_list(draft: &mut Draft) -> (ChunkRef, Totals) {
    let big = draft.file_of_lists("big", &[&[b"one"], &[b"two"]]);
    draft.trees.pop();
    draft.tree(vec![big], Totals::default())
}

fn missing_in_list(draft: &mut Draft) -> (ChunkRef, Totals) {
    let big = draft.file_of_lists("big", &[&[b"one"], &[b"two"]]);
    draft.contents.retain(|(_, bytes)| bytes != b"two");
    draft.tree(vec![big], Totals::default())
}

fn tree_as_list(draft: &mut Draft) -> (ChunkRef, Totals) {
    let (tree, _) = draft.tree(Vec::new(), Totals::default());
    let content = Content::Lists(vec![ListRef { list: tree, pieces: 1, bytes: 9 }]);
    let big = entry("big", EntryBody::File { size: 9, content });
    // The same chunk rightly as a directory beside it: the two must not be taken for one.
    draft.tree(vec![directory("a", tree), big], Totals::default())
}

fn large_totals(draft: &mut Draft) -> (ChunkRef, Totals) {
    // Of a leaf without directories, the format itself refuses it.
    let (empty, _) = draft.tree(Vec::new(), Totals::default());
    let (docs, below) = draft.tree(vec![directory("empty", empty)], totals(1, 1, 1_000));
    draft.tree(vec![directory("docs", docs)], below)
}

fn lying_list(draft: &mut Draft) -> (ChunkRef, Totals) {
    let mut big = draft.file_of_lists("big", &[&[b"one", b"two"]]);
    let EntryBody::File { size, content: Content::Lists(lists) } = &mut big.body else { panic!("it has lists") };
    (*size, lists[0].bytes) = (7, 7);
    draft.tree(vec![big], Totals::default())
}

fn large_fan(draft: &mut Draft) -> (ChunkRef, Totals) {
    let pages = ["a", "b"].map(|name| vec![draft.file(name, &[b"x"])]);
    let (fan, sum) = draft.fan(pages.into());
    let plain = &draft.trees.last().expect("the fan").1;
    let Tree { body, .. } = Tree::decode(plain).expect("ours");
    assert_eq!(draft.naming().name(ChunkKind::Tree, plain), fan);
    draft.trees.pop();
    draft.put(&Tree { totals: sum + totals(0, 0, 1), body })
}

fn page_out_of_place(draft: &mut Draft) -> (ChunkRef, Totals) {
    let pages = ["a", "b"].map(|name| vec![draft.file(name, &[b"x"])]);
    let (_, sum) = draft.fan(pages.into());
    let TreeBody::Fan(mut pages) = Tree::decode(&draft.trees.last().expect("the fan").1).expect("ours").body else {
        panic!("it is a fan")
    };
    pages[1].first = b"c".to_vec();
    draft.put(&Tree::fan(pages, sum))
}

fn fan_as_page(draft: &mut Draft) -> (ChunkRef, Totals) {
    let pages = ["a", "b"].map(|name| vec![draft.file(name, &[b"x"])]);
    let (fan, fan_sum) = draft.fan(pages.into());
    let (leaf, leaf_sum) = {
        let file = draft.file("z", &[b"x"]);
        draft.tree(vec![file], Totals::default())
    };
    let pages = vec![Page { first: b"a".to_vec(), tree: fan }, Page { first: b"z".to_vec(), tree: leaf }];
    draft.put(&Tree::fan(pages, fan_sum + leaf_sum))
}

#[tokio::test]
async fn a_page_that_is_known_as_a_directory_must_still_belong_where_it_is_named() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    let mut draft = Draft::new(&run.naming);
    let (one, two) = (draft.file("a", &[b"x"]), draft.file("b", &[b"x"]));
    let (one, one_sum) = draft.tree(vec![one], Totals::default());
    let (two, two_sum) = draft.tree(vec![two], Totals::default());
    let (both, sum) = draft.tree(vec![directory("one", one), directory("two", two)], one_sum + two_sum);
    run.upload(&run.pack(&draft)).await.expect("good");
    run.commit(&run.manifest(both, sum)).await.expect("both are whole, and remembered as such");
    let pages = |first: &str, second: &str| {
        let page = |first: &str, tree| Page { first: first.as_bytes().to_vec(), tree };
        Tree::fan(vec![page(first, one), page(second, two)], one_sum + two_sum)
    };
    for (second, is_good) in [("bb", false), ("b", true)] {
        let run = world.begin(&device).await;
        let mut draft = Draft::new(&run.naming);
        let (fan, sum) = draft.put(&pages("a", second));
        run.upload(&run.pack(&draft)).await.expect("it decodes");
        assert_eq!(run.commit(&run.manifest(fan, sum)).await.is_ok(), is_good, "{second}");
    }
}

/// Changes a manifest so that it does not tell the truth.
type Lie = fn(&mut Manifest);

const LIES: [(&str, Lie, &str); 6] = [
    ("another device", |m| m.device = DeviceId::from_bytes([9; 16]), "manifest_mismatch"),
    ("another repository", |m| m.repository = RepositoryId::from_bytes([9; 16]), "manifest_mismatch"),
    ("a parent that does not exist", |m| m.parent = Some(SnapshotId::from_bytes([9; 16])), "manifest_mismatch"),
    ("more entries", |m| m.totals.entries += Count(1), "manifest_mismatch"),
    ("more bytes", |m| m.totals.bytes += base::Bytes(1), "manifest_mismatch"),
    ("another root", |m| m.root = ChunkRef::from_bytes([9; 32]), "tree_names_missing"),
];

#[tokio::test]
async fn a_manifest_that_lies_or_was_changed_makes_no_snapshot() {
    let world = World::new().await;
    let (device, other) = (world.device(1).await, world.device(2).await);
    let (foreign, _) = world.backup(&other).await;
    let run = world.begin(&device).await;
    let (draft, root, sum) = sample(&run.naming);
    run.upload(&run.pack(&draft)).await.expect("good");
    for (what, lie, expected) in LIES {
        let mut manifest = run.manifest(root, sum);
        lie(&mut manifest);
        assert_eq!(code(run.commit(&manifest).await), expected, "{what}");
    }
    let mut manifest = run.manifest(root, sum);
    manifest.parent = Some(foreign);
    assert_eq!(code(run.commit(&manifest).await), "manifest_mismatch", "another device's snapshot as parent");
    manifest = run.manifest(root, sum);
    manifest.snapshot = foreign;
    assert_eq!(code(run.commit(&manifest).await), "manifest_mismatch", "the name of a snapshot that exists");

    let manifest = run.manifest(root, sum);
    let sealed = run.seal(&manifest).to_vec();
    for at in [0, 6, 8, 16, 40, 64, 130, sealed.len() - 1] {
        let mut bytes = sealed.clone();
        bytes[at] ^= 1;
        assert_eq!(code(run.commit_bytes(bytes.into()).await), "manifest_damaged", "byte {at}");
    }
    assert_eq!(code(run.commit_bytes(sealed[..sealed.len() - 1].to_vec().into()).await), "manifest_damaged");
    let key = run.begun.run_key.as_ref().expect("a backup has a key");
    let unsigned = manifest.seal(key, &run.header(), |_| [0; 64]).expect("small");
    assert_eq!(code(run.commit_bytes(unsigned.into()).await), "manifest_damaged", "a signature that is none");
    let by_other = Run { world: &world, device: &other, begun: run.begun.clone(), naming: run.naming.clone() };
    assert_eq!(
        code(run.commit_bytes(by_other.seal(&manifest)).await),
        "manifest_damaged",
        "another device's signature"
    );
    let header = ObjectHeader { run: RunId::from_bytes([3; 16]), ..run.header() };
    let of_other_run = manifest.seal(key, &header, |_| [0; 64]).expect("small");
    assert_eq!(code(run.commit_bytes(of_other_run.into()).await), "manifest_damaged", "sealed for another run");

    run.commit_bytes(sealed.into()).await.expect("as it was sealed, it is good");
}

#[tokio::test]
async fn a_manifest_of_a_run_before_makes_no_second_snapshot() {
    let world = World::new().await;
    let device = world.device(1).await;
    let old = world.begin(&device).await;
    let (draft, root, sum) = sample(&old.naming);
    old.upload(&old.pack(&draft)).await.expect("good");
    let manifest = old.seal(&old.manifest(root, sum));
    old.commit_bytes(manifest.clone()).await.expect("good");
    let new = world.begin(&device).await;
    assert_eq!(code(new.commit_bytes(manifest).await), "manifest_damaged");
}

#[tokio::test]
async fn a_device_that_was_cut_off_gets_its_states_refusal_everywhere() {
    let states = [
        (State::Deactivated { rights: Rights::Full, level: Level::Revoke }, "device_deactivated"),
        (State::Suspended { was: Box::new(State::Active { rights: Rights::Full }) }, "device_suspended"),
    ];
    for (state, expected) in states {
        let world = World::new().await;
        let mut device = world.device(1).await;
        let begun = world.begin(&device).await.begun;
        world.state_set(&mut device, state).await;
        let naming = NamingKey::new(&begun.naming_key);
        let run = Run { world: &world, device: &device, begun, naming };
        let (draft, root, sum) = sample(&run.naming);
        let pack = run.pack(&draft);
        assert_eq!(code(run.dedupe(&[root]).await), expected);
        assert_eq!(code(run.upload(&pack).await), expected);
        assert_eq!(code(run.verify(&[pack.id]).await), expected);
        assert_eq!(code(run.commit(&run.manifest(root, sum)).await), expected);
        let begin = app::runs::begin(&world.app, &device.actor, [1; 16], app::runs::Purpose::Backup).await;
        assert_eq!(code(begin), expected);
        assert_eq!(code(app::snapshots::list(&world.app, &device.actor, &PageAsk::first()).await), expected);
    }
}

#[tokio::test]
async fn too_many_names_in_one_request_are_refused() {
    let world = World::new().await;
    let device = world.device(1).await;
    let run = world.begin(&device).await;
    let most = vec![ChunkRef::from_bytes([1; 32]); 8_192];
    assert_eq!(run.dedupe(&most).await.expect("as many as may be").len(), 8_192);
    let more = vec![ChunkRef::from_bytes([1; 32]); 8_193];
    assert_eq!(code(run.dedupe(&more).await), "request_too_large");
    assert_eq!(code(run.verify(&vec![PackId::from_bytes([1; 32]); 8_193]).await), "request_too_large");
}
