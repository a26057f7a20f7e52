-- Version 2. Never change a released migration: add the next one.
--
-- Records of the node, the outbox, pages of tasks, and which events refer to a blob.

-- `name` is the record's key among those of its kind.
CREATE TABLE records (
    key     INTEGER PRIMARY KEY,
    kind    TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    version INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    body    TEXT    NOT NULL,
    sum     INTEGER NOT NULL,
    UNIQUE (kind, name)
) STRICT;

-- Events that are to be announced, by their task's key and their number. The newest row is never deleted, so that no position is given
-- twice: one that is done with has neither task nor number.
CREATE TABLE outbox (
    position INTEGER PRIMARY KEY,
    task     INTEGER,
    seq      INTEGER,
    sum      INTEGER NOT NULL
) STRICT;

-- A page of tasks is put together from the beginnings of these, one for each status that is asked for.
CREATE INDEX tasks_of_project ON tasks (project, status, id);
CREATE INDEX tasks_by_status ON tasks (status, id);

-- The hash in an event that refers to a blob. In a text of JSON this mark stands nowhere else: within a string its quotes are escaped.
CREATE INDEX events_with_blobs ON events (substr(body, instr(body, '{"blob":"') + 9, 64)) WHERE instr(body, '{"blob":"') > 0;
