"""The table of routes: method, path, action and resource. Everything else is answered with 404 or 405."""

from functools import cache
from typing import Any

from danube_pkg.core.artifacts.artifact import MAX_NAME_LENGTH
from danube_pkg.core.identity.access import Action
from danube_pkg.core.images.registry_tokens import TOKEN_PATH
from danube_pkg.core.jobs.id_tokens import DISCOVERY_PATH, KEYS_PATH
from danube_pkg.edges.http.resources import (
    artifacts,
    audit,
    badges,
    configuration,
    definition,
    deliveries,
    dex,
    docs,
    egress,
    events,
    forges,
    health,
    id_tokens,
    jobs,
    keys,
    log_lines,
    login,
    logs,
    me,
    metrics,
    pipelines,
    provenance,
    registry_tokens,
    reports,
    retention,
    secrets,
    system,
    teams,
    users,
    web_page,
    webhooks,
)
from danube_pkg.edges.http.server import openapi
from danube_pkg.edges.http.server.resource import Route, endpoint_of

PATTERNS = {
    "job": jobs.JOB_PATTERN,
    "pipeline": pipelines.NAME_PATTERN,
    "badge": rf"{pipelines.NAME_PATTERN}\.svg",
    "artifact": rf"[A-Za-z0-9_][A-Za-z0-9_.@+-]{{0,{MAX_NAME_LENGTH - 1}}}",
    "key": r"[^/\\\x00-\x1f\x7f]{1,200}",
    "forge": webhooks.FORGE_PATTERN,
    "session": r"[0-9a-z]{1,64}",
    "user": r"[^/\\\x00-\x1f\x7f]{1,254}",
    "token": r"[0-9a-z]{1,64}",
    "rest": r"[^\x00-\x20]{1,1000}",
}
"""The regular expression of each path parameter. A path that does not match is answered with 404 before any handler
runs."""


PAGE_PATHS = (
    "/",
    "/pipelines/{pipeline}",
    "/jobs/{job}",
    "/queue",
    "/configuration",
    "/secrets",
    "/audit",
    "/account",
    "/login",
)
"""The paths of the page's own router, as in web/src/app.tsx."""

