"""Hypothesis strategies for configurations: states that documents could have, small enough to read when one fails."""

from hypothesis import strategies as st

from danube_pkg.core.configuration.config import (
    ConfigSpec,
    RetentionSpec,
    ServerSpec,
    SmtpSpec,
)
from danube_pkg.core.configuration.notifications import SlackNotification
from danube_pkg.core.configuration.people import MemberSpec
from danube_pkg.core.configuration.pipelines import (
    ConcurrencySpec,
    ParamSpec,
    ParamType,
    PermissionSpec,
    PipelineSpec,
    ResourceSpec,
    TriggerKind,
    TriggerSpec,
)
from danube_pkg.core.configuration.state import PipelineDefinition, State, Team, User
from danube_pkg.core.identity.access import Level, TeamRole
from danube_pkg.core.repositories.git_authentication import (
    GithubApp,
    GitlabToken,
    HttpsToken,
    SshKey,
)
from danube_pkg.kit.records import replace

NAMES = ("alpha", "beta", "gamma", "delta")
EMAILS = tuple(f"{name}@example.com" for name in NAMES)

_texts = st.sampled_from(("", "x", "naïve ≤ text", 'it\'s "quoted"', "two\nlines"))
_rules = st.sampled_from(
    (
        GithubApp("app", "1", "2", "key", ("github.com/a/*",)),
        GitlabToken("lab", "https://gitlab.example.org", "token", ("gitlab.example.org/*",)),
        SshKey("ssh", ("*",), private_key_secret="key"),
        HttpsToken("forgejo", "token", ("*",), forge="forgejo"),
    )
)

configs = st.builds(
    ConfigSpec,
    server=st.builds(ServerSpec, bind_address=st.sampled_from(("", "0.0.0.0:8080"))),
    retention=st.builds(RetentionSpec, logs_days=st.integers(1, 3650)),
    max_concurrent_jobs=st.integers(1, 10_000),
    egress_allowlist=st.lists(st.sampled_from(("a.example", "*.b.example")), max_size=2).map(tuple),
    git_authentication=st.lists(_rules, max_size=3).map(tuple),
    smtp=st.none() | st.builds(SmtpSpec, host=st.just("mail.example"), sender=st.just("ci@example.com")),
)
users = st.builds(User, email=st.sampled_from(EMAILS), name=st.sampled_from(NAMES), password_hash=_texts)
_triggers = st.builds(
    TriggerSpec, kind=st.sampled_from(TriggerKind), schedule=_texts, jitter_seconds=st.integers(0, 3600)
)
_params = st.dictionaries(
    st.sampled_from(NAMES),
    st.builds(ParamSpec, type=st.sampled_from(ParamType), default=st.none() | _texts),
    max_size=2,
)
_specs = st.builds(
    PipelineSpec,
    repository=st.sampled_from(("/srv/app", "https://example.org/app")),
    branch_filter=st.lists(st.sampled_from(("main", "release/*")), max_size=2).map(tuple),
    triggers=st.lists(_triggers, max_size=3).map(tuple),
    max_duration_seconds=st.integers(1, 7 * 86400),
    concurrency=st.none() | st.builds(ConcurrencySpec, group=_texts, cancel_in_progress=st.booleans()),
    resources=st.builds(ResourceSpec, cpu=st.floats(0, 1024, allow_subnormal=False), memory_mb=st.integers(0, 9)),
    params=_params,
    node_selector=st.dictionaries(_texts, _texts, max_size=2),
    notifications=st.lists(st.builds(SlackNotification, url_secret=st.just("hook")), max_size=1).map(tuple),
    badge=st.booleans(),
)


@st.composite
def states(draw: st.DrawFn) -> State:
    """A state whose references lead somewhere, as checked documents have it."""
    people = {one.email: one for one in draw(st.lists(users, max_size=4))}
    teams: dict[str, Team] = {}
    for name in draw(st.sets(st.sampled_from(NAMES), max_size=3)):
        emails = sorted(draw(st.sets(st.sampled_from(sorted(people)), max_size=4))) if people else []
        members = tuple(MemberSpec(email, draw(st.sampled_from(TeamRole))) for email in emails)
        groups = draw(st.lists(_texts, max_size=2).map(tuple))
        teams[name] = Team(name, members, draw(st.booleans()), groups)
    pipelines: dict[str, PipelineDefinition] = {}
    for name in draw(st.sets(st.sampled_from(NAMES), max_size=4)):
        owner = draw(st.sampled_from(("", *sorted(teams))))
        given = draw(st.sets(st.sampled_from(sorted(teams)), max_size=3)) if teams else set()
        permissions = tuple(PermissionSpec(team, draw(st.sampled_from(Level))) for team in sorted(given))
        pipelines[name] = PipelineDefinition(name, owner, replace(draw(_specs), permissions=permissions))
    return State(draw(configs), people, teams, pipelines)
