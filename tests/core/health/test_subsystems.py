"""The state of each subsystem."""

import pytest

from danube_pkg.core.configuration.status import ConfigurationStatus
from danube_pkg.core.errors import Invalid, Unavailable
from danube_pkg.core.health.conditions import Condition
from danube_pkg.core.health.subsystems import (
    Part,
    from_conditions,
    of_configuration,
    of_disk,
    of_pods,
)
from danube_pkg.core.reasons import Reason

GB = 1000**3


def test_each_condition_belongs_to_its_subsystem() -> None:
    conditions = [
        Condition("dex-not-running", "Dex does not run", "systemctl start dex"),
        Condition("delivery-failing", "the mail server refuses messages", "check its log"),
        Condition("commit-status-refused", "the forge refused a status", ""),
        Condition("secret-not-set", "the secret X is not set", "danube secrets set X"),
    ]
    found = {one.part: one for one in from_conditions(conditions)}
    assert [part for part, one in found.items() if not one.ok] == [Part.NOTIFICATIONS, Part.LOGIN]
    assert found[Part.NOTIFICATIONS].says == "the mail server refuses messages (and 1 more)"
    assert found[Part.LOGIN].hint == "systemctl start dex"
    well = of_configuration(ConfigurationStatus("r1", 1.0, "r1", 1.0), conditions)
    assert (well.ok, well.says) == (True, "the newest commit is applied; 1 condition must be fixed")


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (ConfigurationStatus(), "nothing is applied yet"),
        (ConfigurationStatus("r1", findings=(Invalid("a", "b"),)), "the newest commit has 1 mistake"),
        (ConfigurationStatus("r1", problem=Unavailable("a", "no response")), "it cannot be read: no response"),
    ],
)
def test_a_configuration_that_is_not_applied_is_not_ok(status: ConfigurationStatus, says: str) -> None:
    found = of_configuration(status, ())
    assert (found.ok, found.says) == (False, says)


def test_a_disk_is_low_by_bytes_and_by_share() -> None:
    assert of_disk(100 * GB, 1000 * GB).ok
    assert not of_disk(30 * GB, 1000 * GB).ok
    assert of_disk(1 * GB, 5 * GB).says == "only 1.0 GB free"


def test_pods_are_ok_by_the_newest_end() -> None:
    good, lost = Reason.STEP_FAILED, Reason.POD_LOST
    assert of_pods([]).ok
    assert of_pods([good, good]).says == "none of the last jobs lost its pod"
    assert (of_pods([good, lost]).ok, of_pods([lost, good]).ok) == (True, False)
    assert of_pods([lost, good]).says == "1 of the last 2 jobs lost its pod"
