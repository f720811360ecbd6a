//! The refusals, one entry each: name, fields, code, kind, retry, sentence. docs/control.md has the same list, tested.
//! Refuses a second place for any of the five: all functions over refusals are made from this table.

mod activation;
mod data;
mod device;
mod run;
mod who;

use self::{activation::activation, data::data, device::device, run::run, who::who};
use super::make::{Sample, refusals, table};
use base::Kind::{self, Conflict, Damaged, Invalid, NotFound, Refused, Unavailable};
use base::Retry::{self, After, Never, WhenChanged};
use base::{Bytes, Count, Span};

// The parts, in the order of docs/control.md.
table! { who device activation run data }

/// How often a device that waits for approval looks whether it was given.
const PENDING_POLL: Span = Span::minutes(5);

/// How often an unattended installation looks whether the reason for its refusal has passed.
const PROOF_POLL: Span = Span::minutes(15);

/// How long a caller waits for the answer to a request that it has sent already.
const IN_PROGRESS_POLL: Span = Span::seconds(1);

/// How long a device waits for space on the server before it looks again.
const STORE_FULL_POLL: Span = Span::minutes(15);
