-- What becomes of stored data, as in ../sqlite: the same tables, columns and indexes.

-- ---------------------------------------------------------------------------------------------------- retention

-- When retention has let go of it. It is there, and can be restored, until the undo period is over.
ALTER TABLE snapshot ADD COLUMN expired_at BIGINT;
-- A snapshot that an admin has pinned is kept until that is taken back.
ALTER TABLE snapshot ADD COLUMN pinned_at BIGINT;
ALTER TABLE snapshot ADD COLUMN pinned_by TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE snapshot ADD COLUMN pin_note TEXT COLLATE "C" NOT NULL DEFAULT '';
-- When a scrub found that something of it cannot be restored. It stands for no week and no month then.
ALTER TABLE snapshot ADD COLUMN hurt_at BIGINT;
-- When an admin gave a hurt one up: only a pin or a hold keeps it then.
ALTER TABLE snapshot ADD COLUMN given_up_at BIGINT;

CREATE INDEX run_restoring ON run (snapshot_id) WHERE status = 'open' AND purpose = 'restore';

-- A legal hold: nothing of its user or device expires or is purged while it is there.
CREATE TABLE hold (
    id      BYTEA PRIMARY KEY,
    level   TEXT COLLATE "C" NOT NULL CHECK (level IN ('user', 'device')),
    subject BYTEA NOT NULL,
    -- What an admin knows it by: the number of a case.
    name    TEXT COLLATE "C" NOT NULL,
    set_at  BIGINT NOT NULL,
    set_by  TEXT COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX hold_by_subject ON hold (level, subject, name);

-- When a job is due that is not done in one tick, and how far it is.
CREATE TABLE job_state (
    name   TEXT COLLATE "C" PRIMARY KEY,
    -- The last row that it was done with; NULL at the beginning.
    cursor BYTEA,
    -- When it begins anew.
    due    BIGINT NOT NULL,
    -- The time that it goes by, and the server's clock when that was so: it never runs far ahead of the clock.
    at     BIGINT NOT NULL,
    clock  BIGINT NOT NULL
);

-- ---------------------------------------------------------------------------------------------------- collection

-- Grows when a collection begins, and when it has condemned: runs and closed trees carry the one they came under.
ALTER TABLE repository ADD COLUMN generation BIGINT NOT NULL DEFAULT 1;
-- Closed trees of this generation do not count: they came while packs were condemned.
ALTER TABLE repository ADD COLUMN hidden BIGINT NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN generation BIGINT NOT NULL DEFAULT 0;
CREATE INDEX run_open ON run (repository, generation) WHERE status = 'open';
ALTER TABLE closed ADD COLUMN generation BIGINT NOT NULL DEFAULT 1;
-- The collection that found nothing alive in the pack. Whoever uses a chunk of it takes that back.
ALTER TABLE pack ADD COLUMN condemned BIGINT;
-- 1 from the moment on from which nothing brings it back: its chunks count as missing.
ALTER TABLE pack ADD COLUMN doomed BIGINT NOT NULL DEFAULT 0;
-- Few packs are unfit: a question about a thousand chunks looks at these first, and at no other pack.
CREATE INDEX pack_unfit ON pack (seq) WHERE damaged_at IS NOT NULL OR condemned IS NOT NULL;
CREATE INDEX pack_condemned ON pack (repository, condemned) WHERE condemned IS NOT NULL;

-- One row for each collection of a repository; `number` is the generation that it began.
CREATE TABLE collection (
    repository      BIGINT NOT NULL REFERENCES repository (seq),
    number          BIGINT NOT NULL,
    -- The run under whose keys it packs: no device begins it.
    run_id          BYTEA NOT NULL,
    -- mark, later, weigh, settle, wait, remove, ended, abandoned.
    phase           TEXT COLLATE "C" NOT NULL,
    begun_at        BIGINT NOT NULL,
    phase_at        BIGINT NOT NULL,
    -- Snapshots up to this one were there when it began, and are marked device by device; the others after them.
    snapshot_first  BIGINT NOT NULL,
    -- The last that was marked: of that device, or, where there is none, of all.
    device_done     BYTEA,
    snapshot_done   BIGINT NOT NULL,
    -- Up to where snapshots are marked in this phase.
    snapshot_last   BIGINT NOT NULL DEFAULT 0,
    -- Packs up to this one may be condemned.
    pack_last       BIGINT NOT NULL,
    -- How far removal is through the table of chunks: 0 to 65,536 parts of it.
    part            BIGINT NOT NULL DEFAULT 0,
    snapshots       BIGINT NOT NULL DEFAULT 0,
    -- Trees that could not be read: what is beneath them is not known, and nothing is condemned.
    flaws           BIGINT NOT NULL DEFAULT 0,
    chunks          BIGINT NOT NULL DEFAULT 0,
    chunks_live     BIGINT NOT NULL DEFAULT 0,
    bytes           BIGINT NOT NULL DEFAULT 0,
    packs_condemned BIGINT NOT NULL DEFAULT 0,
    bytes_condemned BIGINT NOT NULL DEFAULT 0,
    -- Stored bytes of packs that are kept, estimated, of which nothing is alive.
    bytes_waste     BIGINT NOT NULL DEFAULT 0,
    packs_repacked  BIGINT NOT NULL DEFAULT 0,
    packs_removed   BIGINT NOT NULL DEFAULT 0,
    bytes_removed   BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (repository, number)
);

-- The segments of marks that count, in the order in which they were written. An object of no row counts for nothing.
CREATE TABLE segment (
    repository BIGINT NOT NULL,
    collection BIGINT NOT NULL,
    number     BIGINT NOT NULL,
    -- trees or contents.
    kind       TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,
    -- How many marks it has.
    marks      BIGINT NOT NULL,
    PRIMARY KEY (repository, collection, number)
);

-- Objects whose rows are gone, and when they may go themselves.
CREATE TABLE leaving (
    name         TEXT COLLATE "C" PRIMARY KEY,
    remove_after BIGINT NOT NULL
);
CREATE INDEX leaving_by_time ON leaving (remove_after);

-- Objects that no row named when they were seen first.
CREATE TABLE stray (
    name    TEXT COLLATE "C" PRIMARY KEY,
    seen_at BIGINT NOT NULL
);

-- ---------------------------------------------------------------------------------------------------- reports

-- Storage reports: the last two. A number is drawn when everything is found and its shares are about to be written.
CREATE TABLE storage_report (
    number    BIGINT PRIMARY KEY,
    -- Snapshots that were there then are what it is of.
    as_of     BIGINT NOT NULL,
    -- When all of its shares were here; NULL before.
    ended_at  BIGINT,
    chunks    BIGINT NOT NULL,
    -- Chunks that a snapshot names and nobody has, and trees that could not be read.
    missing   BIGINT NOT NULL,
    flaws     BIGINT NOT NULL,
    packs     BIGINT NOT NULL,
    -- Bytes of all packs: the stored bytes of the whole, and these two.
    bytes     BIGINT NOT NULL,
    unneeded  BIGINT NOT NULL,
    framing   BIGINT NOT NULL,
    -- Bytes of packs that are condemned already.
    condemned BIGINT NOT NULL
);

-- What a subject takes. The whole has one row, with an empty subject.
CREATE TABLE storage_share (
    report        BIGINT NOT NULL,
    level         TEXT COLLATE "C" NOT NULL CHECK (level IN ('whole', 'profile', 'user', 'device')),
    subject       BYTEA NOT NULL,
    snapshots     BIGINT NOT NULL,
    newest        BIGINT NOT NULL,
    logical       BIGINT NOT NULL,
    unique_plain  BIGINT NOT NULL,
    shared_plain  BIGINT NOT NULL,
    plain         BIGINT NOT NULL,
    unique_stored BIGINT NOT NULL,
    stored        BIGINT NOT NULL,
    PRIMARY KEY (report, level, subject)
);

-- ---------------------------------------------------------------------------------------------------- recovery

-- One row: what makes database, store and servers one installation.
CREATE TABLE installation (
    id            BYTEA PRIMARY KEY,
    -- What every key hangs on that is no repository's, sealed by the master key.
    secret        BYTEA NOT NULL,
    -- The keyring in the store that has every key; 0 before the first.
    keyring       BIGINT NOT NULL,
    -- How far database and store have come together, and the nonce of that age; 0 before the first.
    age           BIGINT NOT NULL,
    age_nonce     BYTEA NOT NULL,
    -- The nonce of the next age, from the moment on in which its object may be in the store.
    age_next      BYTEA,
    -- When somebody showed that the recovery kit is at hand.
    kit_tested_at BIGINT,
    -- When a rebuild of the database from the store was begun that is not finished; nobody is served until it is.
    rebuild_at    BIGINT,
    created_at    BIGINT NOT NULL
);

-- The card of the device in the store, 0 before the first, and the digest of what it says.
ALTER TABLE device ADD COLUMN card BIGINT NOT NULL DEFAULT 0;
ALTER TABLE device ADD COLUMN card_digest BYTEA;

-- -------------------------------------------------------------------------------------------------- many servers

-- The digest of the one manifest that the run may become a snapshot by; NULL until a commit has walked its tree. It is
-- here before the object is in the store, so that no two servers write two.
ALTER TABLE run ADD COLUMN manifest_id BYTEA;

-- ------------------------------------------------------------------------------------------- from one to another

-- Where the installation is, as far as this database knows: here; arriving, while a migrate into it is not finished;
-- left, when one has taken it elsewhere. Nobody is served but where it is here.
ALTER TABLE installation ADD COLUMN standing TEXT COLLATE "C" NOT NULL DEFAULT 'here'
    CHECK (standing IN ('here', 'arriving', 'left'));
-- Of the last migrate: which it was, where it went, when it was finished.
ALTER TABLE installation ADD COLUMN move_id BYTEA;
ALTER TABLE installation ADD COLUMN moved_to TEXT COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE installation ADD COLUMN moved_at BIGINT;
