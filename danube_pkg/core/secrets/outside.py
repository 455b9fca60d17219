"""Secrets that are kept outside of Danube: where they are read from, and when a job may read one. Pure."""

from typing import Annotated, Protocol

from danube_pkg.core.documents.marked import rule
from danube_pkg.core.secrets.secret import SecretName
from danube_pkg.kit.records import HIDDEN, Record


class VaultSettings(Record):
    """`[secrets.vault]`: OpenBao or another server with HashiCorp's KV engine, version 2."""

    url: Annotated[str, rule("Where it is reached, as https://HOST:PORT.", pattern=r"https?://[^\s/]+")]
    role: Annotated[str, rule("The role of its JWT login, which trusts this server's identity tokens.")]
    mount: Annotated[str, rule("Where the KV engine is mounted.", pattern=r"[A-Za-z0-9_./-]+")] = "secret"
    path: Annotated[
        str,
        rule(
            "The folder of the secrets in it: PATH/global and PATH/PIPELINE have one field for each secret.",
            pattern=r"[A-Za-z0-9_./-]+",
        ),
    ] = "danube"
    login: Annotated[str, rule("Where the JWT login is mounted.", pattern=r"[A-Za-z0-9_./-]+")] = "jwt"
    audience: Annotated[str, rule("The audience of the identity tokens; empty: the URL.")] = ""


class SecretSettings(Record):
    """`[secrets]`: values that are kept outside of Danube. They are read when a job asks for them, before Danube's
    own."""

    directory: Annotated[
        str,
        rule("A directory with a file for each secret: NAME for all pipelines, PIPELINE/NAME for one; empty: none."),
    ] = ""
    vault: Annotated[VaultSettings | None, rule("A server with HashiCorp's KV engine; without it: none.")] = None


class OutsideSecrets(Protocol):
    """A place outside of Danube that has values."""

    async def read(self, name: SecretName, token: Annotated[str, HIDDEN]) -> bytes | None:
        """The value as it is now; None where the place has none of that name. token: an identity token of the job, ""
        where the place needs none. Raises Unavailable where a retry may help, Permanent where the place refuses."""
        ...

    @property
    def audience(self) -> str:
        """The audience of the identity token that it needs; "" where it needs none."""
        ...
