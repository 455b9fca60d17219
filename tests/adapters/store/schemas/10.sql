BEGIN TRANSACTION;
CREATE TABLE artifacts (
    id TEXT PRIMARY KEY, job_id TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, name TEXT NOT NULL,
    path TEXT NOT NULL, size_bytes INTEGER NOT NULL, created_at REAL NOT NULL, sha256 TEXT NOT NULL,
    UNIQUE (job_id, name)
) STRICT;
INSERT INTO "artifacts" VALUES('a','01h00000000000000000000001','report','report',1,2.0,'abc');
CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
    target TEXT NOT NULL, outcome TEXT NOT NULL, address TEXT NOT NULL, request_id TEXT NOT NULL, details TEXT NOT NULL,
    hash BLOB NOT NULL
) STRICT;
INSERT INTO "audit" VALUES(1,1.0,'carol','trigger','app','done','','','{}',X'03');
CREATE TABLE configuration (
    id INTEGER PRIMARY KEY CHECK (id = 1), revision TEXT NOT NULL, applied_at REAL NOT NULL, config TEXT NOT NULL
) STRICT;
INSERT INTO "configuration" VALUES(1,'c0ffee',1.0,'{}');
CREATE TABLE cron_moments (
    pipeline TEXT NOT NULL, schedule TEXT NOT NULL, moment REAL NOT NULL, PRIMARY KEY (pipeline, schedule)
) STRICT, WITHOUT ROWID;
INSERT INTO "cron_moments" VALUES('app','@daily',1.0);
CREATE TABLE effects (
    job_id TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, position INTEGER NOT NULL,
    generation INTEGER NOT NULL, kind TEXT NOT NULL, done_at REAL,
    PRIMARY KEY (job_id, position)
) STRICT, WITHOUT ROWID;
INSERT INTO "effects" VALUES('01h00000000000000000000001',1,0,'create-pod',2.0);
CREATE TABLE idempotency (
    actor TEXT NOT NULL, key TEXT NOT NULL, fingerprint BLOB NOT NULL, reserved_id TEXT NOT NULL, created_at REAL NOT NULL,
    status INTEGER, body BLOB, PRIMARY KEY (actor, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, key TEXT NOT NULL, event TEXT NOT NULL,
    received_at REAL NOT NULL, settled_at REAL, outcome TEXT NOT NULL DEFAULT '', repository TEXT NOT NULL DEFAULT '', UNIQUE (source, key)
) STRICT;
INSERT INTO "inbox" VALUES(1,'gitea','delivery-1','{"repository": {"name": "Ops/App"}}',1.0,2.0,'job','ops/app');
CREATE TABLE inbox_outcomes (
    entry INTEGER NOT NULL REFERENCES inbox(id) ON DELETE CASCADE, pipeline TEXT NOT NULL, result TEXT NOT NULL,
    why TEXT NOT NULL, job_id TEXT NOT NULL, PRIMARY KEY (entry, pipeline)
) STRICT, WITHOUT ROWID;
CREATE TABLE jobs (
    id TEXT PRIMARY KEY, pipeline_id TEXT NOT NULL REFERENCES pipelines(id),
    trigger_type TEXT NOT NULL CHECK (trigger_type IN ('webhook', 'cron', 'manual', 'pipeline')),
    trigger_ref TEXT NOT NULL DEFAULT '', status TEXT NOT NULL, started_at REAL, finished_at REAL,
    log_path TEXT NOT NULL, created_at REAL NOT NULL,
    pipeline TEXT NOT NULL, phase TEXT NOT NULL, reason TEXT NOT NULL, message TEXT NOT NULL,
    generation INTEGER NOT NULL, effect_count INTEGER NOT NULL, outcome TEXT, deadline_at REAL,
    cancelled_by TEXT NOT NULL DEFAULT '', trigger TEXT NOT NULL, settings TEXT NOT NULL
, branch TEXT NOT NULL DEFAULT '', source_rule TEXT NOT NULL DEFAULT '', origin TEXT NOT NULL DEFAULT '', pod_id TEXT NOT NULL DEFAULT '') STRICT;
INSERT INTO "jobs" VALUES('01h00000000000000000000001','p','webhook','','success',2.0,3.0,'logs/j.log',1.0,'app','closed','','',1,1,NULL,NULL,'','{"type": "webhook", "actor": "carol", "branch": "main", "revision": {"commit_sha": "c0ffee", "ref": "refs/heads/main", "branch": "main"}}','{"repository": "/srv/app"}','main','','','01h00000000000000000000001');
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, target TEXT NOT NULL, channel TEXT NOT NULL,
    news TEXT NOT NULL, address TEXT NOT NULL, only_after_failure INTEGER NOT NULL, created_at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, next_at REAL NOT NULL, problem TEXT NOT NULL DEFAULT '', done_at REAL,
    outcome TEXT NOT NULL DEFAULT '', key TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE pipeline_permissions (
    pipeline_id TEXT NOT NULL REFERENCES pipelines(id) ON DELETE CASCADE,
    team_id TEXT NOT NULL REFERENCES teams(id) ON DELETE CASCADE,
    level TEXT NOT NULL CHECK (level IN ('read', 'write', 'admin')),
    PRIMARY KEY (pipeline_id, team_id)
) STRICT;
INSERT INTO "pipeline_permissions" VALUES('p','t','write');
CREATE TABLE pipelines (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, team_id TEXT REFERENCES teams(id) ON DELETE SET NULL,
    repo_url TEXT NOT NULL, branch_filter TEXT NOT NULL DEFAULT '[]', cron_schedule TEXT,
    config_path TEXT NOT NULL DEFAULT 'danubefile.py',
    max_duration_seconds INTEGER NOT NULL DEFAULT 3600, workspace_size_gb INTEGER NOT NULL DEFAULT 5,
    created_at REAL NOT NULL, updated_at REAL NOT NULL,
    team TEXT NOT NULL DEFAULT '', settings TEXT NOT NULL, revision TEXT NOT NULL DEFAULT '', removed_at REAL
, definition TEXT NOT NULL DEFAULT '', file TEXT NOT NULL DEFAULT '', line INTEGER NOT NULL DEFAULT 0, text TEXT NOT NULL DEFAULT '') STRICT;
INSERT INTO "pipelines" VALUES('p','app','t','/srv/app','[]',NULL,'danubefile.py',3600,5,1.0,1.0,'','{"repository": "/srv/app"}','',NULL,'','',0,'');
CREATE TABLE retired_secrets (
    id TEXT PRIMARY KEY, secret_id TEXT NOT NULL, pipeline_id TEXT, key TEXT NOT NULL, value_encrypted BLOB NOT NULL,
    created_at REAL NOT NULL, retired_at REAL NOT NULL
) STRICT;
CREATE TABLE schema_version (version INTEGER PRIMARY KEY, at REAL NOT NULL) STRICT;
INSERT INTO "schema_version" VALUES(1,1.0);
INSERT INTO "schema_version" VALUES(2,1.0);
INSERT INTO "schema_version" VALUES(3,1.0);
INSERT INTO "schema_version" VALUES(4,1.0);
INSERT INTO "schema_version" VALUES(5,1.0);
INSERT INTO "schema_version" VALUES(6,1.0);
INSERT INTO "schema_version" VALUES(7,1.0);
INSERT INTO "schema_version" VALUES(8,1.0);
INSERT INTO "schema_version" VALUES(9,1.0);
INSERT INTO "schema_version" VALUES(10,1.0);
CREATE TABLE secret_reads (
    job_id TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, sequence INTEGER NOT NULL, key TEXT NOT NULL,
    at REAL NOT NULL, name TEXT NOT NULL DEFAULT '', PRIMARY KEY (job_id, sequence)
) STRICT, WITHOUT ROWID;
INSERT INTO "secret_reads" VALUES('01h00000000000000000000001',1,'TOKEN',2.0,'app/TOKEN');
CREATE TABLE secrets (
    id TEXT PRIMARY KEY, pipeline_id TEXT, key TEXT NOT NULL, value_encrypted BLOB NOT NULL, created_at REAL NOT NULL,
    updated_at REAL NOT NULL, UNIQUE (pipeline_id, key)
) STRICT;
INSERT INTO "secrets" VALUES('s','app','TOKEN',X'00',1.0,1.0);
CREATE TABLE server_state (name TEXT PRIMARY KEY, value TEXT NOT NULL, at REAL NOT NULL) STRICT;
INSERT INTO "server_state" VALUES('key-fingerprint','abc',1.0);
CREATE TABLE sessions (
    id TEXT PRIMARY KEY, secret_hash BLOB NOT NULL UNIQUE, user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    method TEXT NOT NULL, groups TEXT NOT NULL DEFAULT '[]', address TEXT NOT NULL, user_agent TEXT NOT NULL,
    created_at REAL NOT NULL, seen_at REAL NOT NULL, expires_at REAL NOT NULL
) STRICT;
INSERT INTO "sessions" VALUES('se',X'01','u','password','[]','','',1.0,1.0,1000000000000.0);
CREATE TABLE steps (
    id TEXT PRIMARY KEY, job_id TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, name TEXT NOT NULL,
    sequence INTEGER NOT NULL, status TEXT NOT NULL, exit_code INTEGER, started_at REAL, finished_at REAL,
    log_offset_start INTEGER NOT NULL DEFAULT 0, log_offset_end INTEGER NOT NULL DEFAULT 0,
    image TEXT NOT NULL, checked INTEGER NOT NULL, retries INTEGER NOT NULL, timeout_seconds INTEGER NOT NULL,
    attempt INTEGER NOT NULL, phase TEXT NOT NULL, container INTEGER, asked_at REAL, record TEXT, memory_kills INTEGER NOT NULL DEFAULT 0,
    UNIQUE (job_id, sequence)
) STRICT;
INSERT INTO "steps" VALUES('01h00000000000000000000001-0001','01h00000000000000000000001','make',1,'success',0,NULL,NULL,0,0,'host',1,0,0,1,'ended',NULL,NULL,NULL,0);
CREATE TABLE team_members (
    team_id TEXT NOT NULL REFERENCES teams(id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('member', 'admin')),
    PRIMARY KEY (team_id, user_id)
) STRICT;
INSERT INTO "team_members" VALUES('t','u','admin');
CREATE TABLE teams (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_at REAL NOT NULL, global_admin INTEGER NOT NULL DEFAULT 0, removed_at REAL, groups TEXT NOT NULL DEFAULT '[]', updated_at REAL NOT NULL DEFAULT 0) STRICT;
INSERT INTO "teams" VALUES('t','core',1.0,0,NULL,'[]',0.0);
CREATE TABLE tokens (
    id TEXT PRIMARY KEY, secret_hash BLOB NOT NULL UNIQUE, user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    name TEXT NOT NULL, scopes TEXT NOT NULL, groups TEXT NOT NULL DEFAULT '[]', created_at REAL NOT NULL,
    expires_at REAL NOT NULL, used_at REAL, used_from TEXT NOT NULL DEFAULT ''
) STRICT;
INSERT INTO "tokens" VALUES('to',X'02','u','ci','[]','[]',1.0,1000000000000.0,NULL,'');
CREATE TABLE users (
    id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL, oidc_subject TEXT UNIQUE,
    created_at REAL NOT NULL, updated_at REAL NOT NULL
, password_hash TEXT NOT NULL DEFAULT '', removed_at REAL, configured INTEGER NOT NULL DEFAULT 0) STRICT;
INSERT INTO "users" VALUES('u','carol@example.org','carol','sub',1.0,1.0,'',NULL,0);
CREATE INDEX team_members_user ON team_members(user_id);
CREATE INDEX pipeline_permissions_team ON pipeline_permissions(team_id);
CREATE INDEX jobs_pipeline ON jobs(pipeline_id, id);
CREATE INDEX jobs_status ON jobs(status, id);
CREATE INDEX jobs_pipeline_name ON jobs(pipeline, status, id);
CREATE INDEX jobs_open ON jobs(phase) WHERE phase <> 'closed';
CREATE INDEX steps_job ON steps(job_id);
CREATE UNIQUE INDEX secrets_global ON secrets(key) WHERE pipeline_id IS NULL;
CREATE INDEX sessions_user ON sessions(user_id, created_at);
CREATE INDEX sessions_expiry ON sessions(expires_at);
CREATE INDEX tokens_user ON tokens(user_id, created_at);
CREATE INDEX audit_actor ON audit(actor, sequence);
CREATE INDEX audit_action ON audit(action, sequence);
CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'the audit only grows'); END;
CREATE TRIGGER audit_keeps_content BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit only grows'); END;
CREATE INDEX idempotency_age ON idempotency(created_at);
CREATE INDEX jobs_pipeline_newest ON jobs(pipeline, id);
CREATE INDEX jobs_pipeline_branch ON jobs(pipeline, branch, status, id);
CREATE UNIQUE INDEX jobs_origin ON jobs(pipeline_id, origin) WHERE origin <> '';
CREATE INDEX jobs_pipeline_ref ON jobs(pipeline, trigger_ref, id);
CREATE INDEX inbox_open ON inbox(id) WHERE settled_at IS NULL;
CREATE INDEX inbox_settled ON inbox(settled_at) WHERE settled_at IS NOT NULL;
CREATE INDEX outbox_open ON outbox(target, id) WHERE done_at IS NULL;
CREATE INDEX outbox_done ON outbox(done_at) WHERE done_at IS NOT NULL;
CREATE INDEX inbox_source ON inbox(source, id);
CREATE INDEX inbox_repository ON inbox(repository, id);
CREATE INDEX inbox_outcomes_pipeline ON inbox_outcomes(pipeline, entry);
CREATE INDEX secret_reads_name ON secret_reads(name, at);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('audit',1);
INSERT INTO "sqlite_sequence" VALUES('inbox',1);
COMMIT;
