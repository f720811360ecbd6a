//! `profile folder list|add|change|remove`.

use super::super::named;
use crate::client::{Client, Said};
use crate::out::{Answer, Failure, table};
use clap::{Args, Subcommand};
use protocol::admin::Nothing;
use protocol::admin::policy::{Folder as Wire, FolderSet, Folders};
use protocol::admin::profile::Profile;

/// What can be asked about a profile's folders. FOLDER is a path or an identifier.
#[derive(Debug, Subcommand)]
pub enum Folder {
    /// List the folders of a profile.
    List {
        /// The profile's name or identifier.
        profile: String,
    },
    /// Add a folder to a profile.
    Add {
        /// The profile's name or identifier.
        profile: String,
        /// Absolute, or beginning with ${home}, ${documents} or ${desktop}.
        path: String,
        /// What it says.
        #[command(flatten)]
        said: FolderSaid,
    },
    /// Change what a folder of a profile says; what is not given stays.
    Change {
        /// The profile's name or identifier.
        profile: String,
        /// The folder's path or identifier.
        folder: String,
        /// Another path.
        #[arg(long)]
        path: Option<String>,
        /// What it says.
        #[command(flatten)]
        said: FolderSaid,
    },
    /// Remove a folder from a profile; what was backed up of it stays.
    Remove {
        /// The profile's name or identifier.
        profile: String,
        /// The folder's path or identifier.
        folder: String,
    },
}

/// What a folder says.
#[derive(Debug, Args)]
pub struct FolderSaid {
    /// The system that it is for: any, linux, windows, macos.
    #[arg(long)]
    os: Option<String>,
    /// Whether users may not take it out.
    #[arg(long, value_name = "YES|NO", num_args = 0..=1, default_missing_value = "yes", value_parser = ["yes", "no"])]
    mandatory: Option<String>,
    /// Only what matches this pattern; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    include: Option<Vec<String>>,
    /// Nothing that matches this pattern; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    exclude: Option<Vec<String>>,
}

impl Folder {
    pub(super) async fn answer(self, client: &Client) -> Result<Answer, Failure> {
        match self {
            Folder::List { profile } => {
                let said = list(client, &profile).await?;
                Ok(Answer::good(shown(&said.value), said.json))
            }
            Folder::Add { profile, path, said } => {
                let empty = FolderSet { os: None, path, mandatory: false, include: Vec::new(), exclude: Vec::new() };
                let address = format!("/profiles/{}/folders", named::id::<Profile>(client, &profile).await?);
                let added: Said<Wire> = client.post(&address, &over(empty, said)).await?;
                Ok(Answer::good(format!("added {} ({})\n", added.value.path, added.value.folder.0), added.json))
            }
            Folder::Change { profile, folder, path, said } => {
                let Wire { folder, os, path: before, mandatory, include, exclude, .. } =
                    found(client, &profile, &folder).await?;
                let path = path.unwrap_or(before);
                let body = FolderSet { os: Some(os), path, mandatory, include, exclude };
                let address = format!("/folders/{}", folder.0);
                let changed: Said<Wire> = client.change("PUT", &address, &over(body, said)).await?;
                Ok(Answer::good(shown(&Folders { items: vec![changed.value] }), changed.json))
            }
            Folder::Remove { profile, folder } => {
                let found = found(client, &profile, &folder).await?;
                let address = format!("/folders/{}", found.folder.0);
                let said: Said<Nothing> = client.change("DELETE", &address, &Nothing {}).await?;
                Ok(Answer::good(format!("removed {} ({})\n", found.path, found.folder.0), said.json))
            }
        }
    }
}

/// Folders as a table. Never fails.
pub(super) fn shown(folders: &Folders) -> String {
    if folders.items.is_empty() {
        return "no folders\n".to_owned();
    }
    let row = |folder: &Wire| {
        let mandatory = if folder.mandatory { "yes" } else { "no" };
        let list = |patterns: &[String]| if patterns.is_empty() { "-".to_owned() } else { patterns.join(" ") };
        let (include, exclude) = (list(&folder.include), list(&folder.exclude));
        vec![folder.path.clone(), folder.os.clone(), mandatory.to_owned(), include, exclude]
    };
    let rows: Vec<Vec<String>> = folders.items.iter().map(row).collect();
    table(&["FOLDER", "SYSTEM", "MANDATORY", "INCLUDE", "EXCLUDE"], &rows)
}

fn over(body: FolderSet, said: FolderSaid) -> FolderSet {
    let FolderSaid { os, mandatory, include, exclude } = said;
    FolderSet {
        os: os.or(body.os),
        path: body.path,
        mandatory: mandatory.map_or(body.mandatory, |word| word == "yes"),
        include: include.unwrap_or(body.include),
        exclude: exclude.unwrap_or(body.exclude),
    }
}

async fn list(client: &Client, profile: &str) -> Result<Said<Folders>, Failure> {
    client.get(&format!("/profiles/{}/folders", named::id::<Profile>(client, profile).await?), &()).await
}

async fn found(client: &Client, profile: &str, folder: &str) -> Result<Wire, Failure> {
    let folders = list(client, profile).await?.value.items;
    let mut fitting = folders.into_iter().filter(|other| other.path == folder || other.folder.0.to_string() == folder);
    let shown = folder.escape_debug();
    match (fitting.next(), fitting.next()) {
        (Some(found), None) => Ok(found),
        (None, _) => Err(Failure::new(
            "folder_unknown",
            format!("The profile has no folder \"{shown}\": `profile folder list` shows all."),
        )),
        (Some(_), Some(_)) => {
            let sentence = format!("More than one folder is called \"{shown}\": give its identifier.");
            Err(Failure::new("name_ambiguous", sentence))
        }
    }
}
