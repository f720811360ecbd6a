//! Templates of messages: `/api/v1/templates`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A template, as it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Template {
    /// Its name.
    pub template: String,
    /// When a message is made of it, and for whom.
    pub meaning: String,
    /// The values that it may use.
    pub values: Vec<String>,
    /// The subject.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The HTML; empty when it is made from the text.
    pub html: String,
    /// When the organisation's own was set; `null` where the program's is used.
    pub set_at_ms: Option<i64>,
    /// By whom; `null` where the program's is used.
    pub set_by: Option<String>,
}

/// What a template is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateSet {
    /// The subject: one line.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The HTML; empty or absent to have it made from the text.
    #[serde(default)]
    pub html: String,
}

/// What is to be previewed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplatePreview {
    /// A template that is not kept; the one that is kept when it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draft: Option<TemplateSet>,
}

/// The message that a template makes of samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TemplateMessage {
    /// One line.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The same in HTML.
    pub html: String,
}
