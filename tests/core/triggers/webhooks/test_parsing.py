"""The events that each forge's deliveries become."""

import json
from urllib.parse import urlencode

import pytest

from danube_pkg.core.errors import Invalid
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.repositories.urls import same_repository
from danube_pkg.core.triggers.webhooks.deliveries import check_forge, forge_of, parse_delivery, signed_body
from danube_pkg.core.triggers.webhooks.events import (
    BranchDeleted,
    Ignored,
    Ping,
    PullRequest,
    PullRequestChange,
    Push,
    TagDeleted,
    TagPush,
    UnreadableEvent,
    WebhookEvent,
)
from tests.core.triggers.webhooks.recorded import Recorded, one, recorded

A = "95790bf891e76fee5e1747ab589903a6a1f80f22"
B = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7"
GITEA_LIKE = (Forge.GITEA, Forge.FORGEJO)


def event_of(each: Recorded) -> WebhookEvent:
    return parse_delivery(each.forge, each.headers, each.body).event


@pytest.mark.parametrize("each", recorded(), ids=str)
def test_every_recorded_delivery_is_parsed_as_its_forges(each: Recorded) -> None:
    assert forge_of(each.headers) is each.forge
    check_forge(each.forge, each.headers)
    event = event_of(each)
    kind = {
        "push": (Push, TagPush, BranchDeleted, TagDeleted, Ignored),
        "pull_request": (PullRequest, Ignored),
        "ping": (Ping,),
    }
    if each.forge is Forge.GITHUB:
        assert isinstance(event, kind.get(each.name.rsplit("-", 1)[0], (Ignored,)))


def test_githubs_examples_cover_every_event() -> None:
    events = {type(event_of(each)) for each in recorded() if each.forge is Forge.GITHUB}
    assert events == {Push, TagPush, TagDeleted, PullRequest, Ping, Ignored}


def test_a_github_tag_has_its_name_and_commit() -> None:
    assert event_of(one(Forge.GITHUB, "push-0")) == TagPush(
        event_of(one(Forge.GITHUB, "push-4")).repository,  # type: ignore[union-attr,arg-type]
        "simple-tag",
        "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
        "Codertocat",
        "Adding a .gitignore file",
        "Adding a .gitignore file",
        "Codertocat",
        before="0" * 40,
        after="6113728f27ae82c7b1a177c8d03f9e96e0adf246",
    )


def test_githubs_pull_request_actions_that_may_start_something() -> None:
    changes = {}
    for each in recorded():
        if each.name.startswith("pull_request-"):
            event = event_of(each)
            changes[each.document["action"]] = event.change if isinstance(event, PullRequest) else None
    assert {action for action, change in changes.items() if change is not None} == {
        "opened",
        "reopened",
        "synchronize",
        "labeled",
        "ready_for_review",
        "closed",
    }


@pytest.mark.parametrize("forge", [Forge.GITHUB, *GITEA_LIKE])
def test_a_pull_request_from_another_repository_is_a_forks(forge: Forge) -> None:
    known = one(forge, "pull_request-0" if forge is Forge.GITHUB else "pull-request-opened")
    document = known.document
    assert not read(known, document).fork
    document["pull_request"]["head"]["repo"]["id"] = 999
    assert read(known, document).fork
    document["pull_request"]["head"]["repo"] = None
    assert read(known, document).fork, "a fork that was deleted is a fork"


def read(known: Recorded, document: object) -> PullRequest:
    event = parse_delivery(known.forge, known.headers, json.dumps(document).encode()).event
    assert isinstance(event, PullRequest)
    return event


def test_a_gitlab_push_has_the_head_before_it_and_every_url_of_its_repository() -> None:
    event = event_of(one(Forge.GITLAB, "push"))
    assert isinstance(event, Push)
    assert (event.branch, event.commit_sha, event.actor, event.message) == ("master", B, "jsmith", "fixed readme")
    assert event.before == A
    for name in ("https://gitlab.example.org/Mike/Diaspora", "ssh://git@gitlab.example.org/mike/diaspora.git"):
        assert any(same_repository(name, url) for url in event.repository.urls)


