"""For all tests: how they are scheduled, and that no property is refuted by a slow machine."""

from hypothesis import settings

pytest_plugins = ["tests.support.schedule"]

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
