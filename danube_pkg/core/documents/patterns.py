"""Rules for texts that several kinds of documents use: names, addresses, globs; each as a pattern and in words."""

from typing import Any

NAME = r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?"
EMAIL = r"[^@\s]+@[^@\s]+"

name: dict[str, Any] = {
    "pattern": NAME,
    "expects": "a name of lower-case letters, digits, '-', '_' and '.', at most 63",
}
email: dict[str, Any] = {"pattern": EMAIL, "expects": "an e-mail address", "example": "alice@example.com"}
mail_address: dict[str, Any] = {
    "pattern": r"(?=.{3,254}\Z)[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*",
    "expects": "an e-mail address of ASCII letters that mail servers accept, such as alice@example.com",
    "example": "alice@example.com",
}
"""RFC 5321 without quoted names: not every mail server accepts others (RFC 6531)."""
address: dict[str, Any] = {
    "pattern": r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]*):[0-9]{1,5}",
    "expects": "an address HOST:PORT",
}
maybe_address: dict[str, Any] = address | {"pattern": f"|{address['pattern']}"}
web_url: dict[str, Any] = {
    "pattern": r"|https?://(\[[0-9A-Fa-f:.]+\]|[^\s/@\[\]]+?)(:[0-9]{1,5})?(/\S*)?",
    "expects": "a URL of http or https without credentials",
}
site_url: dict[str, Any] = {
    "pattern": r"|https?://(\[[0-9A-Fa-f:.]+\]|[^\s/@\[\]]+?)(:[0-9]{1,5})?/?",
    "expects": "a URL of http or https without credentials and without a path: the page and the API are served at the root",
}
network: dict[str, Any] = {
    "pattern": r"[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?",
    "expects": "an IP address or a network such as 10.0.0.0/8",
    "example": "10.0.0.0/8",
}
secret: dict[str, Any] = {
    "pattern": r"|[A-Za-z_][A-Za-z0-9_.-]{0,127}",
    "expects": "the name of a Danube secret, not its value",
    "secret": True,
}
host: dict[str, Any] = {
    "pattern": r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?",
    "expects": "a host, with or without a port",
    "example": "registry.example.org:5000",
}
branch: dict[str, Any] = {
    "pattern": r"(?!.*(\.\.|//))[^\s~^:\\\[\x00-\x1f/][^\s~^:\\\[\x00-\x1f]*",
    "expects": "the name of a branch, with * and ** as wildcards",
    "example": "release/*",
}
path: dict[str, Any] = {
    "pattern": r"(?!.*(^|/)\.\.(/|$))[^/\\\s\x00-\x1f][^\\\x00-\x1f]*",
    "expects": "a path inside the repository, with * and ** as wildcards",
    "example": "backend/api/**",
}
egress: dict[str, Any] = {
    "pattern": r"\S{1,300}",
    "expects": "a host name, *. or **. and a domain, an IP address or network, with or without a port",
    "example": "*.files.example.org",
}
