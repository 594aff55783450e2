-- The tables of a realm. Everything that correctness needs is in primary keys, rows and transactions: no sequences, no functions, no
-- advisory locks, so that other engines that speak PostgreSQL's protocol need a configuration, not a port.
CREATE SCHEMA IF NOT EXISTS dhakira;

CREATE TABLE dhakira.realm (
    realm int PRIMARY KEY,
    lineage uuid NOT NULL,
    format int NOT NULL,
    -- The oldest format that a program may know which uses these tables.
    compatible int NOT NULL,
    name text NOT NULL,
    secret bytea NOT NULL,
    created timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE dhakira.log (
    realm int NOT NULL,
    seq bigint NOT NULL,
    chain int NOT NULL,
    time bigint NOT NULL,
    node uuid NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (realm, seq)
);

CREATE TABLE dhakira.log_start (
    realm int PRIMARY KEY,
    seq bigint NOT NULL,
    chain int NOT NULL,
    time bigint NOT NULL
);

CREATE TABLE dhakira.unit (
    realm int NOT NULL,
    memory int NOT NULL,
    id bigint NOT NULL,
    revision bigint NOT NULL,
    seq bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (realm, memory, id)
);

CREATE TABLE dhakira.history (
    realm int NOT NULL,
    memory int NOT NULL,
    id bigint NOT NULL,
    revision bigint NOT NULL,
    replaced_by bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (realm, memory, id, revision)
);
CREATE INDEX history_replaced ON dhakira.history (realm, replaced_by);

-- Nearly every commit changes the counters of a memory and nothing else of it, in place where the page has room.
CREATE TABLE dhakira.memory (
    realm int NOT NULL,
    key int NOT NULL,
    seq bigint NOT NULL,
    record bytea NOT NULL,
    counters bytea NOT NULL,
    PRIMARY KEY (realm, key)
) WITH (fillfactor = 50);

CREATE TABLE dhakira.request (
    realm int NOT NULL,
    key bytea NOT NULL,
    seq bigint NOT NULL,
    time bigint NOT NULL,
    record bytea NOT NULL,
    PRIMARY KEY (realm, key)
);
CREATE INDEX request_time ON dhakira.request (realm, time);

-- One small write of each node, committed before it acknowledges a commit whose outcome it had to look up.
CREATE TABLE dhakira.confirmation (
    realm int NOT NULL,
    node uuid NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (realm, node)
) WITH (fillfactor = 50);

CREATE TABLE dhakira.node (
    realm int NOT NULL,
    id uuid NOT NULL,
    address text NOT NULL,
    version text NOT NULL,
    applied bigint NOT NULL,
    seen timestamptz NOT NULL,
    PRIMARY KEY (realm, id)
) WITH (fillfactor = 50);

CREATE TABLE dhakira.lease (
    realm int NOT NULL,
    role text NOT NULL,
    holder uuid NOT NULL,
    address text NOT NULL,
    epoch bigint NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (realm, role)
) WITH (fillfactor = 50);

CREATE TABLE dhakira.token (
    realm int NOT NULL,
    id text NOT NULL,
    record text NOT NULL,
    PRIMARY KEY (realm, id)
);

CREATE TABLE dhakira.setting (
    realm int NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    PRIMARY KEY (realm, key)
);

CREATE TABLE dhakira.audit (
    realm int NOT NULL,
    at timestamptz NOT NULL,
    node uuid NOT NULL,
    id uuid NOT NULL,
    line jsonb NOT NULL,
    PRIMARY KEY (realm, at, id)
) PARTITION BY RANGE (at);
CREATE TABLE dhakira.audit_rest PARTITION OF dhakira.audit DEFAULT;

CREATE TABLE dhakira.artifact (
    realm int NOT NULL,
    kind text NOT NULL,
    memory int NOT NULL,
    seq bigint NOT NULL,
    chain int NOT NULL,
    text_version int NOT NULL,
    score_version int NOT NULL,
    upload uuid NOT NULL,
    url text,
    bytes bigint NOT NULL,
    created timestamptz NOT NULL,
    PRIMARY KEY (realm, kind, memory, seq)
);
CREATE TABLE dhakira.artifact_part (
    realm int NOT NULL,
    upload uuid NOT NULL,
    part int NOT NULL,
    started timestamptz NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (realm, upload, part)
);
ALTER TABLE dhakira.artifact_part ALTER COLUMN body SET STORAGE EXTERNAL;
