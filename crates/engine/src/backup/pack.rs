//! Pack: compresses and seals chunks into frames, and frames into packs. Small chunks share a frame. Trees and lists
//! go into packs of their own, so that reading a snapshot's trees touches no content.

use super::{NewChunk, Plan};
use crate::ctx::Ctx;
use crate::error::EngineError;
use base::Bytes;
use format::{
    ChunkKind, FRAME_BYTES, FrameSealer, IndexedChunk, ObjectHeader, PACK_BYTES, PACK_LEVEL, PACK_PLAIN, PackBuilder,
    SealedFrame, SealedPack,
};
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc::{Receiver, Sender};

/// Frames that are sealed side by side.
const FRAMES_MAX: usize = 4;

pub(super) async fn fill(
    ctx: &Ctx,
    plan: &Plan,
    mut missing: Receiver<Vec<NewChunk>>,
    packs: Sender<SealedPack>,
) -> Result<(), EngineError> {
    let mut content = Lane::new(ctx, plan);
    let mut trees = Lane::new(ctx, plan);
    let mut is_open = true;
    while is_open || content.is_busy() || trees.is_busy() {
        let is_room = content.sealing.len() + trees.sealing.len() < FRAMES_MAX;
        tokio::select! {
            biased;
            Some(frame) = content.sealing.next(), if content.is_busy() => content.take(frame, &packs).await?,
            Some(frame) = trees.sealing.next(), if trees.is_busy() => trees.take(frame, &packs).await?,
            batch = missing.recv(), if is_open && is_room => {
                is_open = batch.is_some();
                for chunk in batch.into_iter().flatten() {
                    let lane = if chunk.kind == ChunkKind::Content { &mut content } else { &mut trees };
                    lane.add(chunk);
                }
                if !is_open {
                    content.seal_group();
                    trees.seal_group();
                }
            }
        }
    }
    content.close_pack(&packs).await?;
    trees.close_pack(&packs).await
}

/// One kind of packs on the way.
struct Lane<'a> {
    ctx: &'a Ctx,
    plan: &'a Plan,
    group: Vec<NewChunk>,
    group_bytes: usize,
    pack: Option<OpenPack>,
    sealing: FuturesOrdered<BoxFuture<'static, Sealed>>,
}

/// A frame that was sealed, with what is in it.
type Sealed = Result<(SealedFrame, Vec<IndexedChunk>), EngineError>;

struct OpenPack {
    builder: PackBuilder,
    sealer: FrameSealer,
    frames: u32,
}

impl<'a> Lane<'a> {
    fn new(ctx: &'a Ctx, plan: &'a Plan) -> Self {
        Self { ctx, plan, group: Vec::new(), group_bytes: 0, pack: None, sealing: FuturesOrdered::new() }
    }

    fn is_busy(&self) -> bool {
        !self.sealing.is_empty()
    }

    fn add(&mut self, chunk: NewChunk) {
        if self.group_bytes + chunk.plain.len() > FRAME_BYTES.0 as usize {
            self.seal_group();
        }
        self.group_bytes += chunk.plain.len();
        self.group.push(chunk);
        if self.group_bytes >= FRAME_BYTES.0 as usize {
            self.seal_group();
        }
    }

    /// Sends the open group to be sealed for the open pack. ORDER: a frame's number is its place in the pack, and its
    /// nonce, so it is given here, before any frame is sealed beside it.
    fn seal_group(&mut self) {
        if self.group.is_empty() {
            return;
        }
        let group = std::mem::take(&mut self.group);
        self.group_bytes = 0;
        let (ctx, plan) = (self.ctx, self.plan);
        let pack = self.pack.get_or_insert_with(|| {
            let header = ObjectHeader::mint(plan.key_id, plan.run, &*ctx.entropy);
            let sealer = FrameSealer::new(&plan.run_key, &header);
            OpenPack { builder: PackBuilder::new(&header), sealer, frames: 0 }
        });
        let (sealer, number) = (pack.sealer.clone(), pack.frames);
        pack.frames += 1;
        let cpu = ctx.cpu.clone();
        self.sealing.push_back(async move { cpu.run(move || seal(&sealer, number, &group)).await }.boxed());
    }

    /// Puts a sealed frame into the open pack, and closes the pack when it is long enough.
    async fn take(&mut self, sealed: Sealed, packs: &Sender<SealedPack>) -> Result<(), EngineError> {
        if !self.push(sealed?)? {
            return Ok(());
        }
        // What is being sealed is sealed for this pack, so it still goes in: a few frames above the size.
        while let Some(sealed) = self.sealing.next().await {
            self.push(sealed?)?;
        }
        self.close_pack(packs).await
    }

    /// Puts a sealed frame into the open pack. Whether the pack is long enough then.
    fn push(&mut self, (frame, chunks): (SealedFrame, Vec<IndexedChunk>)) -> Result<bool, EngineError> {
        let pack = self.pack.as_mut().expect("the pack for which the frame was sealed is open until it is closed here");
        pack.builder.push(&frame, chunks).map_err(damaged_pack)?;
        let is_long = Bytes::of(pack.builder.bytes_len()) >= PACK_BYTES.min(Bytes(self.plan.limits.pack_bytes.0 / 2));
        Ok(is_long || pack.builder.plain_len() >= PACK_PLAIN.0)
    }