@pytest.mark.parametrize(
    ("forge", "subject", "author"),
    [
        (Forge.GITLAB, "fixed readme", "Jordi"),
        (Forge.GITEA, "Webhooks Yay!", "Gitea"),
        (Forge.FORGEJO, "Webhooks Yay!", "Gitea"),
    ],
)
def test_a_push_has_the_first_line_and_the_author_of_its_head(forge: Forge, subject: str, author: str) -> None:
    event = event_of(one(forge, "push"))
    assert isinstance(event, Push)
    assert (event.subject, event.author) == (subject, author)


def test_a_commits_subject_and_author_are_printable_and_bounded() -> None:
    known = one(Forge.GITHUB, "push-4")
    document = known.document
    document["head_commit"]["message"] = "\n" + "<b>\u202eevil\x1b[2J" * 50 + "\nsecond line [skip ci]"
    document["head_commit"]["author"] = {"name": "a" * 1000}
    event = parse_delivery(Forge.GITHUB, known.headers, json.dumps(document).encode()).event
    assert isinstance(event, Push)
    assert event.subject.startswith("<b> evil [2J<b> evil [2J")
    assert (len(event.subject), len(event.author)) == (200, 100)
    assert event.subject.isprintable()
    assert "[skip ci]" in event.message


def test_a_new_branch_has_no_head_before_it() -> None:
    known = one(Forge.GITHUB, "push-4")
    assert known.document["created"]
    event = event_of(known)
    assert isinstance(event, Push)
    assert event.before == "0" * 40


@pytest.mark.parametrize("forge", [Forge.GITHUB, *GITEA_LIKE])
@pytest.mark.parametrize("head", [None, {}, {"id": 7}])
def test_the_head_is_looked_up_in_the_list_of_commits(forge: Forge, head: object) -> None:
    known = one(forge, "push-4" if forge is Forge.GITHUB else "push")
    document = known.document
    commit = {"id": document["after"], "message": "listed\n\nbody", "author": {"name": "Ada"}}
    document.update(head_commit=head, commits=[{"id": "0" * 40, "message": "another"}, None, commit])
    event = parse_delivery(forge, known.headers, json.dumps(document).encode()).event
    assert isinstance(event, Push)
    assert (event.subject, event.author, event.commit_sha) == ("listed", "Ada", document["after"])


RETARGETED: dict[Forge, dict[str, object]] = {
    Forge.GITHUB: {"action": "edited", "changes": {"base": {"ref": {"from": "dev"}, "sha": {"from": A}}}},
    Forge.GITEA: {"action": "edited", "changes": {"ref": {"from": "dev"}}},
    Forge.FORGEJO: {"action": "edited", "changes": {"ref": {"from": "dev"}}},
    Forge.GITLAB: {"changes": {"target_branch": {"previous": "dev", "current": "master"}}},
}


@pytest.mark.parametrize("forge", list(Forge))
def test_another_target_branch_is_an_update_and_a_new_title_is_not(forge: Forge) -> None:
    names = {Forge.GITHUB: "pull_request-0", Forge.GITLAB: "merge-request-opened"}
    known = one(forge, names.get(forge, "pull-request-opened"))
    document = {**known.document, **RETARGETED[forge]}
    if forge is Forge.GITLAB:
        document["object_attributes"]["action"] = "update"
    assert read(known, document).change is PullRequestChange.UPDATED
    for changes in ({"title": {"from": "a"}}, {"draft": {"previous": False, "current": True}}, {}, None):
        document["changes"] = changes
        found = parse_delivery(forge, known.headers, json.dumps(document).encode()).event
        assert isinstance(found, Ignored), "what is built is the same as before"


@pytest.mark.parametrize("forge", list(Forge))
def test_a_reopened_request_is_opened(forge: Forge) -> None:
    names = {Forge.GITHUB: "pull_request-0", Forge.GITLAB: "merge-request-opened"}
    known = one(forge, names.get(forge, "pull-request-opened"))
    document = {**known.document, "action": "reopened"}
    if forge is Forge.GITLAB:
        document["object_attributes"]["action"] = "reopen"
    assert read(known, document).change is PullRequestChange.OPENED