ROUTES = (
    *(Route("GET", path, Action.SEE_PAGE, web_page.Page, documented=False) for path in PAGE_PATHS),
    Route("GET", "/assets/{rest*}", Action.SEE_PAGE, web_page.PageAssets, documented=False),
    Route("GET", "/favicon.svg", Action.SEE_PAGE, web_page.PageRoot, documented=False),
    Route("GET", "/theme.js", Action.SEE_PAGE, web_page.PageRoot, documented=False),
    Route("GET", "/health", Action.SEE_HEALTH, health.Health),
    Route("GET", "/health/ready", Action.SEE_HEALTH, health.Readiness),
    Route("GET", "/badges/{badge}", Action.SEE_PAGE, badges.Badge),
    Route("GET", "/metrics", Action.SEE_METRICS, metrics.Metrics),
    Route("GET", "/docs", Action.SEE_DOCUMENTATION, docs.Docs),
    Route("GET", "/docs/style.css", Action.SEE_DOCUMENTATION, docs.DocsStyle),
    Route("GET", "/api/v1/openapi.json", Action.SEE_DOCUMENTATION, docs.OpenApi),
    Route("GET", "/auth/methods", Action.LOG_IN, login.LoginMethods),
    Route("GET", "/auth/login", Action.LOG_IN, login.BeginLogin),
    Route("GET", "/auth/callback", Action.LOG_IN, login.LoginCallback),
    Route("POST", "/auth/password", Action.LOG_IN, login.PasswordLogin),
    Route("POST", "/auth/token", Action.LOG_IN, login.PasswordToken),
    Route("POST", "/auth/device", Action.LOG_IN, login.DeviceLoginResource),
    Route("POST", "/auth/device/token", Action.LOG_IN, login.DeviceToken),
    Route("POST", "/auth/logout", Action.END_OWN_SESSION, login.Logout),
    Route("GET", "/dex/{rest*}", Action.LOG_IN, dex.DexResource),
    Route("POST", "/dex/{rest*}", Action.LOG_IN, dex.DexResource),
    Route("GET", TOKEN_PATH, Action.ISSUE_REGISTRY_TOKEN, registry_tokens.RegistryTokenService, documented=False),
    Route("POST", "/hooks/{forge}", Action.RECEIVE_HOOK, webhooks.WebhookReceiver),
    Route("GET", "/api/v1/me", Action.SEE_SELF, me.Me),
    Route("GET", "/api/v1/sessions", Action.SEE_SELF, me.SessionsResource),
    Route("DELETE", "/api/v1/sessions/{session}", Action.END_OWN_SESSION, me.OneSession),
    Route("GET", "/api/v1/tokens", Action.SEE_SELF, me.TokensResource),
    Route("POST", "/api/v1/tokens", Action.MANAGE_OWN_TOKENS, me.TokensResource),
    Route("DELETE", "/api/v1/tokens/{token}", Action.MANAGE_OWN_TOKENS, me.OneToken),
    Route("GET", "/api/v1/pipelines", Action.LIST_PIPELINES, pipelines.Pipelines),
    Route("GET", "/api/v1/pipelines/{pipeline}", Action.SEE_PIPELINE, pipelines.OnePipeline),
    Route("GET", "/api/v1/pipelines/{pipeline}/stats", Action.SEE_PIPELINE, pipelines.PipelineStatistics),
    Route("POST", "/api/v1/pipelines/{pipeline}/jobs", Action.TRIGGER, pipelines.PipelineJobs),
    Route("GET", "/api/v1/jobs", Action.LIST_JOBS, jobs.Jobs),
    Route("GET", "/api/v1/jobs/{job}", Action.SEE_JOB, jobs.OneJob),
    Route("GET", "/api/v1/jobs/{job}/explanation", Action.SEE_JOB, jobs.JobExplanation),
    Route("POST", "/api/v1/jobs/{job}/cancel", Action.CANCEL, jobs.JobCancel),
    Route("POST", "/api/v1/jobs/{job}/rerun", Action.RERUN, jobs.JobRerun),
    Route("POST", "/api/v1/jobs/{job}/approve", Action.APPROVE, jobs.JobApprove),
    Route("GET", "/api/v1/jobs/{job}/keep", Action.SEE_JOB, retention.JobKeep),
    Route("PUT", "/api/v1/jobs/{job}/keep", Action.KEEP, retention.JobKeep),
    Route("DELETE", "/api/v1/jobs/{job}/keep", Action.KEEP, retention.JobKeep),
    Route("GET", "/api/v1/jobs/{job}/log", Action.READ_LOG, logs.JobLogResource),
    Route("GET", "/api/v1/jobs/{job}/log/lines", Action.READ_LOG, log_lines.JobLogLines),
    Route("GET", "/api/v1/jobs/{job}/log/sections", Action.READ_LOG, log_lines.JobLogSections),
    Route("GET", "/api/v1/jobs/{job}/log/search", Action.READ_LOG, logs.JobLogSearch),
    Route("GET", "/api/v1/jobs/{job}/log/time", Action.READ_LOG, logs.JobLogTime),
    Route("GET", "/api/v1/jobs/{job}/events", Action.READ_LOG, events.JobEvents),
    Route("GET", "/api/v1/jobs/{job}/egress", Action.SEE_JOB, egress.JobEgress),
    Route("GET", "/api/v1/jobs/{job}/tests", Action.SEE_JOB, reports.JobTests),
    Route("GET", "/api/v1/jobs/{job}/artifacts", Action.SEE_JOB, artifacts.ArtifactsResource),
    Route("GET", "/api/v1/jobs/{job}/artifacts/{artifact}", Action.DOWNLOAD, artifacts.OneArtifact),
    Route(
        "GET",
        "/api/v1/jobs/{job}/artifacts/{artifact}/provenance",
        Action.DOWNLOAD,
        provenance.ArtifactProvenance,
    ),
    Route("GET", "/api/v1/jobs/{job}/provenance", Action.DOWNLOAD, provenance.JobProvenance),
    Route("GET", "/api/v1/jobs/{job}/export", Action.READ_LOG, provenance.JobExport),
    Route("GET", "/api/v1/jobs/{job}/secrets", Action.SEE_JOB, secrets.JobSecrets),
    Route("GET", "/api/v1/forges/check", Action.SEE_CONFIGURATION, forges.ForgeCheck),
    Route("GET", "/api/v1/deliveries", Action.LIST_DELIVERIES, deliveries.Deliveries),
    Route("GET", "/api/v1/events", Action.LIST_JOBS, events.ListEvents),
    Route("GET", "/api/v1/secrets", Action.SEE_GLOBAL_SECRET_NAMES, secrets.SecretNames),
    Route("PUT", "/api/v1/secrets/{key}", Action.SET_GLOBAL_SECRETS, secrets.OneSecret),
    Route("DELETE", "/api/v1/secrets/{key}", Action.SET_GLOBAL_SECRETS, secrets.OneSecret),
    Route("GET", "/api/v1/pipelines/{pipeline}/secrets", Action.SEE_SECRET_NAMES, secrets.SecretNames),
    Route("PUT", "/api/v1/pipelines/{pipeline}/secrets/{key}", Action.SET_SECRETS, secrets.OneSecret),
    Route("DELETE", "/api/v1/pipelines/{pipeline}/secrets/{key}", Action.SET_SECRETS, secrets.OneSecret),
    Route("GET", "/api/v1/teams", Action.SEE_TEAMS, teams.Teams),
    Route("GET", "/api/v1/users", Action.SEE_USERS, users.UsersResource),
    Route("DELETE", "/api/v1/users/{user}/identity", Action.MANAGE_USERS, users.UserIdentity),
    Route("DELETE", "/api/v1/users/{user}/sessions", Action.MANAGE_USERS, users.UserSessions),
    Route("DELETE", "/api/v1/users/{user}/tokens", Action.MANAGE_USERS, users.UserTokens),
    Route("GET", "/api/v1/audit", Action.SEE_AUDIT, audit.AuditResource),
    Route("GET", "/api/v1/audit/check", Action.SEE_AUDIT, audit.AuditCheck),
    Route("GET", "/api/v1/config", Action.SEE_CONFIGURATION, configuration.ConfigurationState),
    Route("POST", "/api/v1/config/plan", Action.SEE_CONFIGURATION, configuration.PlanConfiguration),
    Route("GET", "/api/v1/pipelines/{pipeline}/definition", Action.SEE_PIPELINE, definition.PipelineDefinitionResource),
    Route("POST", "/api/v1/config/sync", Action.SYNC_CONFIGURATION, configuration.SyncConfiguration),
    Route("GET", "/.well-known/danube-signing-keys.json", Action.SEE_SIGNING_KEYS, keys.SigningKeysResource),
    Route("GET", DISCOVERY_PATH, Action.SEE_SIGNING_KEYS, id_tokens.IdentityDiscovery),
    Route("GET", KEYS_PATH, Action.SEE_SIGNING_KEYS, id_tokens.IdentityKeySet),
    Route("POST", "/api/v1/keys/rotate", Action.ROTATE_SIGNING_KEY, keys.RotateSigningKey),
    Route("GET", "/api/v1/system", Action.SEE_SYSTEM, system.System),
    Route("POST", "/api/v1/system/drain", Action.DRAIN, system.Drain),
    Route("POST", "/api/v1/system/drain/cancel", Action.DRAIN, system.DrainCancel),
    Route("POST", "/api/v1/system/resume", Action.DRAIN, system.Resume),
    Route("GET", "/api/v1/system/retention", Action.SEE_SYSTEM, retention.RetentionState),
    Route("POST", "/api/v1/system/reap", Action.REAP, retention.Reap),
)


@cache
def api_document() -> dict[str, Any]:
    """The OpenAPI document of the documented routes."""
    return openapi.document(
        [(route, endpoint_of(route.resource, route.method)) for route in ROUTES if route.documented], PATTERNS
    )
