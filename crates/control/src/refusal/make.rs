//! Makes the functions over refusals out of their table, so that none of a row's parts has a second place.
//! Refuses a refusal without all five: name, code, kind, retry, sentence.

use base::{Bytes, Count, Span};

macro_rules! refusals {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident $({ $($(#[doc = $field_doc:literal])+ $field:ident: $type:ty),+ })?,
        $code:literal, $kind:ident, $retry:expr, $sentence:literal;
    )+) => {
        /// A domain "no". The code is stable; the sentence may be improved from release to release.
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Refusal {
            $($(#[doc = $doc])+ $name $({ $($(#[doc = $field_doc])+ $field: $type),+ })?,)+
        }

        impl Refusal {
            /// Every code, in the order of docs/control.md, with its sentence: a field's name in braces stands for
            /// the field's value.
            pub const ALL: &[(&'static str, &'static str)] = &[$(($code, $sentence)),+];

            /// The stable code, snake_case. Never fails.
            pub const fn code(&self) -> &'static str {
                match self {
                    $(Refusal::$name $({ $($field: _),+ })? => $code,)+
                }
            }

            /// What happened, what to do, and whether asking again helps, for the person who asked. Never fails.
            pub fn sentence(&self) -> String {
                match self {
                    $(Refusal::$name $({ $($field),+ })? => {
                        // A field may be for the program alone.
                        $($(let _ = $field;)+)?
                        format!($sentence)
                    })+
                }
            }

            /// What the caller can do about it. Never fails.
            pub const fn kind(&self) -> Kind {
                match self {
                    $(Refusal::$name $({ $($field: _),+ })? => $kind,)+
                }
            }

            /// Whether and when the same request may be granted. Never fails.
            #[allow(unused_variables, reason = "a row's fields are there for its sentence; few rows' spans need them")]
            pub const fn retry(&self) -> Retry {
                match self {
                    $(Refusal::$name $({ $($field),+ })? => $retry,)+
                }
            }

            /// One of each, in the order of `ALL`, with zeros and dots for values: for the tests of whoever must
            /// treat every refusal. Never fails.
            pub fn samples() -> Vec<Refusal> {
                vec![$(Refusal::$name $({ $($field: Sample::SAMPLE),+ })?),+]
            }
        }
    };
}
pub(super) use refusals;

/// Joins the parts of the table in their order: each is a macro that hands on its rows, after those before it.
macro_rules! table {
    ($($parts:ident)+) => { table! { @ [$($parts)+] } };
    (@ [$part:ident $($parts:ident)*] $($rows:tt)*) => { $part! { [$($parts)*] $($rows)* } };
    (@ [] $($rows:tt)+) => { refusals! { $($rows)+ } };
}
pub(super) use table;

/// A value for `Refusal::samples`.
pub(super) trait Sample {
    /// Zero, or dots.
    const SAMPLE: Self;
}

impl Sample for Bytes {
    const SAMPLE: Self = Bytes(0);
}

impl Sample for Count {
    const SAMPLE: Self = Count(0);
}

impl Sample for Span {
    const SAMPLE: Self = Span::ZERO;
}

impl Sample for String {
    const SAMPLE: Self = String::new();
}

impl Sample for &'static str {
    const SAMPLE: Self = "…";
}
