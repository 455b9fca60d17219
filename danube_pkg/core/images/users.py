"""Resolves the user of an image to numeric ids by the accounts in the image, as container runtimes do."""

from collections.abc import Sequence

from danube_pkg.core.images.reference import Image, ImageUnavailable
from danube_pkg.kit.records import Record

MAX_ID = 65535
"""The highest user and group id in a pod; the lowest is 0."""

MAX_GROUPS = 32
"""Groups of one user; more than accounts of images have."""


class ImageUser(Record):
    """groups: the first is the primary one."""

    user: int
    groups: tuple[int, ...]
    home: str

    def __str__(self) -> str:
        return f"{self.user}:{','.join(map(str, self.groups))}"


def find_user(image: Image, passwd: str, group: str) -> ImageUser:
    """Resolves the configured user: `name`, `uid`, `name:group`, `uid:gid`, or empty for root. Raises ImageUnavailable.

    passwd, group: the content of these files in the image, empty if missing. A numeric id needs no account.
    """
    name, _, group_name = (image.config.user or "0").partition(":")
    accounts, groups = _records(passwd, 6, 2, 3), _records(group, 4, 2)
    account = _named(accounts, name)
    if account is None and not name.isdecimal():
        raise _missing(image, "user", name)
    user, primary, home = (int(account[2]), int(account[3]), account[5]) if account else (int(name), 0, "")
    if group_name:
        known = _named(groups, group_name)
        if known is None and not group_name.isdecimal():
            raise _missing(image, "group", group_name)
        members = [int(known[2] if known else group_name)]
    else:
        members = [primary, *(int(one[2]) for one in groups if account and account[0] in one[3].split(","))]
    for number in (user, *members):
        if number > MAX_ID:
            raise ImageUnavailable(
                f"image {image.name} runs as user or group {number}",
                cause=f"a pod has the ids from 0 to {MAX_ID}",
                hint="give its user a smaller id",
            )
    return ImageUser(user, tuple(dict.fromkeys(members))[:MAX_GROUPS], home or "/")


def _records(text: str, columns: int, *numbers: int) -> Sequence[Sequence[str]]:
    """The lines with at least `columns` columns, of which `numbers` are numeric."""
    lines = (line.split(":") for line in text.splitlines())
    return [one for one in lines if len(one) >= columns and all(one[column].isdecimal() for column in numbers)]


def _named(records: Sequence[Sequence[str]], name: str) -> Sequence[str] | None:
    by_name = next((one for one in records if one[0] == name), None)
    return by_name or next((one for one in records if one[2] == name), None)


def _missing(image: Image, kind: str, name: str) -> ImageUnavailable:
    file = "passwd" if kind == "user" else "group"
    return ImageUnavailable(
        f"image {image.name} runs as {kind} {name!r}",
        cause=f"its /etc/{file} has no such {kind}",
        hint="add it to the image, or use a number: USER 1000",
    )
