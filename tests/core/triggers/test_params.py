"""Parameters of a manual start, checked against what the pipeline declares."""

import pytest

from danube_pkg.core.configuration.pipelines import ParamSpec, ParamType
from danube_pkg.core.triggers.params import MAX_VALUE, ParamsInvalid, read_params

DECLARED = {
    "target": ParamSpec(ParamType.CHOICE, default="staging", choices=("staging", "production")),
    "replicas": ParamSpec(ParamType.NUMBER, default="2"),
    "dry": ParamSpec(ParamType.BOOLEAN, default="false"),
    "note": ParamSpec(description="why"),
}


def findings(given: dict[str, str]) -> list[str]:
    with pytest.raises(ParamsInvalid) as refused:
        read_params(DECLARED, given)
    return [one.what for one in refused.value.findings]


def test_missing_parameters_get_their_defaults() -> None:
    taken = read_params(DECLARED, {"note": "hotfix", "replicas": "3"})
    assert taken == {"target": "staging", "replicas": "3", "dry": "false", "note": "hotfix"}


def test_all_mistakes_are_reported_at_once() -> None:
    assert findings({"target": "prod", "replicas": "two", "dry": "yes", "targt": "x"}) == [
        "there is no parameter 'targt'",
        "the parameter 'target' must be one of staging, production, not 'prod'",
        "the parameter 'replicas' must be a number, not 'two'",
        "the parameter 'dry' must be true or false, not 'yes'",
        "the parameter 'note' must be given: why",
    ]


def test_a_hint_names_the_nearest_choice() -> None:
    with pytest.raises(ParamsInvalid) as refused:
        read_params(DECLARED, {"note": "x", "target": "productoin"})
    assert refused.value.hint == "did you mean 'production'?"


@pytest.mark.parametrize("value", ["1", "-1", "0.5", "007"])
def test_numbers(value: str) -> None:
    assert read_params(DECLARED, {"note": "", "replicas": value})["replicas"] == value


@pytest.mark.parametrize("value", ["", "1e3", "1.", "0x1", "１", "1\n"])
def test_other_texts_are_not_numbers(value: str) -> None:
    assert len(findings({"note": "", "replicas": value})) == 1


def test_a_pipeline_without_declared_parameters_accepts_any_within_bounds() -> None:
    assert read_params({}, {"a": "b"}) == {"a": "b"}
    with pytest.raises(ParamsInvalid, match="longer"):
        read_params({}, {"a": "x" * (MAX_VALUE + 1)})
    with pytest.raises(ParamsInvalid, match="at most 50"):
        read_params({}, {str(number): "" for number in range(51)})
