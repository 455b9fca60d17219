"""Errors of registries as users see them: what failed, the cause, and what to do. Pure."""

import json

from danube_pkg.core.images.reference import ImageReference, ImageUnavailable
from danube_pkg.core.images.registries import RegistryEndpoint
from danube_pkg.kit.http_client import ExchangeFailed, Trouble

TRY_OFFLINE = "without a network, load images from files: danube image load FILE"


def permanent_failure(failed: ExchangeFailed) -> ImageUnavailable | None:
    """The error for a request that fails in the same way each time; None if it is worth another try."""
    host, cause = failed.host, str(failed)
    match failed.trouble:
        case Trouble.CERTIFICATE:
            return ImageUnavailable(
                f"registry {host} has a certificate that this machine does not trust",
                cause=cause,
                hint="add its certificate authority to this machine: update-ca-certificates",
            )
        case Trouble.TLS:
            return ImageUnavailable(
                f"registry {host} does not speak TLS",
                cause=cause,
                hint=f"if it uses plain http: danube image pull --http IMAGE; for a server in config.yaml: registries:"
                f" [{{host: {host}, insecure: true}}]",
            )
        case Trouble.REDIRECT_INSECURE:
            return ImageUnavailable(
                f"registry {host} redirects to a URL without TLS",
                cause=cause,
                hint="make the registry's storage reachable by https",
            )
        case Trouble.TOO_LARGE:
            return ImageUnavailable(
                f"registry {host} sent a manifest or a configuration that is too large",
                cause=cause,
                hint="push the image again; if that does not help, check the registry's storage",
            )
    return None


def not_allowed(failed: ExchangeFailed) -> ImageUnavailable:
    """The error for a server that a configured registry refers to, and that must not be contacted."""
    return ImageUnavailable(
        f"the registry refers to {failed.host}, which is not allowed",
        cause="a registry may refer to addresses of the public internet and to servers that are configured themselves",
        hint=f"in config.yaml: registries: [{{host: {failed.host}}}]",
    )


def out_of_reach(host: str) -> ImageUnavailable:
    """The error for every server that only a job has named and that was not reached: it must not tell a port that is
    closed from an address that is not allowed, or a job could explore the server's network."""
    return ImageUnavailable(
        f"registry {host} cannot be reached by this job",
        cause="it has no address that the job may reach, or there is no connection to it",
        hint=f"name it in config.yaml: registries: [{{host: {host}}}], or list it: egress_allowlist; {TRY_OFFLINE}",
    )


def unknown_host(failed: ExchangeFailed) -> ImageUnavailable:
    """The error for a host name without an address."""
    return ImageUnavailable(
        f"there is no host {failed.host}", cause=str(failed), hint=f"check the image's name; {TRY_OFFLINE}"
    )


def unreachable(endpoint: RegistryEndpoint, cause: str, tries: int, written_bytes: int) -> ImageUnavailable:
    """The error after the last try. written_bytes: how much of a layer was received."""
    if written_bytes:
        what = f"the connection to registry {endpoint.host} breaks again and again"
        return ImageUnavailable(
            what, cause=f"after {written_bytes} bytes of a layer: {cause}", hint="check the network"
        )
    return ImageUnavailable(
        f"registry {endpoint.host} cannot be reached",
        cause=f"{cause} (tried {tries} times)" if tries > 1 else cause,
        hint=f"check the network; {TRY_OFFLINE}",
    )


def rate_limited(endpoint: RegistryEndpoint, status: int, message: str, wait_seconds: float) -> ImageUnavailable:
    """The error for a registry that requests a longer pause than is waited for."""
    what = "is rate-limiting this machine" if status == 429 else "is unavailable"
    return ImageUnavailable(
        f"registry {endpoint.host} {what} (HTTP {status})",
        cause=f"it answered {status}{message} and requests a pause of {wait_seconds:g} s",
        hint="log in to the registry, or configure a mirror: registries in config.yaml",
    )


def refused(endpoint: RegistryEndpoint, reference: ImageReference, status: int, message: str) -> ImageUnavailable:
    """The error for a status that another try does not change."""
    if status in (404, 416):
        what, cause = f"registry {endpoint.host} has no image {reference}", message.strip(" :")
        return ImageUnavailable(what, cause=cause, hint="check the name and the tag")
    what = f"registry {endpoint.host} refuses image {reference}"
    return ImageUnavailable(what, cause=f"it answered {status}{message}", hint="check the name")


def access_denied(endpoint: RegistryEndpoint, reference: ImageReference, *, has_credentials: bool) -> ImageUnavailable:
    """The error for a registry that requires credentials, or does not accept these."""
    login = f"docker login {endpoint.host}, or in config.yaml: registries with username and password_secret"
    if has_credentials:
        what = f"registry {endpoint.host} does not let these credentials read {reference}"
        return ImageUnavailable(what, hint=f"check their permissions; other credentials are set by: {login}")
    return ImageUnavailable(f"pulling {reference} from {endpoint.host} requires credentials", hint=login)


def wrong_content(endpoint: RegistryEndpoint, digest: str, found: str) -> ImageUnavailable:
    """The error for a response whose digest is not the requested one."""
    return ImageUnavailable(
        f"registry {endpoint.host} sent other content than requested",
        cause=f"{digest} was requested, the response has the digest {found}",
        hint="check the registry's storage and the proxies between it and this machine",
    )


def error_message(body: bytes) -> str:
    """The message of a registry error response as ": MESSAGE", shortened; empty if it has none."""
    try:
        return f": {str(json.loads(body)['errors'][0]['message'])[:200]}"
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return ""
