"""The server's health: conditions of its parts, whether it is ready, and the repairs that it makes by itself."""

from danube_pkg.services.health.conditions import ConditionSource, ServerConditions

__all__ = ["ConditionSource", "ServerConditions"]