@pytest.mark.parametrize("path", ["api/Icon\r", "a\tb", "a\nb", "x" * 4096, "\ud800", "", 7, None])
@pytest.mark.parametrize("forge", list(Forge))
def test_a_file_may_have_any_name(forge: Forge, path: object) -> None:
    known = one(forge, "push-4" if forge is Forge.GITHUB else "push")
    document = known.document
    for commit in document["commits"]:
        commit["added"] = [path]
    found = parse_delivery(forge, known.headers, json.dumps(document).encode()).event
    assert isinstance(found, Push)


@pytest.mark.parametrize("forge", [Forge.GITLAB, *GITEA_LIKE])
def test_an_annotated_tag_has_the_commit_it_points_to(forge: Forge) -> None:
    event = event_of(one(forge, "tag"))
    assert isinstance(event, TagPush)
    assert (event.tag, event.commit_sha) == ("v1.0.0", B)


@pytest.mark.parametrize("forge", [Forge.GITLAB, *GITEA_LIKE])
def test_a_deleted_branch_is_an_event(forge: Forge) -> None:
    event = event_of(one(forge, "branch-deleted"))
    assert isinstance(event, BranchDeleted)


@pytest.mark.parametrize(
    ("name", "change", "fork"),
    [
        ("merge-request-opened", PullRequestChange.OPENED, False),
        ("merge-request-fork", PullRequestChange.OPENED, True),
        ("merge-request-updated", PullRequestChange.UPDATED, False),
        ("merge-request-merged", PullRequestChange.CLOSED, False),
    ],
)
def test_gitlabs_merge_requests(name: str, change: PullRequestChange, fork: bool) -> None:
    event = event_of(one(Forge.GITLAB, name))
    assert isinstance(event, PullRequest)
    assert (event.change, event.fork, event.number, event.commit_sha) == (change, fork, 1, B)
    assert (event.ref, event.source_branch, event.target_branch) == (
        "refs/merge-requests/1/head",
        "ms-viewport",
        "master",
    )


def test_a_new_label_is_a_change_of_its_own() -> None:
    assert event_of(one(Forge.GITLAB, "merge-request-relabelled")) == Ignored("merge_request update")  # none was added
    event = event_of(one(Forge.GITEA, "pull-request-labelled"))
    assert isinstance(event, PullRequest)
    assert event.change is PullRequestChange.LABELED


@pytest.mark.parametrize("forge", GITEA_LIKE)
def test_gitea_and_forgejo_pull_requests(forge: Forge) -> None:
    event = event_of(one(forge, "pull-request-fork"))
    assert isinstance(event, PullRequest)
    assert (event.fork, event.source_repository, event.base_sha) == (True, "newcomer/webhooks", A)
    updated = event_of(one(forge, "pull-request-updated"))
    assert isinstance(updated, PullRequest)
    assert (updated.change, updated.fork) == (PullRequestChange.UPDATED, False)


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("forge", [Forge.GITHUB, *GITEA_LIKE])
def test_a_form_has_the_document_as_a_field(forge: Forge) -> None:
    known = one(forge, "push-4" if forge is Forge.GITHUB else "push")
    headers = {**known.headers, "content-type": FORM}
    body = urlencode({"payload": known.body.decode()}).encode()
    assert parse_delivery(forge, headers, body).event == event_of(known)
    assert signed_body(forge, headers, body) == (body if forge is Forge.GITHUB else known.body)
    assert signed_body(forge, known.headers, known.body) == known.body
    assert signed_body(Forge.GITEA, headers, b"\xff") == b"", "without a document no signature is valid"


def test_gitlab_sends_no_forms() -> None:
    known = one(Forge.GITLAB, "push")
    found = parse_delivery(Forge.GITLAB, {**known.headers, "content-type": FORM}, b"payload=%7B%7D").event
    assert isinstance(found, UnreadableEvent)
    assert "it is a form" in found.why


