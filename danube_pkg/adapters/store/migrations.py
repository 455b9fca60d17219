"""The schema as numbered steps, append-only: a step that was released is never changed, only followed by another."""

MIGRATIONS: tuple[str, ...] = (
    """
CREATE TABLE users (
    id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL, oidc_subject TEXT UNIQUE,
    created_at REAL NOT NULL, updated_at REAL NOT NULL
) STRICT;
CREATE TABLE teams (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_at REAL NOT NULL) STRICT;
CREATE TABLE team_members (
    team_id TEXT NOT NULL REFERENCES teams(id) ON DELETE CASCADE,
    user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('member', 'admin')),
    PRIMARY KEY (team_id, user_id)
) STRICT;
CREATE INDEX team_members_user ON team_members(user_id);
CREATE TABLE pipelines (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, team_id TEXT REFERENCES teams(id) ON DELETE SET NULL,
    repo_url TEXT NOT NULL, branch_filter TEXT NOT NULL DEFAULT '[]', cron_schedule TEXT,
    config_path TEXT NOT NULL DEFAULT 'danubefile.py',
    max_duration_seconds INTEGER NOT NULL DEFAULT 3600, workspace_size_gb INTEGER NOT NULL DEFAULT 5,
    created_at REAL NOT NULL, updated_at REAL NOT NULL,
    team TEXT NOT NULL DEFAULT '', settings TEXT NOT NULL, revision TEXT NOT NULL DEFAULT '', removed_at REAL
) STRICT;
CREATE TABLE pipeline_permissions (
    pipeline_id TEXT NOT NULL REFERENCES pipelines(id) ON DELETE CASCADE,
    team_id TEXT NOT NULL REFERENCES teams(id) ON DELETE CASCADE,
    level TEXT NOT NULL CHECK (level IN ('read', 'write', 'admin')),
    PRIMARY KEY (pipeline_id, team_id)
) STRICT;
CREATE INDEX pipeline_permissions_team ON pipeline_permissions(team_id);
CREATE TABLE jobs (
    id TEXT PRIMARY KEY, pipeline_id TEXT NOT NULL REFERENCES pipelines(id),
    trigger_type TEXT NOT NULL CHECK (trigger_type IN ('webhook', 'cron', 'manual', 'pipeline')),
    trigger_ref TEXT NOT NULL DEFAULT '', status TEXT NOT NULL, started_at REAL, finished_at REAL,
    log_path TEXT NOT NULL, created_at REAL NOT NULL,
    pipeline TEXT NOT NULL, phase TEXT NOT NULL, reason TEXT NOT NULL, message TEXT NOT NULL,
    generation INTEGER NOT NULL, effect_count INTEGER NOT NULL, outcome TEXT, deadline_at REAL,
    cancelled_by TEXT NOT NULL DEFAULT '', trigger TEXT NOT NULL, settings TEXT NOT NULL
) STRICT;
CREATE INDEX jobs_pipeline ON jobs(pipeline_id, id);
CREATE INDEX jobs_status ON jobs(status, id);
CREATE INDEX jobs_pipeline_name ON jobs(pipeline, status, id);
CREATE INDEX jobs_open ON jobs(phase) WHERE phase <> 'closed';
CREATE TABLE steps (
    id TEXT PRIMARY KEY, job_id TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, name TEXT NOT NULL,
    sequence INTEGER NOT NULL, status TEXT NOT NULL, exit_code INTEGER, started_at REAL, finished_at REAL,
    log_offset_start INTEGER NOT NULL DEFAULT 0, log_offset_end INTEGER NOT NULL DEFAULT 0,
    image TEXT NOT NULL, checked INTEGER NOT NULL, retries INTEGER NOT NULL, timeout_seconds INTEGER NOT NULL,
    attempt INTEGER NOT NULL, phase TEXT NOT NULL, container INTEGER, asked_at REAL, record TEXT,
    UNIQUE (job_id, sequence)
) STRICT;
CREATE INDEX steps_job ON steps(job_id);
CREATE TABLE effects (
    job_id TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, position INTEGER NOT NULL,
    generation INTEGER NOT NULL, kind TEXT NOT NULL, done_at REAL,
    PRIMARY KEY (job_id, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE secrets (
    id TEXT PRIMARY KEY, pipeline_id TEXT, key TEXT NOT NULL, value_encrypted BLOB NOT NULL, created_at REAL NOT NULL,
    updated_at REAL NOT NULL, UNIQUE (pipeline_id, key)
) STRICT;
CREATE UNIQUE INDEX secrets_global ON secrets(key) WHERE pipeline_id IS NULL;
CREATE TABLE retired_secrets (
    id TEXT PRIMARY KEY, secret_id TEXT NOT NULL, pipeline_id TEXT, key TEXT NOT NULL, value_encrypted BLOB NOT NULL,
    created_at REAL NOT NULL, retired_at REAL NOT NULL
) STRICT;
CREATE TABLE secret_reads (
    job_id TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, sequence INTEGER NOT NULL, key TEXT NOT NULL,
    at REAL NOT NULL, PRIMARY KEY (job_id, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE artifacts (
    id TEXT PRIMARY KEY, job_id TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, name TEXT NOT NULL,
    path TEXT NOT NULL, size_bytes INTEGER NOT NULL, created_at REAL NOT NULL, sha256 TEXT NOT NULL,
    UNIQUE (job_id, name)
) STRICT;
""",
    """
ALTER TABLE users ADD COLUMN password_hash TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN removed_at REAL;
ALTER TABLE teams ADD COLUMN global_admin INTEGER NOT NULL DEFAULT 0;
ALTER TABLE teams ADD COLUMN removed_at REAL;
""",
    """
CREATE TABLE sessions (
    id TEXT PRIMARY KEY, secret_hash BLOB NOT NULL UNIQUE, user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    method TEXT NOT NULL, groups TEXT NOT NULL DEFAULT '[]', address TEXT NOT NULL, user_agent TEXT NOT NULL,
    created_at REAL NOT NULL, seen_at REAL NOT NULL, expires_at REAL NOT NULL
) STRICT;
CREATE INDEX sessions_user ON sessions(user_id, created_at);
CREATE INDEX sessions_expiry ON sessions(expires_at);
CREATE TABLE tokens (
    id TEXT PRIMARY KEY, secret_hash BLOB NOT NULL UNIQUE, user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    name TEXT NOT NULL, scopes TEXT NOT NULL, groups TEXT NOT NULL DEFAULT '[]', created_at REAL NOT NULL,
    expires_at REAL NOT NULL, used_at REAL, used_from TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX tokens_user ON tokens(user_id, created_at);
CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
    target TEXT NOT NULL, outcome TEXT NOT NULL, address TEXT NOT NULL, request_id TEXT NOT NULL, details TEXT NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE INDEX audit_actor ON audit(actor, sequence);
CREATE INDEX audit_action ON audit(action, sequence);
CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'the audit only grows'); END;
CREATE TRIGGER audit_keeps_content BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit only grows'); END;
CREATE TABLE idempotency (
    actor TEXT NOT NULL, key TEXT NOT NULL, fingerprint BLOB NOT NULL, reserved_id TEXT NOT NULL, created_at REAL NOT NULL,
    status INTEGER, body BLOB, PRIMARY KEY (actor, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_age ON idempotency(created_at);
CREATE TABLE server_state (name TEXT PRIMARY KEY, value TEXT NOT NULL, at REAL NOT NULL) STRICT;
ALTER TABLE jobs ADD COLUMN branch TEXT NOT NULL DEFAULT '';
UPDATE jobs SET branch = coalesce(json_extract("trigger", '$.branch'), '');
CREATE INDEX jobs_pipeline_newest ON jobs(pipeline, id);
CREATE INDEX jobs_pipeline_branch ON jobs(pipeline, branch, status, id);
""",
    """
ALTER TABLE users ADD COLUMN configured INTEGER NOT NULL DEFAULT 0;
ALTER TABLE teams ADD COLUMN groups TEXT NOT NULL DEFAULT '[]';
ALTER TABLE teams ADD COLUMN updated_at REAL NOT NULL DEFAULT 0;
ALTER TABLE pipelines ADD COLUMN definition TEXT NOT NULL DEFAULT '';
ALTER TABLE pipelines ADD COLUMN file TEXT NOT NULL DEFAULT '';
ALTER TABLE pipelines ADD COLUMN line INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN source_rule TEXT NOT NULL DEFAULT '';
CREATE TABLE configuration (
    id INTEGER PRIMARY KEY CHECK (id = 1), revision TEXT NOT NULL, applied_at REAL NOT NULL, config TEXT NOT NULL
) STRICT;
""",
    """
ALTER TABLE steps ADD COLUMN memory_kills INTEGER NOT NULL DEFAULT 0;
""",
    """
ALTER TABLE jobs ADD COLUMN origin TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX jobs_origin ON jobs(pipeline_id, origin) WHERE origin <> '';
CREATE INDEX jobs_pipeline_ref ON jobs(pipeline, trigger_ref, id);
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, key TEXT NOT NULL, event TEXT NOT NULL,
    received_at REAL NOT NULL, settled_at REAL, outcome TEXT NOT NULL DEFAULT '', UNIQUE (source, key)
) STRICT;
CREATE INDEX inbox_open ON inbox(id) WHERE settled_at IS NULL;
CREATE INDEX inbox_settled ON inbox(settled_at) WHERE settled_at IS NOT NULL;
CREATE TABLE cron_moments (
    pipeline TEXT NOT NULL, schedule TEXT NOT NULL, moment REAL NOT NULL, PRIMARY KEY (pipeline, schedule)
) STRICT, WITHOUT ROWID;
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, target TEXT NOT NULL, channel TEXT NOT NULL,
    news TEXT NOT NULL, address TEXT NOT NULL, only_after_failure INTEGER NOT NULL, created_at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, next_at REAL NOT NULL, problem TEXT NOT NULL DEFAULT '', done_at REAL,
    outcome TEXT NOT NULL DEFAULT '', key TEXT NOT NULL UNIQUE
) STRICT;
CREATE INDEX outbox_open ON outbox(target, id) WHERE done_at IS NULL;
CREATE INDEX outbox_done ON outbox(done_at) WHERE done_at IS NOT NULL;
""",
    """
ALTER TABLE pipelines ADD COLUMN text TEXT NOT NULL DEFAULT '';
""",
    """
ALTER TABLE inbox ADD COLUMN repository TEXT NOT NULL DEFAULT '';
UPDATE inbox SET repository = lower(coalesce(json_extract(event, '$.repository.name'), ''));
CREATE INDEX inbox_source ON inbox(source, id);
CREATE INDEX inbox_repository ON inbox(repository, id);
CREATE TABLE inbox_outcomes (
    entry INTEGER NOT NULL REFERENCES inbox(id) ON DELETE CASCADE, pipeline TEXT NOT NULL, result TEXT NOT NULL,
    why TEXT NOT NULL, job_id TEXT NOT NULL, PRIMARY KEY (entry, pipeline)
) STRICT, WITHOUT ROWID;
CREATE INDEX inbox_outcomes_pipeline ON inbox_outcomes(pipeline, entry);
""",
    """
ALTER TABLE secret_reads ADD COLUMN name TEXT NOT NULL DEFAULT '';
UPDATE secret_reads SET name = coalesce(
    (SELECT jobs.pipeline || '/' || secrets.key FROM jobs JOIN secrets ON secrets.pipeline_id = jobs.pipeline
     WHERE jobs.id = secret_reads.job_id AND secrets.key = secret_reads.key), key);
CREATE INDEX secret_reads_name ON secret_reads(name, at);
""",
    """
ALTER TABLE jobs ADD COLUMN pod_id TEXT NOT NULL DEFAULT '';
UPDATE jobs SET pod_id = id WHERE started_at IS NOT NULL;
""",
    """
ALTER TABLE outbox RENAME COLUMN news TO notification;
""",
    """
CREATE TABLE identities (
    user_id TEXT PRIMARY KEY REFERENCES users(id) ON DELETE CASCADE, issuer TEXT NOT NULL, subject TEXT NOT NULL,
    bound_at REAL NOT NULL, UNIQUE (issuer, subject)
) STRICT;
UPDATE users SET oidc_subject = NULL;
DELETE FROM sessions WHERE method = 'oidc';
ALTER TABLE sessions ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN issuer TEXT NOT NULL DEFAULT '';
""",
    """
CREATE TABLE branch_heads (
    repository TEXT NOT NULL, branch TEXT NOT NULL, commit_sha TEXT NOT NULL, PRIMARY KEY (repository, branch)
) STRICT, WITHOUT ROWID;
CREATE INDEX jobs_approved ON jobs(pipeline_id, id) WHERE json_extract("trigger", '$.approved_by') <> '';
""",
    """
ALTER TABLE steps ADD COLUMN shell TEXT NOT NULL DEFAULT '';
""",
    """
CREATE TABLE forge_repositories (
    source TEXT NOT NULL, host TEXT NOT NULL, id INTEGER NOT NULL, configured TEXT NOT NULL, name TEXT NOT NULL,
    url TEXT NOT NULL, PRIMARY KEY (source, host, id)
) STRICT, WITHOUT ROWID;
ALTER TABLE inbox ADD COLUMN ref TEXT NOT NULL DEFAULT '';
CREATE INDEX inbox_ref ON inbox(repository, ref, id) WHERE ref <> '';
CREATE INDEX outbox_target ON outbox(target, id);
""",
    """
ALTER TABLE steps ADD COLUMN stopping INTEGER NOT NULL DEFAULT 0;
""",
    """
CREATE TABLE heads (
    repository TEXT NOT NULL, ref TEXT NOT NULL, hashes TEXT NOT NULL, change INTEGER NOT NULL,
    PRIMARY KEY (repository, ref)
) STRICT, WITHOUT ROWID;
CREATE TABLE compared_repositories (repository TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
""",
    """
CREATE TABLE kept_jobs (
    job_id TEXT PRIMARY KEY REFERENCES jobs(id) ON DELETE CASCADE, kept_by TEXT NOT NULL, kept_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE removed_files (
    job_id TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, kind TEXT NOT NULL CHECK (kind IN ('logs', 'artifacts')),
    removed_at REAL NOT NULL, size_bytes INTEGER NOT NULL, PRIMARY KEY (job_id, kind)
) STRICT, WITHOUT ROWID;
""",
    """
ALTER TABLE jobs ADD COLUMN configuration TEXT NOT NULL DEFAULT '';
ALTER TABLE steps ADD COLUMN image_digest TEXT NOT NULL DEFAULT '';
CREATE TABLE sealed_records (
    job_id TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, position INTEGER NOT NULL, content TEXT NOT NULL,
    hash TEXT NOT NULL, PRIMARY KEY (job_id, position)
) STRICT, WITHOUT ROWID;
CREATE TABLE provenance (
    job_id TEXT PRIMARY KEY REFERENCES jobs(id) ON DELETE CASCADE, envelope BLOB NOT NULL, key_id TEXT NOT NULL,
    problem TEXT NOT NULL
) STRICT;
CREATE TRIGGER provenance_keeps_content BEFORE UPDATE ON provenance
BEGIN SELECT raise(ABORT, 'a signed statement is not changed'); END;
UPDATE effects SET position = position + 1 WHERE kind = 'delete-pod' AND done_at IS NULL
    AND job_id IN (SELECT id FROM jobs WHERE phase = 'concluding');
INSERT INTO effects (job_id, position, generation, kind)
    SELECT job_id, position - 1, generation, 'sign-provenance' FROM effects WHERE kind = 'delete-pod'
    AND done_at IS NULL AND job_id IN (SELECT id FROM jobs WHERE phase = 'concluding');
UPDATE jobs SET effect_count = effect_count + 1 WHERE phase = 'concluding';
""",
    """
CREATE TABLE managed_hooks (
    repository TEXT PRIMARY KEY, forge TEXT NOT NULL, marker TEXT NOT NULL UNIQUE, secret_encrypted BLOB NOT NULL,
    url TEXT NOT NULL, hook_id TEXT NOT NULL, repository_id INTEGER NOT NULL
) STRICT;
""",
    """
CREATE TABLE registry_manifests (
    registry TEXT NOT NULL, repository TEXT NOT NULL, digest TEXT NOT NULL, seen_at REAL NOT NULL,
    PRIMARY KEY (registry, repository, digest)
) STRICT, WITHOUT ROWID;
""",
    """
ALTER TABLE jobs ADD COLUMN egress_enforced_by TEXT NOT NULL DEFAULT '';
""",
    """
CREATE TABLE pushed_images (
    job_id TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, name TEXT NOT NULL, digest TEXT NOT NULL,
    step INTEGER NOT NULL, pushed_at REAL NOT NULL, PRIMARY KEY (job_id, name)
) STRICT, WITHOUT ROWID;
""",
    """
ALTER TABLE artifacts ADD COLUMN describes TEXT NOT NULL DEFAULT '';
""",
    """
ALTER TABLE pushed_images ADD COLUMN attestation TEXT NOT NULL DEFAULT 'pending';
ALTER TABLE pushed_images ADD COLUMN problem TEXT NOT NULL DEFAULT '';
CREATE INDEX pushed_images_pending ON pushed_images (pushed_at) WHERE attestation = 'pending';
""",
    """
ALTER TABLE steps ADD COLUMN leg TEXT NOT NULL DEFAULT '';
ALTER TABLE steps ADD COLUMN isolation INTEGER NOT NULL DEFAULT 0;
""",
    """
CREATE TABLE caches (
    id TEXT PRIMARY KEY, pipeline TEXT NOT NULL, family TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL,
    ref TEXT NOT NULL, trusted INTEGER NOT NULL, after_secret INTEGER NOT NULL, image TEXT NOT NULL,
    sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL, job_id TEXT NOT NULL, created_at REAL NOT NULL,
    used_at REAL NOT NULL, hits INTEGER NOT NULL, UNIQUE (family, ref, trusted, key)
) STRICT;
CREATE INDEX caches_by_pipeline ON caches(pipeline, used_at);
CREATE INDEX caches_by_content ON caches(sha256);
CREATE TABLE cache_uses (
    job_id TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, sequence INTEGER NOT NULL, name TEXT NOT NULL,
    key TEXT NOT NULL, sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL, source_job TEXT NOT NULL, ref TEXT NOT NULL,
    exact INTEGER NOT NULL, after_secret INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (job_id, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE withheld_jobs (
    job_id TEXT PRIMARY KEY REFERENCES jobs(id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
""",
    """
ALTER TABLE jobs ADD COLUMN reports TEXT NOT NULL DEFAULT '[]';
CREATE TABLE reported_tests (
    job_id TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, sequence INTEGER NOT NULL, position INTEGER NOT NULL,
    name TEXT NOT NULL, status TEXT NOT NULL, seconds REAL NOT NULL, message TEXT NOT NULL, file TEXT NOT NULL,
    line INTEGER NOT NULL, PRIMARY KEY (job_id, sequence, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX failed_tests ON reported_tests (job_id, name) WHERE status = 'failed';
CREATE INDEX jobs_with_reports ON jobs (pipeline_id, id) WHERE reports <> '[]';
""",
    """
ALTER TABLE steps ADD COLUMN retry_delay_seconds INTEGER NOT NULL DEFAULT 0;
ALTER TABLE steps ADD COLUMN retry_on TEXT NOT NULL DEFAULT '[]';
ALTER TABLE steps ADD COLUMN next_attempt_at REAL;
""",
    """
ALTER TABLE jobs ADD COLUMN grace_until REAL;
ALTER TABLE steps ADD COLUMN cleanup INTEGER NOT NULL DEFAULT 0;
""",
    """
ALTER TABLE jobs ADD COLUMN approvals TEXT NOT NULL DEFAULT '[]';
""",
    """
CREATE TABLE artifact_uses (
    job_id TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, sequence INTEGER NOT NULL, name TEXT NOT NULL,
    file_name TEXT NOT NULL, sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL, source_job TEXT NOT NULL,
    pipeline TEXT NOT NULL, ref TEXT NOT NULL, trusted INTEGER NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (job_id, sequence)
) STRICT, WITHOUT ROWID;
""",
    """
CREATE TABLE report_notes (
    job_id TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, sequence INTEGER NOT NULL, note TEXT NOT NULL,
    PRIMARY KEY (job_id, sequence)
) STRICT, WITHOUT ROWID;
""",
    """
ALTER TABLE caches ADD COLUMN step INTEGER NOT NULL DEFAULT 0;
CREATE TABLE uses_of_caches (
    job_id TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE, sequence INTEGER NOT NULL, name TEXT NOT NULL,
    key TEXT NOT NULL, sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL, source_job TEXT NOT NULL, ref TEXT NOT NULL,
    exact INTEGER NOT NULL, after_secret INTEGER NOT NULL, at REAL NOT NULL, step INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job_id, sequence, step)
) STRICT, WITHOUT ROWID;
INSERT INTO uses_of_caches SELECT *, 0 FROM cache_uses;
DROP TABLE cache_uses;
ALTER TABLE uses_of_caches RENAME TO cache_uses;
ALTER TABLE steps ADD COLUMN snapshot TEXT NOT NULL DEFAULT '';
ALTER TABLE steps ADD COLUMN restored_from TEXT NOT NULL DEFAULT '';
ALTER TABLE steps ADD COLUMN before TEXT NOT NULL DEFAULT '';
""",
    """
ALTER TABLE jobs ADD COLUMN kept_pod TEXT NOT NULL DEFAULT '';
""",
)
"""`secrets.pipeline_id` holds the pipeline's name: a secret may be set before its pipeline is configured, and a
pipeline keeps its name for life (a renamed one is another). `users.configured` marks users in the configuration, as
opposed to users of an issuer only; the address is in lower case. `pipelines.definition` is the whole spec as JSON,
`text` its YAML document, and `configuration` the last good `Config`: with them a server has its configuration while the
repository is unreachable. `secret_reads.key` is what a job requested, `name` the secret that it got: `KEY` or
`pipeline/KEY`. `jobs.pod_id` is '' until a job starts; pods of jobs that started before there were pod ids are named by
the job's id. `identities` has the account of an issuer that a user is bound to: `sub` names an account only together
with its issuer (OpenID Connect Core 5.7), so `users.oidc_subject`, of which no row says whose it is, is not used any
more: each user's next login binds anew. `sessions.issuer` and `tokens.issuer` are the issuer at which the user logged
in, '' for a password. `branch_heads` are heads as Git reported them when the server last compared a pull request with
them. `forge_repositories` has the forge's own id of each repository with pipelines, by which a renamed one is known.
`heads` has what was announced of branches and tags; of a repository in `compared_repositories` a head that is not there
was not announced. `kept_jobs` are jobs whose files are never removed by age; a row of `removed_files` is written before
the files of that kind are removed. A job that was ending when its server was upgraded owes `sign-provenance` before
`delete-pod`, as all others do. `caches.job_id` is the job
that has written it, which may be removed since. The caches of a job in `withheld_jobs`, and of one that has read a
secret or restored a cache with `after_secret`, are not read by untrusted code. Rows with a `step`
are snapshots: of that step of `caches.job_id`, or restored in the place of that step of `cache_uses.job_id`."""
