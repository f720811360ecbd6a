//! `template list|show|set|reset|preview`.

use super::{Desk, read_text, words};
use crate::client::{Said, encoded};
use crate::out::{Answer, Failure, card, table};
use base::Timestamp;
use clap::Subcommand;
use protocol::admin::template::{Template as Wire, TemplateMessage, TemplatePreview, TemplateSet};
use protocol::admin::{Nothing, PageQuery};
use std::path::{Path, PathBuf};

/// What can be asked about templates. docs/mail.md lists their values.
#[derive(Debug, Subcommand)]
pub enum Template {
    /// List the templates of messages.
    List,
    /// Show one template, as it is used.
    Show {
        /// Its name.
        template: String,
    },
    /// Set the organisation's own template, for messages from now on.
    Set {
        /// Its name.
        template: String,
        /// The subject.
        #[arg(long)]
        subject: String,
        /// The file with the plain text.
        #[arg(long, value_name = "FILE")]
        text_file: PathBuf,
        /// The file with the HTML; made from the text when it is not given.
        #[arg(long, value_name = "FILE")]
        html_file: Option<PathBuf>,
    },
    /// Use the program's own template again.
    Reset {
        /// Its name.
        template: String,
    },
    /// Show the message that a template makes of samples; nothing is sent or kept.
    Preview {
        /// Its name.
        template: String,
        /// Show the HTML instead of the text.
        #[arg(long)]
        html: bool,
        /// A subject that is not kept yet.
        #[arg(long, requires = "text_file")]
        subject: Option<String>,
        /// A file with a text that is not kept yet.
        #[arg(long, value_name = "FILE", requires = "subject")]
        text_file: Option<PathBuf>,
        /// A file with HTML that is not kept yet.
        #[arg(long, value_name = "FILE", requires = "text_file")]
        html_file: Option<PathBuf>,
    },
}

impl Template {
    pub(super) async fn answer(self, desk: &Desk) -> Result<Answer, Failure> {
        let client = desk.client().await?;
        let path = |name: &str| format!("/templates/{}", encoded(name));
        match self {
            Template::List => {
                let Said { value, json } = client.list::<Wire>("/templates", &PageQuery::default()).await?;
                let rows: Vec<Vec<String>> = value.into_iter().map(row).collect();
                Ok(Answer::good(table(&["TEMPLATE", "SET", "WHEN"], &rows), json))
            }
            Template::Show { template } => {
                let Said { value, json } = client.get::<Wire>(&path(&template), &()).await?;
                Ok(Answer::good(text(&value), json))
            }
            Template::Set { template, subject, text_file, html_file } => {
                let body = wanted(subject, &text_file, html_file.as_deref())?;
                let Said { value, json } = client.change::<Wire>("PUT", &path(&template), &body).await?;
                Ok(Answer::good(format!("the template {} is set\n", value.template), json))
            }
            Template::Reset { template } => {
                let Said { value, json } = client.change::<Wire>("DELETE", &path(&template), &Nothing {}).await?;
                Ok(Answer::good(format!("the template {} is the program's own\n", value.template), json))
            }
            Template::Preview { template, html, subject, text_file, html_file } => {
                let draft = match (subject, text_file) {
                    (Some(subject), Some(text)) => Some(wanted(subject, &text, html_file.as_deref())?),
                    _ => None,
                };
                let path = format!("{}/preview", path(&template));
                let Said { value, json } = client.post::<TemplateMessage>(&path, &TemplatePreview { draft }).await?;
                let shown = if html { value.html } else { format!("Subject: {}\n\n{}", value.subject, value.text) };
                Ok(Answer::good(shown, json))
            }
        }
    }
}

fn wanted(subject: String, text_file: &Path, html_file: Option<&Path>) -> Result<TemplateSet, Failure> {
    let html = html_file.map(read_text).transpose()?.unwrap_or_default();
    Ok(TemplateSet { subject, text: read_text(text_file)?, html })
}

fn row(template: Wire) -> Vec<String> {
    let set = words::time_maybe(template.set_at_ms.map(Timestamp::from_ms));
    vec![template.template, set, template.meaning]
}

fn text(template: &Wire) -> String {
    let head = card(&[
        ("template", template.template.clone()),
        ("when", template.meaning.clone()),
        ("values", template.values.join(", ")),
        ("set", words::time_maybe(template.set_at_ms.map(Timestamp::from_ms))),
        ("by", template.set_by.clone().unwrap_or_else(|| "-".to_owned())),
        ("subject", template.subject.clone()),
    ]);
    let html = if template.html.is_empty() { String::new() } else { format!("\n{}", template.html) };
    format!("{head}\n{}{html}", template.text)
}
