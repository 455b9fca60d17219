"""From a request's headers and body to a webhook delivery: the forge, the delivery's id, the typed event."""

import hashlib
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from danube_pkg.core.errors import Invalid
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.triggers.webhooks import gitea, github, gitlab
from danube_pkg.core.triggers.webhooks.commits import MAX_WHAT, Parser
from danube_pkg.core.triggers.webhooks.events import Ignored, UnreadableEvent, WebhookEvent
from danube_pkg.core.triggers.webhooks.payload import MAX_NAME, Payload, read_object, refusal
from danube_pkg.kit.records import Record

MAX_BODY_BYTES = 25 * 1024**2
"""GitHub's limit; the other forges send less."""

EVENT_HEADERS: Mapping[Forge, str] = {
    Forge.FORGEJO: "x-forgejo-event",
    Forge.GITEA: "x-gitea-event",
    Forge.GITLAB: "x-gitlab-event",
    Forge.GITHUB: "x-github-event",
}
"""In the order in which they are tried: Forgejo sends Gitea's headers as well, and both send GitHub's."""

MAX_WHY = 500
"""Characters of the reason that is stored of a delivery that could not be read."""

_ID_HEADERS: Mapping[Forge, tuple[str, ...]] = {
    Forge.FORGEJO: ("x-forgejo-delivery",),
    Forge.GITEA: ("x-gitea-delivery",),
    # The first two are the same for each attempt of one delivery; the newer signature covers the first.
    Forge.GITLAB: ("webhook-id", "idempotency-key", "x-gitlab-event-uuid"),
    Forge.GITHUB: ("x-github-delivery",),
}
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")

_PARSERS: Mapping[Forge, Mapping[str, Parser]] = {
    Forge.FORGEJO: gitea.PARSERS,
    Forge.GITEA: gitea.PARSERS,
    Forge.GITLAB: gitlab.PARSERS,
    Forge.GITHUB: github.PARSERS,
}


class WebhookDelivery(Record):
    """One delivery. id: the forge's own, which is the same when the delivery is repeated. refused: why its content
    could not be read; None for any other event than an `UnreadableEvent`."""

    forge: Forge
    id: str
    event: WebhookEvent
    refused: Invalid | None = None


def forge_of(headers: Mapping[str, str]) -> Forge | None:
    """The forge that sent the request, by its headers (names in lower case); None where it is not a webhook."""
    return next((forge for forge, name in EVENT_HEADERS.items() if name in headers), None)


def check_forge(expected: Forge, headers: Mapping[str, str]) -> None:
    """Raises Invalid unless the delivery comes from the forge that the path names."""
    found = forge_of(headers)
    if found is expected:
        return
    what = f"a delivery of {found}" if found is not None else "not a webhook of a supported forge"
    raise Invalid(
        "hook-of-another-forge",
        f"this is {what}, but the path is for {expected}",
        hint=f"let the webhook's URL end with /hooks/{found}" if found is not None else "see the manual: webhooks",
    )


def parse_delivery(forge: Forge, headers: Mapping[str, str], body: bytes) -> WebhookDelivery:
    """The delivery in a request whose signature is valid. What cannot be read is an `UnreadableEvent`."""
    delivery_id, name = _id_of(forge, headers, body), headers.get(EVENT_HEADERS[forge], "")
    parser = _PARSERS[forge].get(name)
    if parser is None:
        return WebhookDelivery(forge, delivery_id, Ignored(name[:MAX_WHAT]))
    document: Payload | None = None
    try:
        document = read_object(document_of(forge, headers, body))
        return WebhookDelivery(forge, delivery_id, parser(document))
    except Invalid as error:
        event = UnreadableEvent(name[:MAX_WHAT], str(error)[:MAX_WHY], _repository_name(document))
        return WebhookDelivery(forge, delivery_id, event, error)


def signed_body(forge: Forge, headers: Mapping[str, str], body: bytes) -> bytes:
    """The bytes that the forge signs: the body, but of a form of Gitea and Forgejo the JSON document in it.

    A form that cannot be read has no document, and so no valid signature.
    """
    if forge not in (Forge.GITEA, Forge.FORGEJO) or not _is_form(headers):
        return body
    try:
        return document_of(forge, headers, body)
    except Invalid:
        return b""


def _id_of(forge: Forge, headers: Mapping[str, str], body: bytes) -> str:
    """The forge's own id; that of the content where it sends none, as older releases of GitLab."""
    found = next((headers[name] for name in _ID_HEADERS[forge] if headers.get(name)), "")
    return found if _ID.fullmatch(found) else f"sha256-{hashlib.sha256(body).hexdigest()}"


def _repository_name(document: Payload | None) -> str:
    found = [document.maybe(key) for key in ("repository", "project")] if document is not None else []
    names = [one.text(key) for one in found if one is not None for key in ("full_name", "path_with_namespace")]
    return next(filter(None, names), "")[:MAX_NAME]


def _is_form(headers: Mapping[str, str]) -> bool:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/x-www-form-urlencoded"


def document_of(forge: Forge, headers: Mapping[str, str], body: bytes) -> bytes:
    """The JSON document of a body, which may be a field of a form. Raises Invalid."""
    if not _is_form(headers):
        return body
    if forge is Forge.GITLAB:
        raise refusal("it is a form", "GitLab sends no forms")
    try:
        fields = dict(parse_qsl(body.decode("ascii"), max_num_fields=10, errors="strict"))
    except ValueError as error:
        raise refusal("it is not a valid form", str(error)) from error
    return fields.get("payload", "").encode(errors="surrogatepass")