def test_forges_that_send_each_others_headers_are_distinguished() -> None:
    forgejo = one(Forge.FORGEJO, "push")
    assert {"x-gitea-event", "x-github-event"} <= set(forgejo.headers)
    with pytest.raises(Invalid, match="a delivery of forgejo, but the path is for github") as refused:
        check_forge(Forge.GITHUB, forgejo.headers)
    assert refused.value.hint.endswith("/hooks/forgejo")
    with pytest.raises(Invalid, match="not a webhook"):
        check_forge(Forge.GITHUB, {"content-type": "application/json"})


@pytest.mark.parametrize("forge", list(Forge))
def test_a_delivery_without_a_usable_id_is_known_by_its_content(forge: Forge) -> None:
    known = one(forge, "push-4" if forge is Forge.GITHUB else "push")
    headers = {name: value for name, value in known.headers.items() if "deliver" not in name and "uuid" not in name}
    headers.pop("idempotency-key", None)
    first, again = (parse_delivery(forge, headers, known.body) for _ in range(2))
    other = parse_delivery(forge, headers, known.body + b" ")
    assert first.event == event_of(known)
    assert first.id == again.id != other.id
    assert first.id.startswith("sha256-")


@pytest.mark.parametrize("name", ["push", "tag", "merge-request-opened"])
def test_a_hook_of_the_whole_gitlab_is_read_like_a_projects(name: str) -> None:
    known = one(Forge.GITLAB, name)
    headers = {**known.headers, "x-gitlab-event": "System Hook"}
    assert parse_delivery(Forge.GITLAB, headers, known.body).event == event_of(known)
    other = parse_delivery(Forge.GITLAB, headers, b'{"event_name": "user_create"}').event
    assert other == Ignored("system hook user_create")


ODD = ["", 7, None, [], {}, "x" * 5000, "a\nb\t\x00", "\ud800"]


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize("forge", [Forge.GITHUB, *GITEA_LIKE])
def test_no_delivery_is_lost_for_an_odd_value_that_decides_nothing(forge: Forge, value: object) -> None:
    known = one(forge, "pull_request-0" if forge is Forge.GITHUB else "pull-request-opened")
    document = known.document
    pull = document["pull_request"]
    pull["title"] = pull["html_url"] = pull["user"] = document["sender"] = value
    document["repository"]["html_url"] = value
    found, usual = read(known, document), event_of(known)
    assert isinstance(usual, PullRequest)
    assert (found.commit_sha, found.number, found.fork) == (usual.commit_sha, usual.number, usual.fork)


@pytest.mark.parametrize("ref", ["refs/notes/commits", "refs/for/main", "refs/heads/", "HEAD", "refs/changes/01/1/2"])
@pytest.mark.parametrize("forge", list(Forge))
def test_a_push_of_another_ref_is_ignored(forge: Forge, ref: str) -> None:
    known = one(forge, "push-4" if forge is Forge.GITHUB else "push")
    document = {**known.document, "ref": ref}
    found = parse_delivery(forge, known.headers, json.dumps(document).encode()).event
    assert found == Ignored(f"push to {ref}")


@pytest.mark.parametrize("forge", list(Forge))
def test_a_delivery_without_what_decides_is_unreadable_and_says_why(forge: Forge) -> None:
    known = one(forge, "push-4" if forge is Forge.GITHUB else "push")
    document = known.document
    document["after"] = "no hash"
    document.pop("checkout_sha", None)
    found = parse_delivery(forge, known.headers, json.dumps(document).encode())
    assert isinstance(found.event, UnreadableEvent)
    assert found.refused is not None
    assert "after must be a commit's hash" in found.event.why
    assert found.event.repository


def test_gitlabs_attempts_of_one_delivery_have_one_id() -> None:
    known = one(Forge.GITLAB, "push")
    first = parse_delivery(Forge.GITLAB, known.headers, known.body)
    again = parse_delivery(Forge.GITLAB, {**known.headers, "x-gitlab-event-uuid": "another"}, known.body)
    assert first.id == again.id == known.headers["idempotency-key"]
