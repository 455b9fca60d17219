"""Conditions: settings that do not work as configured, while the server itself works. They are shown until they are
fixed."""

from danube_pkg.kit.records import Record


class Condition(Record):
    """One condition. reference: stable and kebab-case. what: one sentence. hint: the command or change that fixes
    it."""

    reference: str
    what: str
    hint: str
