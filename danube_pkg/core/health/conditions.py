"""What is not as somebody wants it, without anything being broken: shown on the status page until it is mended."""

from danube_pkg.kit.records import Record


class Condition(Record):
    """reference: kebab-case, stable. what: one sentence. hint: the command or the change that mends it."""

    reference: str
    what: str
    hint: str
