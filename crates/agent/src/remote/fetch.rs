//! The stream of parcels of one `fetch`, put together from as many answers as it takes: a connection that breaks is
//! asked again for what has not come. Refuses parcels that were not asked for, or that come twice.

use super::Connection;
use super::http::Call;
use super::retry::Failed;
use super::wire;
use base::Span;
use bytes::Bytes;
use engine::{Parcel, RemoteError};
use format::{ChunkRef, Codec};
use futures::stream::{self, BoxStream, StreamExt};
use protocol::agent::fetch::ParcelReader;
use reqwest::Response;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// How long one answer may take in all.
const ANSWER_SPAN: Span = Span::minutes(30);
/// How long an answer may stand still before it is taken for cut.
const SILENCE_SPAN: Duration = Duration::from_secs(60);

/// The parcels of these refs; the first answer has begun when this returns.
///
/// # Errors
/// No answer, or a refusal.
pub(super) async fn parcels(
    connection: Arc<Connection>,
    path: String,
    refs: Vec<ChunkRef>,
    refs_max: usize,
) -> Result<BoxStream<'static, Result<Parcel, RemoteError>>, RemoteError> {
    let waiting = (0..refs.len()).collect::<Vec<_>>().chunks(refs_max).map(<[usize]>::to_vec).collect();
    let mut fetching = Fetching { connection, path, refs, waiting, answer: None };
    fetching.begin().await?;
    let parcels = stream::try_unfold(fetching, |mut fetching| async move {
        Ok(fetching.next().await?.map(|parcel| (parcel, fetching)))
    });
    Ok(parcels.boxed())
}

struct Fetching {
    connection: Arc<Connection>,
    path: String,
    refs: Vec<ChunkRef>,
    /// What is still to be asked for, a request each: places in `refs`.
    waiting: VecDeque<Vec<usize>>,
    answer: Option<Answer>,
}

/// An answer under way.
struct Answer {
    response: Response,
    reader: ParcelReader,
    /// The places in `refs` that were asked for, in the order of the request; `None` once delivered.
    asked: Vec<Option<usize>>,
}

/// What a step of reading came to.
enum Step {
    Parcel(Parcel),
    Ended,
}

impl Fetching {
    /// The next parcel; `None` at the end of the last answer. An answer that breaks is asked for again.
    async fn next(&mut self) -> Result<Option<Parcel>, RemoteError> {
        let connection = Arc::clone(&self.connection);
        let mut waits = connection.retry.begin();
        loop {
            if self.answer.is_none() {
                self.begin().await?;
            }
            let Some(answer) = &mut self.answer else { return Ok(None) };
            match answer.step(&connection).await {
                Ok(Step::Parcel(parcel)) => return Ok(Some(parcel)),
                Ok(Step::Ended) => self.answer = None,
                Err(failed) => {
                    let rest: Vec<usize> = answer.asked.iter().copied().flatten().collect();
                    self.answer = None;
                    // Everything came, and only the end did not: there is nothing to ask for.
                    if rest.is_empty() && failed.again.is_some() {
                        continue;
                    }
                    waits.after(failed).await?;
                    self.waiting.push_front(rest);
                }
            }
        }
    }

    /// Asks for the next batch, if there is one.
    async fn begin(&mut self) -> Result<(), RemoteError> {
        let Some(batch) = self.waiting.pop_front() else { return Ok(()) };
        let names = wire::names(batch.iter().map(|place| self.refs[*place].as_bytes()));
        let call = Call { span: ANSWER_SPAN, ..wire::post_bytes(&*self.path, names) };
        let connection = Arc::clone(&self.connection);
        let mut waits = connection.retry.begin();
        let response = loop {
            match connection.attempt(&call).await {
                Ok(response) => break response,
                Err(failed) => waits.after(failed).await?,
            }
        };
        let asked = batch.into_iter().map(Some).collect();
        self.answer = Some(Answer { response, reader: ParcelReader::default(), asked });
        Ok(())
    }
}

impl Answer {
    async fn step(&mut self, connection: &Connection) -> Result<Step, Failed> {
        loop {
            let damaged = |why: &str| Failed::for_good(connection.http.damaged(why));
            if let Some(parcel) = self.reader.next_parcel().map_err(|error| damaged(&error.to_string()))? {
                return self.deliver(parcel).map(Step::Parcel).ok_or_else(|| damaged("chunks that were not asked for"));
            }
            let read = connection.http.read_some(&mut self.response, &connection.meter);
            let bytes = match tokio::time::timeout(SILENCE_SPAN, read).await {
                Ok(read) => read?,
                Err(_) => return Err(self.cut(connection)),
            };
            match bytes {
                Some(bytes) => self.reader.push(&bytes),
                None if self.reader.is_complete() => return Ok(Step::Ended),
                None => return Err(self.cut(connection)),
            }
        }
    }

    /// The parcel with the places of the whole request; `None` when it names what was not asked for, or twice.
    fn deliver(&mut self, parcel: protocol::agent::fetch::Parcel) -> Option<Parcel> {
        let mut chunks = Vec::with_capacity(parcel.chunks.len());
        for chunk in &parcel.chunks {
            let place = self.asked.get_mut(chunk.position as usize)?.take()?;
            chunks.push((u32::try_from(place).ok()?, chunk.len));
        }
        let codec = Codec::from_u8(parcel.codec)?;
        Some(Parcel { codec, plain_len: parcel.plain_len, chunks, bytes: Bytes::from(parcel.bytes) })
    }

    fn cut(&self, connection: &Connection) -> Failed {
        let error = connection.http.damaged("it was cut off");
        Failed::for_now(RemoteError::new("server_unreachable", error.sentence, base::Kind::Unavailable))
    }
}
