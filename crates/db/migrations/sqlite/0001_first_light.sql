-- First light: who, which device, which bytes. Times are milliseconds since 1970; identifiers are their 16 bytes.
-- A ref is never stored: it is a capability. The index knows chunks by their id (docs/format.md, "Names").

CREATE TABLE repository (
    seq        INTEGER PRIMARY KEY,
    id         BLOB NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    -- Grows whenever a pack is marked as damaged: a commit that began before does not count.
    damages    BIGINT NOT NULL DEFAULT 0
);

-- Keys of a repository, sealed by the master key. The newest seal key seals; the older ones still open.
CREATE TABLE repository_key (
    repository INTEGER NOT NULL REFERENCES repository (seq),
    purpose    TEXT NOT NULL CHECK (purpose IN ('name', 'seal')),
    key_id     BIGINT NOT NULL,
    sealed     BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (repository, purpose, key_id)
);

CREATE TABLE admin (
    id            BLOB PRIMARY KEY,
    email         TEXT NOT NULL UNIQUE,
    password_hash TEXT NOT NULL,
    created_at    BIGINT NOT NULL
);

CREATE TABLE "user" (
    id            BLOB PRIMARY KEY,
    email         TEXT NOT NULL UNIQUE,
    state         TEXT NOT NULL,
    repository    INTEGER NOT NULL REFERENCES repository (seq),
    password_hash TEXT NOT NULL,
    created_at    BIGINT NOT NULL
);

-- Wrong passwords in a row, by a digest of the address as it was typed: an address without a user counts alike.
CREATE TABLE sign_in_failure (
    address BLOB PRIMARY KEY,
    count   BIGINT NOT NULL,
    last_at BIGINT NOT NULL
);
CREATE INDEX sign_in_failure_by_time ON sign_in_failure (last_at);

-- The state columns are control::FlatState, column for field (docs/control.md, "States").
CREATE TABLE device (
    id             BLOB PRIMARY KEY,
    user_id        BLOB NOT NULL REFERENCES "user" (id),
    name           TEXT NOT NULL,
    state          TEXT NOT NULL,
    state_was      TEXT,
    state_rights   TEXT,
    state_level    TEXT,
    append_until   BIGINT,
    purge_after    BIGINT,
    epoch          BIGINT NOT NULL,
    host_name      TEXT NOT NULL,
    serial         TEXT NOT NULL,
    hardware_uuid  TEXT NOT NULL,
    os_user        TEXT NOT NULL,
    os             TEXT NOT NULL,
    arch           TEXT NOT NULL,
    agent          TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    activated_at   BIGINT NOT NULL,
    last_seen_at   BIGINT,
    last_snapshot  BLOB
);
CREATE INDEX device_by_user ON device (user_id);

-- One row a binding of a key to a device. At most one of a device's rows is not revoked.
CREATE TABLE credential (
    device_id  BLOB NOT NULL REFERENCES device (id),
    epoch      BIGINT NOT NULL,
    public_key BLOB NOT NULL,
    issued_at  BIGINT NOT NULL,
    revoked_at BIGINT,
    PRIMARY KEY (device_id, epoch)
);
CREATE UNIQUE INDEX credential_live ON credential (device_id) WHERE revoked_at IS NULL;
CREATE INDEX credential_by_key ON credential (public_key);

-- The answer to an activation, kept so that a repeated request gets it again.
CREATE TABLE activation (
    request    BLOB NOT NULL,
    device_key BLOB NOT NULL,
    digest     BLOB NOT NULL,
    device_id  BLOB NOT NULL,
    epoch      BIGINT NOT NULL,
    rights     TEXT NOT NULL,
    outcome    TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (request, device_key)
);

