//! What s3s-fs keeps in files, as S3 promises it: an object beside others that begin with its name and a slash, a
//! condition that holds for all who ask at once, listings in order, uploads that end.
//! Refuses every request that the store does not make.

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput, GetObjectInput,
    GetObjectOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output, PutObjectInput,
    PutObjectOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::RwLock;

/// Stands for the slash, so that every object is a file and none a folder; no key of the store has it.
const SLASH: &str = ":";

#[derive(Clone, Debug)]
pub(super) struct Shelf(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: FileSystem,
    folder: PathBuf,
    /// Held for writing while an object changes: s3s-fs looks first and writes then, and writes an object and what is
    /// stored with it one after the other.
    changing: RwLock<()>,
    ignore_whole: AtomicBool,
    ignore_parts: AtomicBool,
    page_keys_max: AtomicUsize,
    uploads: Mutex<HashSet<String>>,
}

impl Shelf {
    pub(super) fn new(folder: &Path) -> Self {
        Self(Arc::new(Inner {
            files: FileSystem::new(folder).expect("the folder is there"),
            folder: folder.to_owned(),
            changing: RwLock::new(()),
            ignore_whole: AtomicBool::new(false),
            ignore_parts: AtomicBool::new(false),
            page_keys_max: AtomicUsize::new(1_000),
            uploads: Mutex::default(),
        }))
    }

    pub(super) fn conditions_ignore(&self, whole: bool, parts: bool) {
        self.0.ignore_whole.store(whole, Ordering::Relaxed);
        self.0.ignore_parts.store(parts, Ordering::Relaxed);
    }

    pub(super) fn page_limit(&self, keys: usize) {
        self.0.page_keys_max.store(keys, Ordering::Relaxed);
    }

    pub(super) fn uploads_unfinished(&self) -> usize {
        self.uploads().len()
    }

    pub(super) fn keys(&self, bucket: &str) -> Vec<String> {
        let read = std::fs::read_dir(self.0.folder.join(bucket)).expect("the bucket's folder");
        let names = read.map(|found| found.expect("an entry").file_name().to_string_lossy().replace(SLASH, "/"));
        let mut keys: Vec<String> = names.collect();
        keys.sort();
        keys
    }

    pub(super) fn key_add(&self, bucket: &str, key: &str) {
        std::fs::write(self.0.folder.join(bucket).join(flat(key)), "").expect("the bucket's folder can be written");
    }

    fn uploads(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn upload_known(&self, id: &str) -> S3Result<()> {
        if self.uploads().contains(id) { Ok(()) } else { Err(s3_error!(NoSuchUpload)) }
    }

    fn bucket_known(&self, bucket: &str) -> S3Result<()> {
        if self.0.folder.join(bucket).is_dir() { Ok(()) } else { Err(s3_error!(NoSuchBucket)) }
    }
}

fn flat(key: &str) -> String {
    key.replace('/', SLASH)
}

#[async_trait::async_trait]
impl S3 for Shelf {
    async fn put_object(&self, mut request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let _changing = self.0.changing.write().await;
        self.bucket_known(&request.input.bucket)?;
        request.input.key = flat(&request.input.key);
        if self.0.ignore_whole.load(Ordering::Relaxed) {
            request.input.if_none_match = None;
        }
        self.0.files.put_object(request).await
    }

    async fn get_object(&self, mut request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let _reading = self.0.changing.read().await;
        self.bucket_known(&request.input.bucket)?;
        request.input.key = flat(&request.input.key);
        self.0.files.get_object(request).await
    }

    async fn head_object(&self, mut request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let _reading = self.0.changing.read().await;
        request.input.key = flat(&request.input.key);
        self.0.files.head_object(request).await
    }

    async fn delete_object(
        &self,
        mut request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let _changing = self.0.changing.write().await;
        request.input.key = flat(&request.input.key);
        self.0.files.delete_object(request).await
    }

    async fn list_objects_v2(
        &self,
        mut request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let _reading = self.0.changing.read().await;
        let limit = request.input.max_keys.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(1_000);
        let limit = limit.min(self.0.page_keys_max.load(Ordering::Relaxed));
        let token = request.input.continuation_token.take();
        let after = request.input.start_after.take().max(token).unwrap_or_default();
        request.input.prefix = request.input.prefix.as_deref().map(flat);
        request.input.max_keys = Some(i32::MAX);
        let mut response = self.0.files.list_objects_v2(request).await?;
        let mut objects = response.output.contents.take().unwrap_or_default();
        for object in &mut objects {
            object.key = object.key.as_deref().map(|key| key.replace(SLASH, "/"));
        }
        objects.retain(|object| object.key.as_deref().unwrap_or_default() > after.as_str());
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        let is_truncated = objects.len() > limit;
        objects.truncate(limit);
        response.output.next_continuation_token =
            objects.last().filter(|_| is_truncated).and_then(|object| object.key.clone());
        response.output.is_truncated = Some(is_truncated);
        response.output.contents = Some(objects);
        Ok(response)
    }

    async fn create_multipart_upload(
        &self,
        mut request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.bucket_known(&request.input.bucket)?;
        request.input.key = flat(&request.input.key);
        let response = self.0.files.create_multipart_upload(request).await?;
        self.uploads().extend(response.output.upload_id.clone());
        Ok(response)
    }

    async fn upload_part(&self, mut request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        self.upload_known(&request.input.upload_id)?;
        request.input.key = flat(&request.input.key);
        self.0.files.upload_part(request).await
    }

    async fn complete_multipart_upload(
        &self,
        mut request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let _changing = self.0.changing.write().await;
        self.upload_known(&request.input.upload_id)?;
        request.input.key = flat(&request.input.key);
        if self.0.ignore_parts.load(Ordering::Relaxed) {
            request.input.if_none_match = None;
        }
        let id = request.input.upload_id.clone();
        let response = self.0.files.complete_multipart_upload(request).await?;
        self.uploads().remove(&id);
        Ok(response)
    }

    async fn abort_multipart_upload(
        &self,
        mut request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.upload_known(&request.input.upload_id)?;
        request.input.key = flat(&request.input.key);
        let id = request.input.upload_id.clone();
        let response = self.0.files.abort_multipart_upload(request).await?;
        self.uploads().remove(&id);
        Ok(response)
    }
}
