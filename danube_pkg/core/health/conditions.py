"""What is not as somebody wants it, without anything being broken: shown on the status page until it is mended."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Condition:
    """reference: kebab-case, stable. what: one sentence. hint: the command or the change that mends it."""

    reference: str
    what: str
    hint: str