    async fn close_pack(&mut self, packs: &Sender<SealedPack>) -> Result<(), EngineError> {
        let Some(OpenPack { builder, sealer, .. }) = self.pack.take() else { return Ok(()) };
        let sealed = self.ctx.cpu.run(move || builder.finish(&sealer)).await;
        let mut sealed = sealed.map_err(damaged_pack)?;
        // It has grown by doubling, and waits for its upload now, up to five of them: without what it has not filled.
        sealed.bytes.shrink_to_fit();
        // A closed queue means that a later step ended with an error, which is the one to report.
        if packs.send(sealed).await.is_err() {
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

fn seal(sealer: &FrameSealer, number: u32, group: &[NewChunk]) -> Sealed {
    let chunks = group
        .iter()
        .map(|chunk| IndexedChunk { kind: chunk.kind, chunk: chunk.chunk, len: chunk.plain.len() as u32 })
        .collect();
    let sealed = match group {
        [single] => sealer.seal(number, &single.plain, PACK_LEVEL),
        several => {
            let plains: Vec<&[u8]> = several.iter().map(|chunk| &chunk.plain[..]).collect();
            sealer.seal(number, &plains.concat(), PACK_LEVEL)
        }
    };
    Ok((sealed.map_err(damaged_pack)?, chunks))
}

fn damaged_pack(cause: format::Error) -> EngineError {
    EngineError::Format { what: "pack", cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::Cpu;
    use base::{DeviceId, ManualClock, RepositoryId, RunId, Secret, SeededEntropy, SnapshotId, Timestamp};
    use format::{ChunkRef, NamingKey, RunKey, limits};
    use std::collections::HashSet;
    use std::sync::Arc;
    use tokio::sync::mpsc::channel;

    fn ctx() -> Ctx {
        let (clock, entropy) = (ManualClock::at(Timestamp::from_ms(0)), SeededEntropy::new(1));
        Ctx { cpu: Cpu::inline(), clock: Arc::new(clock), entropy: Arc::new(entropy), progress: Arc::default() }
    }

    fn plan() -> Plan {
        Plan {
            folders: Vec::new(),
            run: RunId::from_bytes([1; 16]),
            snapshot: SnapshotId::from_bytes([2; 16]),
            device: DeviceId::from_bytes([3; 16]),
            repository: RepositoryId::from_bytes([4; 16]),
            naming: NamingKey::new(&Secret::new([5; 32])),
            run_key: RunKey::new(Secret::new([6; 32])),
            key_id: 1,
            parent: None,
            facts: crate::backup::Facts {
                device_name: String::new(),
                os: String::new(),
                agent: String::new(),
                partial: false,
            },
            limits: crate::backup::Limits { pack_bytes: limits::PACK_BYTES_MAX, uploads: 1, refs: 1 },
            sign: Arc::new(|_| [0; 64]),
        }
    }

    fn chunk(number: u32, kind: ChunkKind, plain: &bytes::Bytes) -> NewChunk {
        let mut name = [0; 32];
        name[..4].copy_from_slice(&number.to_le_bytes());
        NewChunk { kind, chunk: ChunkRef::from_bytes(name), plain: plain.clone() }
    }

    /// The packs that these chunks become, `batch` of them at a time.
    fn filled(chunks: Vec<NewChunk>, batch: usize) -> Vec<SealedPack> {
        let (ctx, plan) = (ctx(), plan());
        let (missing_tx, missing_rx) = channel(1);
        let (packs_tx, mut packs_rx) = channel(1);
        let hand_on = async move {
            let mut chunks = chunks.into_iter().peekable();
            while chunks.peek().is_some() {
                missing_tx.send(chunks.by_ref().take(batch).collect()).await.expect("the packs are filled");
            }
        };
        let collect = async move {
            let mut packs = Vec::new();
            while let Some(pack) = packs_rx.recv().await {
                packs.push(pack);
            }
            packs
        };
        let all = async { tokio::join!(hand_on, fill(&ctx, &plan, missing_rx, packs_tx), collect) };
        let ((), filled, packs) = futures::executor::block_on(all);
        filled.expect("every chunk fits");
        packs
    }

    #[test]
    fn content_that_compresses_to_nothing_does_not_make_a_pack_that_nobody_may_open() {
        let zeroes = bytes::Bytes::from(vec![0; 4 << 20]);
        let packs = filled((0..600).map(|number| chunk(number, ChunkKind::Content, &zeroes)).collect(), 2);
        let plain: Vec<u64> = packs.iter().map(|pack| pack.index.plain_len()).collect();
        assert_eq!(plain.iter().sum::<u64>(), 600 << 22);
        assert!(plain.iter().all(|plain| *plain <= limits::PACK_PLAIN_MAX.0 / 2), "{plain:?}");
    }

    #[test]
    fn every_chunk_is_in_one_pack_and_small_ones_share_frames() {
        let plain = bytes::Bytes::from(vec![7; 3_000]);
        let kind = |number: u32| if number.is_multiple_of(10) { ChunkKind::Tree } else { ChunkKind::Content };
        let packs = filled((0..5_000).map(|number| chunk(number, kind(number), &plain)).collect(), 100);
        assert_eq!(packs.len(), 2);
        let mut seen = HashSet::new();
        for pack in &packs {
            let kinds: HashSet<ChunkKind> = pack.index.chunks().map(|(_, _, chunk)| chunk.kind).collect();
            assert_eq!(kinds.len(), 1, "trees and content are kept apart");
            assert!(pack.index.chunks().all(|(_, _, chunk)| seen.insert(chunk.chunk)));
            let (last, full) = pack.index.frames().split_last().expect("a pack has a frame");
            assert!(full.iter().all(|frame| frame.chunks.len() as u64 == FRAME_BYTES.0 / 3_000));
            assert!(u64::from(last.plain_len) <= FRAME_BYTES.0);
        }
        assert_eq!(seen.len(), 5_000);
    }
}
