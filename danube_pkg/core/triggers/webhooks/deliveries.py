"""From a request's headers and body to a webhook delivery: the forge, the delivery's id, the typed event."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from danube_pkg.core.errors import Invalid
from danube_pkg.core.repositories.forges import Forge
from danube_pkg.core.triggers.webhooks import gitea, github, gitlab
from danube_pkg.core.triggers.webhooks.commits import Parser
from danube_pkg.core.triggers.webhooks.events import Ignored, WebhookEvent
from danube_pkg.core.triggers.webhooks.payload import read_object, refusal
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
    """One delivery. id: the forge's own, which is the same when the delivery is repeated."""

    forge: Forge
    id: str
    event: WebhookEvent


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
    """The delivery in a request whose signature is valid. Raises Invalid."""
    delivery_id = next((headers[name] for name in _ID_HEADERS[forge] if headers.get(name)), "")
    if not _ID.fullmatch(delivery_id):
        raise refusal(
            f"it has no usable {_ID_HEADERS[forge][0]}", "without its id a repeated delivery cannot be recognised"
        )
    name = headers.get(EVENT_HEADERS[forge], "")
    parser = _PARSERS[forge].get(name)
    if parser is None:
        return WebhookDelivery(forge, delivery_id, Ignored(name[:100]))
    return WebhookDelivery(forge, delivery_id, parser(read_object(_document(forge, headers, body))))


def _document(forge: Forge, headers: Mapping[str, str], body: bytes) -> bytes:
    """The JSON document of a body, which GitHub may send as a field of a form."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return body
    if forge is not Forge.GITHUB:
        raise refusal("it is a form", "only GitHub's deliveries may be forms")
    try:
        fields = dict(parse_qsl(body.decode("ascii"), max_num_fields=10, errors="strict"))
    except ValueError as error:
        raise refusal("it is not a valid form", str(error)) from error
    return fields.get("payload", "").encode(errors="surrogatepass")
