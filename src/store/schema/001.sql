-- Version 1. Never change a released migration: add the next one.
--
-- `sum` is a checksum over the other columns of its row: damage on disk is found when the row is read.
-- `key` is a small number that the other tables use instead of the long `id`.
-- Times are milliseconds since 1970. The view `journal` shows the events as a person wants to read them.

CREATE TABLE tasks (
    key        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    project    TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    status     TEXT    NOT NULL,
    root_run   TEXT,
    head       INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    sum        INTEGER NOT NULL
) STRICT;

CREATE INDEX tasks_unfinished ON tasks (status) WHERE status IN ('running', 'needs_attention');

CREATE TABLE runs (
    key        INTEGER PRIMARY KEY,
    task       INTEGER NOT NULL REFERENCES tasks (key),
    id         TEXT    NOT NULL UNIQUE,
    parent     TEXT,
    delegation TEXT,
    agent      TEXT    NOT NULL,
    title      TEXT    NOT NULL,
    depth      INTEGER NOT NULL,
    status     TEXT    NOT NULL,
    epoch      INTEGER NOT NULL,
    queued_at  INTEGER NOT NULL,
    started_at INTEGER,
    ended_at   INTEGER,
    usage      TEXT    NOT NULL,
    sum        INTEGER NOT NULL
) STRICT;

CREATE INDEX runs_of_task ON runs (task);

-- The names of events; a new one gets the next key.
CREATE TABLE kinds (
    key  INTEGER PRIMARY KEY,
    name TEXT    NOT NULL UNIQUE,
    sum  INTEGER NOT NULL
) STRICT;

-- A task's events lie side by side in the order of their numbers. The key is the task's key in the upper and the event's number
-- in the lower 32 bits; `task` and `seq` show the two and take no space.
-- `agent` is NULL for the run's own agent (or for none where there is no run), 0 for none, a text for another.
CREATE TABLE events (
    key   INTEGER PRIMARY KEY,
    task  INTEGER GENERATED ALWAYS AS (key >> 32) VIRTUAL,
    seq   INTEGER GENERATED ALWAYS AS (key & 4294967295) VIRTUAL,
    kind  INTEGER NOT NULL REFERENCES kinds (key),
    run   INTEGER REFERENCES runs (key),
    agent ANY,
    at    INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    cause INTEGER,
    body  TEXT    NOT NULL,
    sum   INTEGER NOT NULL
) STRICT;

CREATE TABLE blobs (
    key   INTEGER PRIMARY KEY,
    hash  TEXT    NOT NULL UNIQUE,
    bytes BLOB    NOT NULL,
    sum   INTEGER NOT NULL
) STRICT;

CREATE TABLE snapshots (
    run  TEXT    PRIMARY KEY NOT NULL,
    seq  INTEGER NOT NULL,
    body BLOB    NOT NULL,
    sum  INTEGER NOT NULL
) STRICT;

CREATE VIEW journal AS
SELECT tasks.id AS task,
       events.seq AS seq,
       strftime('%Y-%m-%dT%H:%M:%fZ', events.at / 1000.0, 'unixepoch') AS at,
       kinds.name AS kind,
       runs.id AS run,
       CASE WHEN events.agent IS NULL THEN runs.agent WHEN events.agent <> 0 THEN events.agent END AS agent,
       events.epoch AS epoch,
       events.cause AS cause,
       events.body AS body
FROM events
JOIN tasks ON tasks.key = events.task
JOIN kinds ON kinds.key = events.kind
LEFT JOIN runs ON runs.key = events.run;
