-- Version 2. Never change a released migration: add the next one.
--
-- Records of the node, the outbox, pages of tasks, and which events refer to a blob.

-- `name` is the record's key among those of its kind, in the order of its bytes.
CREATE TABLE records (
    kind    TEXT COLLATE "C" NOT NULL,
    name    TEXT COLLATE "C" NOT NULL,
    version BIGINT           NOT NULL,
    at      BIGINT           NOT NULL,
    body    TEXT             NOT NULL,
    PRIMARY KEY (kind, name)
);

-- Events that are to be announced.
CREATE TABLE outbox (
    position BIGINT PRIMARY KEY,
    task     UUID   NOT NULL,
    seq      BIGINT NOT NULL
);

-- The newest position that was given. Whoever announces something keeps this row locked until it is committed: so positions become
-- visible in their order, however many nodes write.
CREATE TABLE outbox_newest (
    nr       INT    PRIMARY KEY CHECK (nr = 1),
    position BIGINT NOT NULL
) WITH (fillfactor = 10);

-- A page of tasks is put together from the beginnings of these, one for each status that is asked for. Names of projects may be longer
-- than an index takes.
CREATE INDEX tasks_of_project ON tasks (left(project, 100), status, id);
CREATE INDEX tasks_by_status ON tasks (status, id);

-- The hash in an event that refers to a blob. In a text of JSON this mark stands nowhere else: within a string its quotes are escaped.
CREATE INDEX events_with_blobs ON events (substr(body, strpos(body, '{"blob":"') + 9, 64)) WHERE strpos(body, '{"blob":"') > 0;
