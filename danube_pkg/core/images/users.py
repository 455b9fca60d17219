"""Who an image's programs run as: names become numbers by the image's own accounts, as a container runtime does it."""

from collections.abc import Sequence

from danube_pkg.core.images.reference import Image, ImageUnavailable
from danube_pkg.kit.records import Record

MAX_ID = 65535
"""A pod has the ids from 0 to here."""

MAX_GROUPS = 32
"""Of one user; more than any image's account is in."""


class ImageUser(Record):
    """groups: the first is the primary one."""

    user: int
    groups: tuple[int, ...]
    home: str

    def __str__(self) -> str:
        return f"{self.user}:{','.join(map(str, self.groups))}"


def find_user(image: Image, passwd: str, group: str) -> ImageUser:
    """The user that the configuration names: `name`, `uid`, `name:group`, `uid:gid`, or nothing for root.

    passwd, group: the image's two files, empty where it has none. A number needs no account. Raises ImageUnavailable.
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
    """Lines with so many columns, of which these are numbers."""
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
        hint="add it to the image, or give a number: USER 1000",
    )
