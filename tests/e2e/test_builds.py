"""Steps that build images in the sandbox and push them to a real registry that takes this server's tokens.

`DANUBE_TEST_KANIKO` names Kaniko's executor, a static program; without it a stand-in takes the same arguments.
"""

import base64
import json
import os
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.adapters.images.containers import busybox
from tests.e2e.kaniko import builder_archive
from tests.support.image_layouts import Layout, push
from tests.support.ports import free_ports
from tests.support.registry import serving
from tests.support.server import ROOT, Installation

pytestmark = pytest.mark.long

OWN = "registry.danube-system:5000"
"""The registry in the documents, and in the danubefiles of these tests."""

DOCKERFILE = """\
    FROM {base}
    ARG WORD=plain
    COPY input /copied
    RUN echo $WORD > /greeting
    """

DOCUMENT = (ROOT / "docs" / "image-builds.md").read_text()


def documented() -> str:
    """The danubefile of the page, with assertions about what its steps print."""
    (block,) = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
    checked = {
        'step.run("cat /greeting /copied", image=built)': '.output == "two words\\nfrom the repository\\n"',
        'step.run("cat /greeting", image=f"{OWN}/app/web:2")': '.output == "plain\\n"',
    }
    for call, outcome in checked.items():
        assert block.count(call) == 1
        block = block.replace(call, f"assert {call}{outcome}")
    return str(block)


@dataclass
class Site:
    """A server with a registry of its own, which takes its tokens, and another with a base image."""

    danube: Installation
    own: str
    base: str

    def pipeline(self, name: str, danubefile: str, **spec: object) -> None:
        hosts = [self.own.partition(":")[0], self.base.partition(":")[0], "danube.test"]
        files = {"Dockerfile": DOCKERFILE.format(base=self.base), "input": "from the repository\n"}
        self.danube.pipeline(name, danubefile.replace(OWN, self.own), files, egress_allowlist=hosts, **spec)


@pytest.fixture
def site(danube: Installation, tmp_path: Path) -> Iterator[Site]:
    port, own_port = free_ports(2)
    own, realm = f"registry.test:{own_port}", f"http://danube.test:{port}/registry/token"
    with serving(tmp_path / "base") as base_registry:
        push(Layout(tmp_path / "l").image("1", [busybox()]), "1", f"{base_registry.host}/base:1")
        base = f"base.test:{base_registry.host.partition(':')[2]}"
        (danube.path / "danube.toml").write_text(
            f'[config_repo]\nurl = "config"\n[server]\nbind_address = "127.0.0.1:{port}"\n'
            f'[registry]\nurl = "http://{own}"\ntoken_url = "{realm}"\n'
            '[egress]\nhosts = {"registry.test" = "127.0.0.1", "base.test" = "127.0.0.1", "danube.test" = "127.0.0.1"}\n'
        )
        document = {"apiVersion": "danube.dev/v1", "kind": "Config", "metadata": {"name": "global"}}
        spec = {"registries": [{"host": base, "insecure": True}]}
        (danube.config / "config.yaml").write_text(json.dumps({**document, "spec": spec}))
        archive = builder_archive(tmp_path, os.environ.get("DANUBE_TEST_KANIKO", ""))
        for name in ("gcr.io/kaniko-project/executor:latest", "ghcr.io/osscontainertools/kaniko:latest"):
            danube.command("image", "load", str(archive), "--name", name)
        danube.serve()
        token = (
            f"{{realm: '{realm}', service: '{own}', issuer: danube, rootcertbundle: {danube.data}/keys/registry.pem}}"
        )
        with serving(tmp_path / "own", token=token, port=own_port):
            yield Site(danube, own, f"{base}/base:1")


def test_an_image_is_built_pushed_and_used_in_the_next_step(site: Site) -> None:
    site.pipeline("app", documented())
    site.danube.sync()
    job = site.danube.trigger("app")
    assert site.danube.end_of(job, 300)["status"] == "success", site.danube.log(job)
    assert "dr1.push." not in site.danube.log(job)
    with sqlite3.connect(site.danube.data / "danube.db") as database:
        stored = database.execute("SELECT name, digest, step FROM pushed_images WHERE job_id = ? ORDER BY name", (job,))
        found = stored.fetchall()
    assert [(name, step) for name, _, step in found] == [(f"{site.own}/app/web:1", 1), (f"{site.own}/app/web:2", 3)]
    payload = json.loads(base64.b64decode(site.danube.client.get(f"/api/v1/jobs/{job}/provenance")["payload"]))
    assert payload["subject"] == [
        {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}} for name, digest, _ in found
    ]


def test_a_push_that_is_not_allowed_says_which_line_to_add(site: Site) -> None:
    push_elsewhere = """
        from danube import pipeline, step

        @pipeline(name="app")
        def build():
            step.build_image(destination="registry.danube-system:5000/shop/web:1", cache=False)
        """
    site.pipeline("app", push_elsewhere)
    site.danube.sync()
    job = site.danube.trigger("app")
    end = site.danube.end_of(job, 120)
    assert end["status"] == "failure"
    assert "images: [shop/web]" in json.dumps(end) + site.danube.log(job)
    site.pipeline("app", push_elsewhere, images=["shop/web"])
    site.danube.sync()
    job = site.danube.trigger("app")
    assert site.danube.end_of(job, 300)["status"] == "success", site.danube.log(job)


def test_no_other_container_has_the_credential(site: Site) -> None:
    site.pipeline(
        "app",
        """
        from danube import pipeline, step

        @pipeline(name="app")
        def build():
            step.build_image(destination="registry.danube-system:5000/app/web:1")
            step.run("test ! -e /kaniko && ! grep -r dr1[.]push /workspace")
        """,
    )
    site.danube.sync()
    job = site.danube.trigger("app")
    assert site.danube.end_of(job, 300)["status"] == "success", site.danube.log(job)
