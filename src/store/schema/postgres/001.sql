-- Version 1. Never change a released migration: add the next one.
--
-- Times are milliseconds since 1970. The view `journal` shows the events as a person wants to read them.
-- Numbers of the program have 64 bits without a sign; those of the upper half are stored as negative ones.
-- PostgreSQL's texts hold no NUL: where a name has one, it is written as the two characters U+0001 and 0, and U+0001 as U+0001 and 1.

-- Rows of tasks and runs are changed by every append: the room that is left lets that happen in place.
CREATE TABLE tasks (
    id         UUID   PRIMARY KEY,
    nr         BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
    project    TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    status     TEXT   NOT NULL,
    root_run   UUID,
    head       BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) WITH (fillfactor = 70);

CREATE INDEX tasks_unfinished ON tasks (nr) WHERE status IN ('running', 'needs_attention');

CREATE TABLE runs (
    id         UUID   PRIMARY KEY,
    nr         BIGINT GENERATED ALWAYS AS IDENTITY,
    task       UUID   NOT NULL REFERENCES tasks (id),
    parent     UUID,
    delegation TEXT,
    agent      TEXT   NOT NULL,
    title      TEXT   NOT NULL,
    depth      BIGINT NOT NULL,
    status     TEXT   NOT NULL,
    epoch      BIGINT NOT NULL,
    queued_at  BIGINT NOT NULL,
    started_at BIGINT,
    ended_at   BIGINT,
    usage      TEXT   NOT NULL
) WITH (fillfactor = 70);

CREATE INDEX runs_of_task ON runs (task, nr);

-- The number of an event comes from its task's row, which whoever appends has locked: two nodes leave no gap and no double.
CREATE TABLE events (
    task  UUID   NOT NULL REFERENCES tasks (id),
    seq   BIGINT NOT NULL,
    kind  TEXT   NOT NULL,
    run   UUID,
    agent TEXT,
    at    BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    cause BIGINT,
    body  TEXT   NOT NULL,
    PRIMARY KEY (task, seq)
);

CREATE TABLE blobs (
    hash  TEXT  PRIMARY KEY,
    bytes BYTEA NOT NULL
);

CREATE TABLE snapshots (
    run  UUID   PRIMARY KEY,
    seq  BIGINT NOT NULL,
    body BYTEA  NOT NULL
);

-- The newest transaction of each writer, written in that transaction: so that one whose answer was lost can be asked about.
CREATE TABLE writers (
    id    UUID        PRIMARY KEY,
    batch BIGINT      NOT NULL,
    at    TIMESTAMPTZ NOT NULL DEFAULT now()
) WITH (fillfactor = 10);

CREATE VIEW journal AS
SELECT task, seq, to_timestamp(at / 1000.0) AS at, kind, run, agent, epoch, cause, body
FROM events;
