"""The example by which Danube builds Danube, and what `make self-host` makes of it."""

import json
import runpy
import tomllib
from pathlib import Path

import yaml

from build_steps.self_host import write_example
from build_steps.staging import ROOT
from build_steps.web import WEB
from danube_pkg.ops.validate import validate

CONFIGURATION = ROOT / "examples" / "self-host" / "config"


def test_the_configuration_and_the_danubefile_are_valid() -> None:
    found = validate(CONFIGURATION)
    assert found.findings == ()
    assert found.state is not None
    (pipeline,) = found.state.pipelines.values()
    assert [one.kind for one in pipeline.spec.triggers] == ["push", "tag", "manual"]
    assert pipeline.spec.branch_filter == ("main",)
    danubefile = validate(ROOT / "danubefile.py")
    assert danubefile.findings == ()
    (outline,) = danubefile.outlines.values()
    assert [one.name for one in outline.secrets] == ["FORGE_TOKEN"]


def test_on_one_machine_packages_are_files_and_there_is_no_network(tmp_path: Path) -> None:
    write_example(tmp_path / "example", tmp_path / "source", tmp_path / "wheels")
    assert validate(tmp_path / "example" / "config").findings == ()
    spec = yaml.safe_load((tmp_path / "example" / "config" / "pipelines" / "danube.yaml").read_text())["spec"]
    assert spec["repository"] == str(tmp_path / "source")
    assert "egress_allowlist" not in spec
    assert spec["env"]["PIP_NO_INDEX"] == "1"
    own = runpy.run_path(str(ROOT / "danubefile.py"))["ENVIRONMENT"]
    assert not own.keys() & spec["env"].keys(), "the danubefile's variables would replace those of the pipeline"
    settings = tomllib.loads((tmp_path / "example" / "danube.toml").read_text())
    assert settings["runtime"]["host_paths"] == [str(tmp_path / "wheels"), str(WEB / "node_modules")]
    assert {spec["env"]["PIP_FIND_LINKS"], spec["env"]["NODE_MODULES"]} == set(settings["runtime"]["host_paths"])
    original = yaml.safe_load((CONFIGURATION / "pipelines" / "danube.yaml").read_text())["spec"]
    assert json.dumps(original["params"]) == json.dumps(spec["params"])
