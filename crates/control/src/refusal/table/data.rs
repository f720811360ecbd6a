//! What was sent, what is stored, the server itself, and mail.
//! Refuses to do anything but hand its rows on: `table` joins the parts.

macro_rules! data {
    ([$($parts:ident)*] $($rows:tt)*) => { table! { @ [$($parts)*] $($rows)*
        // What was sent.

        /// The request is not one that this server understands.
        RequestMalformed,
            "request_malformed", Invalid, Never,
            "The server did not understand the request. Install an update of this program; \
             if that does not help, report it.";
        /// More items, or more bytes, than one request may carry.
        RequestTooLarge,
            "request_too_large", Invalid, Never,
            "The request is larger than the server accepts. Install an update of this program; \
             if that does not help, report it.";
        /// The manifest's trees name chunks that the repository does not have.
        MissingChunks {
            /// How many.
            count: Count
        },
            "missing_chunks", Conflict, WhenChanged,
            "The snapshot names {count} pieces of data that the server does not have. \
             The next backup sends them again.";
        /// Sent packs cannot be opened.
        PackDamaged,
            "pack_damaged", Damaged, WhenChanged,
            "A pack of data arrived damaged and was not stored. It is sent again; \
             if this repeats, check the computer's memory.";
        /// A pack was sealed for another run.
        PackNotOfRun,
            "pack_not_of_run", Damaged, Never,
            "A pack of data was made for another run and was not stored. The next backup sends it again.";
        /// The pack's bytes are not those that it is named after.
        PackNameMismatch,
            "pack_name_mismatch", Damaged, WhenChanged,
            "A pack of data does not match its name and was not stored. It is sent again; \
             if this repeats, check the network.";
        /// A chunk's bytes are not those that it is named after.
        ChunkNameMismatch,
            "chunk_name_mismatch", Damaged, WhenChanged,
            "A piece of data does not match its name, so its pack was not stored. \
             It is sent again; if this repeats, check the computer's memory.";
        /// A tree or list that cannot be parsed.
        TreeDamaged,
            "tree_damaged", Damaged, WhenChanged,
            "A folder's list of entries cannot be read, so its pack was not stored. The next backup makes it anew.";
        /// A tree or list names a chunk that neither the repository nor this run has.
        TreeNamesMissing {
            /// How many chunks.
            count: Count
        },
            "tree_names_missing", Damaged, WhenChanged,
            "A folder's list names {count} pieces of data that the server does not have, so its pack was not accepted. \
             The next backup sends them again.";
        /// The manifest cannot be opened or its signature is not the device's.
        ManifestDamaged,
            "manifest_damaged", Damaged, WhenChanged,
            "The record that closes the backup arrived damaged, so there is no new snapshot. \
             The next backup goes on from here.";
        /// The manifest opens, and does not tell the truth about its run, device or totals.
        ManifestMismatch,
            "manifest_mismatch", Damaged, WhenChanged,
            "The record that closes the backup does not match what was sent, so there is no new snapshot. \
             The next backup goes on from here.";

        // What is stored, and the server itself.

        /// A restore names a chunk that the repository does not have.
        ChunkNotFound {
            /// How many.
            count: Count
        },
            "chunk_not_found", NotFound, Never,
            "The server does not have {count} of the pieces of data asked for. \
             Restore from another snapshot, and tell your admin.";
        /// A stored object is not what was stored.
        StoredDataDamaged,
            "stored_data_damaged", Damaged, WhenChanged,
            "A piece of the stored data is damaged on the server. \
             Restore the rest or another snapshot, and tell your admin.";
        /// The store is full.
        StoreFull,
            "store_full", Unavailable, After(STORE_FULL_POLL),
            "The server has no space left for backups. Nothing stored is lost; \
             backups go on by themselves once there is space.";
        /// The server is busy or about to stop.
        ServerBusy {
            /// When to ask again.
            left: Span
        },
            "server_busy", Unavailable, After(*left),
            "The server is busy. Nothing is lost; the request can be repeated in {left}.";

        // Mail.

        /// An admin wants a message sent again that is not over, or that was sent.
        MailNotOver {
            /// Where it stands.
            status: &'static str
        },
            "mail_not_over", Conflict, WhenChanged,
            "Only a message that failed, or of which it is unclear whether it was sent, can be sent again; \
             this one is {status}.";
        /// The text of a message is gone, since it held a secret.
        MailWiped,
            "mail_wiped", Conflict, Never,
            "The text of this message held a secret and is not kept. Make a new link or a new ticket instead.";
        /// No mail server is set.
        MailOff,
            "mail_off", Refused, WhenChanged,
            "This server sends no mail: set mail.server and mail.from in its configuration first.";
    } };
}
pub(super) use data;