-- Challenges that were used, until they would have expired anyway.
CREATE TABLE challenge_used (
    challenge  BLOB PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX challenge_used_by_expiry ON challenge_used (expires_at);

-- A run is the lease on every chunk that was reported present to it.
CREATE TABLE run (
    id             BLOB PRIMARY KEY,
    device_id      BLOB NOT NULL REFERENCES device (id),
    repository     INTEGER NOT NULL REFERENCES repository (seq),
    -- The binding of the device's key under which it began: it ends with it.
    epoch          BIGINT NOT NULL,
    request        BLOB NOT NULL,
    purpose        TEXT NOT NULL CHECK (purpose IN ('backup', 'restore')),
    status         TEXT NOT NULL CHECK (status IN ('open', 'committed', 'aborted', 'superseded')),
    key_id         BIGINT NOT NULL,
    snapshot_id    BLOB,
    began_at       BIGINT NOT NULL,
    lease_until    BIGINT NOT NULL,
    ended_at       BIGINT,
    bytes_received BIGINT NOT NULL DEFAULT 0,
    chunks_new     BIGINT NOT NULL DEFAULT 0,
    packs          BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX run_by_request ON run (device_id, request);
CREATE UNIQUE INDEX run_open_backup ON run (device_id) WHERE status = 'open' AND purpose = 'backup';

-- A number is never used again, also not that of a row that was removed: what was read of a pack is kept under it.
CREATE TABLE pack (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         BLOB NOT NULL UNIQUE,
    repository INTEGER NOT NULL REFERENCES repository (seq),
    run_id     BLOB NOT NULL,
    bytes      BIGINT NOT NULL,
    -- The pack's header: with the repository key it gives the key that opens the frames.
    header     BLOB NOT NULL,
    -- How many of its chunks were new to the repository: the answer to its upload, kept for a repeated one.
    chunks_new BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    -- Set when its object was found absent or wrong. Its chunks then count as missing, so that devices send them again.
    damaged_at BIGINT
);
CREATE INDEX pack_by_run ON pack (run_id);

CREATE TABLE frame (
    pack       INTEGER NOT NULL REFERENCES pack (seq),
    number     INTEGER NOT NULL,
    codec      INTEGER NOT NULL,
    -- Where its sealed bytes begin in the object.
    at         BIGINT NOT NULL,
    sealed_len BIGINT NOT NULL,
    plain_len  BIGINT NOT NULL,
    PRIMARY KEY (pack, number)
) WITHOUT ROWID;

-- `kind` is ChunkKind's number; `at` is where the chunk begins in the plain bytes of its frame.
CREATE TABLE chunk (
    repository INTEGER NOT NULL,
    id         BLOB NOT NULL,
    kind       INTEGER NOT NULL,
    pack       INTEGER NOT NULL,
    frame      INTEGER NOT NULL,
    at         BIGINT NOT NULL,
    len        BIGINT NOT NULL,
    PRIMARY KEY (repository, id)
) WITHOUT ROWID;

-- Trees and lists of which the server knows that everything beneath them is in the repository, and how much it is.
-- Of a list, `entries` counts its pieces and `bytes` what they cover.
CREATE TABLE closed (
    repository INTEGER NOT NULL,
    id         BLOB NOT NULL,
    shape      TEXT NOT NULL CHECK (shape IN ('leaf', 'fan', 'list')),
    entries    BIGINT NOT NULL,
    files      BIGINT NOT NULL,
    bytes      BIGINT NOT NULL,
    PRIMARY KEY (repository, id)
) WITHOUT ROWID;

-- `seq` grows with each commit: the newest snapshot of a device is the one with the largest. It is never used again.
CREATE TABLE snapshot (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           BLOB NOT NULL UNIQUE,
    device_id    BLOB NOT NULL REFERENCES device (id),
    repository   INTEGER NOT NULL REFERENCES repository (seq),
    run_id       BLOB NOT NULL UNIQUE,
    -- The binding of the device's key under which it was appended (docs/control.md, "Access").
    epoch        BIGINT NOT NULL,
    parent_id    BLOB,
    -- The ref of the root tree, sealed by the run's key.
    root_sealed  BLOB NOT NULL,
    root_id      BLOB NOT NULL,
    -- BLAKE3 of the manifest object: a repeated commit is one that brings the same bytes.
    manifest_id  BLOB NOT NULL,
    began_at     BIGINT NOT NULL,
    ended_at     BIGINT NOT NULL,
    committed_at BIGINT NOT NULL,
    entries      BIGINT NOT NULL,
    files        BIGINT NOT NULL,
    bytes        BIGINT NOT NULL,
    -- Stored paths, each followed by a NUL.
    folders      BLOB NOT NULL,
    host_name    TEXT NOT NULL,
    problems     BIGINT NOT NULL
);
CREATE INDEX snapshot_by_device ON snapshot (device_id, seq);

-- Who did what, chained: each hash covers its row and the hash before it.
CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL,
    hash    BLOB NOT NULL
);
