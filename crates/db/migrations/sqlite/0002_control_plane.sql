-- The control plane: profiles and policies, proofs, campaigns, conflicts, mail, credentials of the admin API.
-- Switches are 0 or 1; lists in a TEXT are separated by a newline unless said otherwise.

-- What the organisation has set for itself: the password rules. Absent means the default.
CREATE TABLE setting (
    key    TEXT PRIMARY KEY,
    value  TEXT NOT NULL,
    set_at BIGINT NOT NULL,
    set_by TEXT NOT NULL
);

-- ---------------------------------------------------------------------------------------------------- policies

CREATE TABLE profile (
    id         BLOB PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    is_default BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    -- Grows with every change of the profile, its values or its folders.
    revision   BIGINT NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX profile_default ON profile (is_default) WHERE is_default = 1;

ALTER TABLE "user" ADD COLUMN profile_id BLOB REFERENCES profile (id);
-- Grows with every change of the user's own values and folders, and when the user gets another profile.
ALTER TABLE "user" ADD COLUMN policy_revision BIGINT NOT NULL DEFAULT 0;
CREATE INDEX user_by_profile ON "user" (profile_id);
-- When the password was set; it is what an expiry counts from. NULL before this was kept.
ALTER TABLE "user" ADD COLUMN password_set_at BIGINT;
-- What a deleted user was before, and when it may be purged.
ALTER TABLE "user" ADD COLUMN state_was TEXT;
ALTER TABLE "user" ADD COLUMN purge_after BIGINT;

-- One value of one policy at one level. `subject` is the profile, user or device; empty for the organisation.
CREATE TABLE policy_value (
    level   TEXT NOT NULL CHECK (level IN ('organisation', 'profile', 'user', 'device')),
    subject BLOB NOT NULL,
    key     TEXT NOT NULL,
    value   TEXT NOT NULL,
    -- 1 when the user has set it, at the user's own device.
    by_user BIGINT NOT NULL DEFAULT 0,
    set_at  BIGINT NOT NULL,
    set_by  TEXT NOT NULL,
    PRIMARY KEY (level, subject, key)
);

-- A folder to back up. `level` is profile (of an admin), user or device (the user's own, there).
CREATE TABLE folder (
    id         BLOB PRIMARY KEY,
    level      TEXT NOT NULL CHECK (level IN ('profile', 'user', 'device')),
    subject    BLOB NOT NULL,
    os         TEXT NOT NULL CHECK (os IN ('any', 'linux', 'windows', 'macos')),
    -- With variables as they were written: ${home}/Documents.
    path       TEXT NOT NULL,
    mandatory  BIGINT NOT NULL,
    -- Patterns, one a line.
    include    TEXT NOT NULL,
    exclude    TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
-- One folder a path and system: what is there is not there twice.
CREATE UNIQUE INDEX folder_by_subject ON folder (level, subject, os, path);

-- The folders of its profile that a device's user has taken out of that device's backup.
CREATE TABLE unlinked (
    device_id   BLOB NOT NULL REFERENCES device (id),
    folder_id   BLOB NOT NULL,
    unlinked_at BIGINT NOT NULL,
    PRIMARY KEY (device_id, folder_id)
);
CREATE INDEX unlinked_by_folder ON unlinked (folder_id);

-- Grows with every change of the device's own values and folders, and of what is unlinked there.
ALTER TABLE device ADD COLUMN policy_revision BIGINT NOT NULL DEFAULT 0;
-- What the activation has changed of the user's own choices: control::policy::PolicyChanges as text.
ALTER TABLE activation ADD COLUMN changes TEXT NOT NULL DEFAULT '';
-- What an admin has to know of how the machine came: the proof, the token, from where.
ALTER TABLE activation ADD COLUMN proof TEXT NOT NULL DEFAULT '';
ALTER TABLE activation ADD COLUMN token_id BLOB;
ALTER TABLE activation ADD COLUMN source TEXT NOT NULL DEFAULT '';
-- What the machine that had the record before said of itself, a text a line, when it was heard
-- of last and when it was activated. Empty for a record that was made for the machine.
ALTER TABLE activation ADD COLUMN former TEXT NOT NULL DEFAULT '';
ALTER TABLE activation ADD COLUMN former_seen_at BIGINT;
ALTER TABLE activation ADD COLUMN former_activated_at BIGINT;
CREATE INDEX activation_by_device ON activation (device_id, epoch);

-- ---------------------------------------------------------------------------------------------------- proofs

-- A deployment token. Its text is shown once and kept as a hash; `prefix` is enough to tell tokens apart.
CREATE TABLE token (
    id              BLOB PRIMARY KEY,
    -- 2, or 1 for the organisation's one legacy token.
    version         BIGINT NOT NULL,
    name            TEXT NOT NULL,
    prefix          TEXT NOT NULL,
    hash            BLOB NOT NULL UNIQUE,
    profile_id      BLOB REFERENCES profile (id),
    -- Networks in CIDR form, from which it may be used; empty is everywhere.
    networks        TEXT NOT NULL,
    hours           TEXT NOT NULL,
    hours_zone      TEXT NOT NULL,
    -- Mail domains: the user may be the account of the operating system at one of these. Empty: not so.
    domains         TEXT NOT NULL,
    -- Whether such a user is added, with the token's profile, who is not there yet.
    create_users    BIGINT NOT NULL DEFAULT 0,
    uses_max        BIGINT,
    rate_per_minute BIGINT,
    expires_at      BIGINT,
    revoked_at      BIGINT,
    created_at      BIGINT NOT NULL,
    created_by      TEXT NOT NULL,
    uses            BIGINT NOT NULL DEFAULT 0,
    last_used_at    BIGINT,
    failures        BIGINT NOT NULL DEFAULT 0,
    last_failure_at BIGINT,
    last_failure    TEXT
);
-- The legacy token is one: a new one ends the old.
CREATE UNIQUE INDEX token_legacy ON token (version) WHERE version = 1 AND revoked_at IS NULL;

-- Activations that were refused to an unattended endpoint, for the desk: who, from where, why. Kept for some days.
CREATE TABLE refused_activation (
    id        BLOB PRIMARY KEY,
    at        BIGINT NOT NULL,
    token_id  BLOB,
    source    TEXT NOT NULL,
    code      TEXT NOT NULL,
    email     TEXT NOT NULL,
    host_name TEXT NOT NULL,
    serial    TEXT NOT NULL,
    os_user   TEXT NOT NULL,
    -- How often the same was refused; `at` is the last time.
    times     BIGINT NOT NULL
);
CREATE INDEX refused_activation_by_time ON refused_activation (at);

-- A one-time code for one user.
CREATE TABLE ticket (
    id         BLOB PRIMARY KEY,
    user_id    BLOB NOT NULL REFERENCES "user" (id),
    prefix     TEXT NOT NULL,
    hash       BLOB NOT NULL UNIQUE,
    choice     TEXT NOT NULL CHECK (choice IN ('auto', 'add', 'replace')),
    replaces   BLOB REFERENCES device (id),
    restore    TEXT NOT NULL CHECK (restore IN ('none', 'data', 'settings', 'all')),
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT,
    used_at    BIGINT,
    used_by    BLOB,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL
);
CREATE INDEX ticket_by_user ON ticket (user_id);

-- A row of the device map: the machine with this number is this user's, and takes over that record or is new.
CREATE TABLE device_map (
    id          BLOB PRIMARY KEY,
    user_id     BLOB NOT NULL REFERENCES "user" (id),
    kind        TEXT NOT NULL CHECK (kind IN ('serial', 'uuid', 'host_name')),
    -- As evidence is compared: docs/control.md, "Evidence".
    value       TEXT NOT NULL,
    -- The name of a record that is made for it; empty is the machine's own.
    device_name TEXT NOT NULL DEFAULT '',
    replaces    BLOB REFERENCES device (id),
    restore     TEXT NOT NULL CHECK (restore IN ('none', 'data', 'settings', 'all')),
    created_at  BIGINT NOT NULL,
    created_by  TEXT NOT NULL,
    consumed_at BIGINT,
    consumed_by BLOB
);
CREATE UNIQUE INDEX device_map_open ON device_map (kind, value) WHERE consumed_at IS NULL;
CREATE INDEX device_map_by_value ON device_map (kind, value, created_at);
CREATE INDEX device_map_by_user ON device_map (user_id);

-- What waits on the pending desk: the key that is bound when an admin approves the record, and the request that then
-- gets its answer. A refused one stays, so that the endpoint is told why.
CREATE TABLE waiting (
    device_id  BLOB PRIMARY KEY REFERENCES device (id),
    device_key BLOB NOT NULL UNIQUE,
    request    BLOB NOT NULL,
    -- Of everything in the request, as in `activation`.
    digest     BLOB NOT NULL,
    restore    TEXT NOT NULL,
    token_id   BLOB,
    proof      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    source     TEXT NOT NULL,
    asked_at   BIGINT NOT NULL,
    refused_at BIGINT,
    -- The admin's words.
    refusal    TEXT NOT NULL DEFAULT ''
);
CREATE INDEX waiting_by_time ON waiting (asked_at);

-- What is to be brought back after it, which is part of the answer.
ALTER TABLE activation ADD COLUMN restore TEXT NOT NULL DEFAULT 'none';

-- A link by which a user sets a password. Only its hash is kept.
CREATE TABLE password_link (
    hash       BLOB PRIMARY KEY,
    user_id    BLOB NOT NULL REFERENCES "user" (id),
    purpose    TEXT NOT NULL CHECK (purpose IN ('set', 'reset')),
    expires_at BIGINT NOT NULL,
    used_at    BIGINT,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL
);
CREATE INDEX password_link_by_user ON password_link (user_id);

-- The hashes of a user's earlier passwords, so that they are not used again.
CREATE TABLE password_old (
    user_id       BLOB NOT NULL REFERENCES "user" (id),
    password_hash TEXT NOT NULL,
    set_at        BIGINT NOT NULL,
    PRIMARY KEY (user_id, set_at)
);

-- How often something was done in one span of time: attempts by a source, uses of a token. `span_at` is its beginning.
-- Wrong passwords in a row, by the digest of an address and the source that they came from. What the table of before
-- remembered is forgotten: it is an hour old at most.
DROP TABLE sign_in_failure;
CREATE TABLE sign_in_failure (
    address BLOB NOT NULL,
    source  TEXT NOT NULL,
    count   BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    PRIMARY KEY (address, source)
);
CREATE INDEX sign_in_failure_by_time ON sign_in_failure (last_at);

CREATE TABLE tally (
    subject BLOB NOT NULL,
    span_at BIGINT NOT NULL,
    count   BIGINT NOT NULL,
    PRIMARY KEY (subject, span_at)
);
CREATE INDEX tally_by_time ON tally (span_at);

-- ---------------------------------------------------------------------------------------------------- devices

-- 1 for a key whose binding rests on nothing but the word of the key before it.
ALTER TABLE credential ADD COLUMN follows BIGINT NOT NULL DEFAULT 0;

-- The slot in which missed backups are caught up.
ALTER TABLE device ADD COLUMN catch_up_at BIGINT;
-- Clones: what the device must present at its next session, and what it may present if the last answer was lost.
ALTER TABLE device ADD COLUMN counter BIGINT NOT NULL DEFAULT 0;
ALTER TABLE device ADD COLUMN counter_nonce BLOB;
ALTER TABLE device ADD COLUMN counter_nonce_before BLOB;
-- The binding that the counter belongs to, and when the newest challenge that was answered had been given out.
ALTER TABLE device ADD COLUMN counter_epoch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE device ADD COLUMN challenge_at BIGINT;
-- Since when and until when its backups are watched, because it has come back.
ALTER TABLE device ADD COLUMN watch_since BIGINT;
ALTER TABLE device ADD COLUMN watch_until BIGINT;
CREATE INDEX device_by_watch ON device (watch_until);
-- The record that this one was merged into: its snapshots are shown and read there.
ALTER TABLE device ADD COLUMN merged_into BLOB REFERENCES device (id);
ALTER TABLE device ADD COLUMN last_good_at BIGINT;
-- Of some folders that a person has named, and not of all that the device is to back up: 0 or 1.
ALTER TABLE snapshot ADD COLUMN partial BIGINT NOT NULL DEFAULT 0;
ALTER TABLE device ADD COLUMN last_source TEXT;
-- The deployment token that the last activation used, for campaigns over devices that a token has activated.
ALTER TABLE device ADD COLUMN token_id BLOB;
CREATE INDEX device_by_merge ON device (merged_into);
CREATE INDEX device_by_token ON device (token_id);
CREATE INDEX device_by_state ON device (state);
CREATE INDEX device_by_name ON device (name, id);

-- A support bundle that an admin has asked a device for, and what the device has sent; one for each device.
CREATE TABLE support_bundle (
    device_id BLOB PRIMARY KEY REFERENCES device (id),
    asked_at  BIGINT NOT NULL,
    asked_by  TEXT NOT NULL,
    sent_at   BIGINT,
    body      BLOB
);

-- What the endpoint says it opened and read in a run; NULL until it has said so.
ALTER TABLE run ADD COLUMN files_opened BIGINT;
ALTER TABLE run ADD COLUMN bytes_read BIGINT;

-- Two machines with one identity, seen by the counter.
CREATE TABLE conflict (
    id           BLOB PRIMARY KEY,
    device_id    BLOB NOT NULL REFERENCES device (id),
    -- clone: two machines with one key; records: two records of one machine, `other_device` being the second.
    kind         TEXT NOT NULL CHECK (kind IN ('clone', 'records')),
    seen_at      BIGINT NOT NULL,
    counter      BIGINT NOT NULL,
    counter_seen BIGINT NOT NULL,
    source       TEXT NOT NULL,
    host_name    TEXT NOT NULL,
    times        BIGINT NOT NULL,
    status       TEXT NOT NULL CHECK (status IN ('open', 'merged', 'split', 'kept', 'undone')),
    resolved_at  BIGINT,
    resolved_by  TEXT,
    undo_until   BIGINT,
    -- The other record: merged into the device, or made by the split.
    other_device BLOB,
    -- What an undo has to know: the epoch of the record that a split has cut off, NULL where there was nothing to cut;
    -- 1 when a merge has suspended the other record, or when one machine has ended a quarantine.
    before       BIGINT,
    -- The state that a split ended, as app::conflicts writes it.
    state_before TEXT
);
-- One open conflict of each kind: two records in question hide no copy.
CREATE UNIQUE INDEX conflict_open ON conflict (device_id, kind) WHERE status = 'open';
CREATE INDEX conflict_by_time ON conflict (seen_at);
-- What an admin has decided to keep is looked for at every activation that resembles another record.
CREATE INDEX conflict_kept ON conflict (device_id, other_device) WHERE status = 'kept';
CREATE INDEX conflict_by_device ON conflict (device_id);
CREATE INDEX conflict_by_other ON conflict (other_device);

-- ---------------------------------------------------------------------------------------------------- campaigns

CREATE TABLE campaign (
    id           BLOB PRIMARY KEY,
    name         TEXT NOT NULL,
    reason       TEXT NOT NULL,
    level        TEXT NOT NULL CHECK (level IN ('rotate', 'hold', 'revoke')),
    -- A word and a value on each line (app::campaigns).
    scope        TEXT NOT NULL,
    status       TEXT NOT NULL CHECK (status IN ('draft', 'running', 'paused', 'aborted', 'closed')),
    start_at     BIGINT,
    deadline     BIGINT,
    -- Until when held devices may append.
    append_until BIGINT,
    wave_size    BIGINT NOT NULL,
    wave_ms      BIGINT NOT NULL,
    watch_ms     BIGINT NOT NULL,
    -- The template of the message to users.
    template     TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    created_by   TEXT NOT NULL,
    -- Who has started it, and from where: its turns are theirs.
    started_by   TEXT NOT NULL DEFAULT '',
    started_from TEXT NOT NULL DEFAULT '',
    started_at   BIGINT,
    ended_at     BIGINT,
    -- How long it was paused: waves move by as much.
    paused_at    BIGINT,
    paused_ms    BIGINT NOT NULL DEFAULT 0,
    -- The campaign's own clock, by which turns come, and when it was moved last (docs/control.md, "Slots").
    progress_ms  BIGINT NOT NULL DEFAULT 0,
    ticked_at    BIGINT,
    -- Why it was ended by hand.
    end_reason   TEXT NOT NULL DEFAULT '',
    -- Who is told: all, needed (whoever has to do something), nobody.
    tell         TEXT NOT NULL CHECK (tell IN ('all', 'needed', 'nobody')),
    -- After how long a device's user is reminded, each time, and how often at most; 0 is never.
    remind_ms    BIGINT NOT NULL,
    remind_max   BIGINT NOT NULL
);
CREATE INDEX campaign_by_time ON campaign (created_at);

CREATE TABLE campaign_device (
    campaign_id   BLOB NOT NULL REFERENCES campaign (id),
    device_id     BLOB NOT NULL REFERENCES device (id),
    wave          BIGINT NOT NULL,
    -- When its turn comes, by the campaign's own clock.
    due_ms        BIGINT NOT NULL,
    -- What the dry run said, when the campaign was started.
    class         TEXT NOT NULL,
    status        TEXT NOT NULL CHECK (status IN ('waiting', 'reset', 'unproved', 'done', 'refused', 'excused',
                  'retired')),
    -- Why it is where it is, as a stable code; empty where the status says it all.
    reason        TEXT NOT NULL,
    epoch_before  BIGINT NOT NULL,
    reset_at      BIGINT,
    back_at       BIGINT,
    proof         TEXT,
    -- The last answer that was a refusal since the reset.
    refused_code  TEXT,
    refused_at    BIGINT,
    -- Evidence: what the first backup after it came back has read and sent, beside what is protected.
    bytes_read    BIGINT,
    bytes_sent    BIGINT,
    bytes_covered BIGINT,
    first_good    BLOB,
    first_good_at BIGINT,
    -- How often the user was reminded of it, and when last.
    reminders     BIGINT NOT NULL DEFAULT 0,
    reminded_at   BIGINT,
    PRIMARY KEY (campaign_id, device_id)
);
CREATE INDEX campaign_device_by_device ON campaign_device (device_id);
CREATE INDEX campaign_device_by_status ON campaign_device (campaign_id, status, due_ms);

-- Who is meant, as it was settled at the start, until each slice of it stands in campaign_device.
CREATE TABLE campaign_slice (
    campaign_id BLOB NOT NULL REFERENCES campaign (id),
    number      BIGINT NOT NULL,
    -- As db::campaign_slice says.
    devices     BLOB NOT NULL,
    PRIMARY KEY (campaign_id, number)
);

-- ---------------------------------------------------------------------------------------------------- mail

CREATE TABLE template (
    name    TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    text    TEXT NOT NULL,
    html    TEXT NOT NULL,
    set_at  BIGINT NOT NULL,
    set_by  TEXT NOT NULL
);

-- The outbox. `sending` is stored before the mail server hears of it; what was not answered for sure is `unclear`
-- and never sent again by itself.
CREATE TABLE mail (
    id         BLOB PRIMARY KEY,
    -- What it is about: the same is never queued twice.
    occasion   TEXT NOT NULL UNIQUE,
    template   TEXT NOT NULL,
    recipient  TEXT NOT NULL,
    subject    TEXT NOT NULL,
    -- Both are wiped when the message is sent or dropped, and when one with a secret is over.
    text       TEXT NOT NULL,
    html       TEXT NOT NULL,
    -- Holds a link or a code that proves who asks: never shown.
    secret     BIGINT NOT NULL DEFAULT 0,
    status     TEXT NOT NULL CHECK (status IN ('queued', 'sending', 'sent', 'failed', 'unclear', 'dropped')),
    -- Grows with every attempt: the answer to an older one changes nothing.
    attempts   BIGINT NOT NULL DEFAULT 0,
    -- When it has to change by itself: queued, the next attempt; sending, it is unclear; else, it is removed.
    due_at     BIGINT NOT NULL,
    give_up_at BIGINT NOT NULL,
    tried_at   BIGINT,
    last_error TEXT NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL,
    sent_at    BIGINT
);
CREATE INDEX mail_by_try ON mail (tried_at);
CREATE INDEX mail_by_time ON mail (created_at, id);
CREATE INDEX mail_by_due ON mail (status, due_at);

-- Where a user's backups stand beside the quota, as far as the user was told, and when that was.
CREATE TABLE quota_notice (
    user_id    BLOB PRIMARY KEY REFERENCES "user" (id) ON DELETE CASCADE,
    standing   TEXT NOT NULL CHECK (standing IN ('below', 'warning', 'over')),
    -- When the user was last told that little is left, and that a backup was refused.
    warned_at  BIGINT,
    over_at    BIGINT,
    -- When a backup was last refused, for what admins are told.
    refused_at BIGINT
);
CREATE INDEX quota_notice_by_refusal ON quota_notice (refused_at);

-- ---------------------------------------------------------------------------------------------------- admin API

ALTER TABLE admin ADD COLUMN disabled_at BIGINT;
ALTER TABLE admin ADD COLUMN permits TEXT NOT NULL DEFAULT 'all';

-- A credential of a program that administers. Shown once, kept as a hash.
CREATE TABLE api_credential (
    id           BLOB PRIMARY KEY,
    name         TEXT NOT NULL,
    prefix       TEXT NOT NULL,
    hash         BLOB NOT NULL UNIQUE,
    -- Words of control::Permit, one a line; `all` for every one.
    permits      TEXT NOT NULL,
    expires_at   BIGINT,
    revoked_at   BIGINT,
    created_at   BIGINT NOT NULL,
    created_by   TEXT NOT NULL,
    last_used_at BIGINT,
    last_source  TEXT
);

-- The answer to a POST of the admin API, by the caller's key: the same request gets it again.
CREATE TABLE idempotency (
    -- Digest of who asks and the key.
    id           BLOB PRIMARY KEY,
    -- Digest of method, path and body: another request with the same key is refused.
    digest       BLOB NOT NULL,
    -- NULL while the first one is under way.
    status       BIGINT,
    -- Sealed: an answer may show a secret, once.
    body         BLOB,
    created_at   BIGINT NOT NULL,
    -- Until when whoever carries it out may be at work; after that it is over, with or without an answer.
    busy_until   BIGINT NOT NULL,
    -- 1 once its change is committed: set in the very transaction of the change.
    done         BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX idempotency_by_time ON idempotency (created_at);

-- From where, and by which proof; `version` says what the hash covers (docs/control.md, "Audit").
ALTER TABLE audit ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN proof TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN version BIGINT NOT NULL DEFAULT 1;

-- The newest row of the audit log, kept apart from it, so that a log whose end was cut off is not taken for whole.
CREATE TABLE audit_head (
    one  BIGINT PRIMARY KEY CHECK (one = 1),
    seq  BIGINT NOT NULL,
    hash BLOB NOT NULL
);

-- ---------------------------------------------------------------------------------------------------- jobs

-- Who carries out a job now; a holder that does not renew loses it.
CREATE TABLE job_lease (
    name   TEXT PRIMARY KEY,
    holder BLOB NOT NULL,
    until  BIGINT NOT NULL,
    -- Grows with every new holder: what an older one still writes is refused.
    fence  BIGINT NOT NULL
);
