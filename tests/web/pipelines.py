"""The pipelines of the site. Tests control a job by the number of lines that it has printed, or by cancelling it."""

import os
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tests.web.site import Site

WEBSITE = r"""
from danube import artifacts, pipeline, step

@pipeline(name="website")
def build():
    step.run(
        "printf '\033[1mInstalling\033[0m 214 packages\n';"
        "for i in 20 40 60 80 100; do printf '\rdownloading %d %%' $i; done; echo;"
        "printf '\033[32mdone\033[0m in 1.2 s\n'",
        name="Install",
    )
    with step.parallel():
        step.start("for i in $(seq 40); do printf '\033[36msrc/page-%d.ts\033[0m ok\n' $i; done; sleep 0.3", name="Lint")
        step.start(
            "for i in $(seq 120); do echo \"PASS tests/case_$i.test.ts\"; done;"
            "printf '\033[33mwarning\033[0m 2 tests are slow\n'; sleep 0.5",
            name="Unit tests",
        )
    step.run("mkdir -p out && echo hello > out/index.html && echo built", name="Build")
    artifacts.upload("out/", name="site")
"""

BROKEN = r"""
from danube import pipeline, step

@pipeline(name="broken")
def build():
    step.run("echo compiling", name="Compile")
    step.run(
        "for i in $(seq 80); do echo test_$i PASSED; done;"
        "printf '\033[31mFAILED\033[0m test_refund: assert 41 == 42\n'; exit 3",
        name="Tests",
    )
"""

TICKING = r"""
from danube import pipeline, step

@pipeline(name="ticking")
def build():
    step.run("for i in $(seq 100000); do echo \"tick $i\"; sleep 0.01; done", name="Tick")
"""

MILLION = r"""
from danube import pipeline, step

@pipeline(name="million")
def build():
    step.run("seq -f 'line %.0f of a very long log' 1000000", name="Print")
"""

STREAM = r"""
from danube import pipeline, step

@pipeline(name="stream")
def build():
    step.run(
        "python3 -c '\nimport time\nfor n in range(400):\n"
        "    print(chr(10).join(f\"{n * 100 + k} some line of a build that prints a great deal\" for k in range(100)), flush=True)\n"
        "    time.sleep(0.02)'",
        name="Print",
    )
"""

EVIL = "<img src=x onerror=window.evil=1><script>window.evil=1</script>"
EVIL_BRANCH = "a<script>window.evil=1</script>"

MARKUP = r"""
from danube import artifacts, pipeline, step

EVIL = "<img src=x onerror=window.evil=1><script>window.evil=1</script>"

@pipeline(name="markup")
def build():
    step.run(f"echo '{EVIL}'; echo 'javascript:window.evil=1'; mkdir -p out; echo x > out/x", name=f"step {EVIL}")
    artifacts.upload("out/", name="b.onerror-evil")
    step.run("exit 1", name=f"failing {EVIL}")
"""

DEPLOY = r"""
from danube import pipeline, secrets, step

@pipeline(name="deploy")
def build():
    token = secrets.get("DEPLOY_TOKEN")
    step.run('curl -sS "http://files.test:PORT/health" && test -n "$TOKEN" && echo " reached"', name="Fetch", env={"TOKEN": token})
    step.run("curl -sS https://evil.test/ || echo 'not reached'", name="Reach an unlisted host")
"""
"""PORT: of a server on the loopback, which is called files.test in the pod."""

ALL: Mapping[str, str] = {
    "website": WEBSITE,
    "broken": BROKEN,
    "ticking": TICKING,
    "million": MILLION,
    "stream": STREAM,
    "markup": MARKUP,
    "deploy": DEPLOY,
}


SPECS: Mapping[str, Mapping[str, Any]] = {
    "website": {
        "badge": True,
        "branch_filter": ["main", "release/*"],
        "triggers": [{"on": "push"}, {"on": "cron", "schedule": "0 3 * * 1-5", "timezone": "Europe/Vienna"}],
    }
}
"""The specs of the pipelines, without their repositories."""


def furnish(site: Site, without: Collection[str] = ()) -> None:
    """Write all pipelines but these, before the site serves."""
    for name, danubefile in ALL.items():
        if name in without:
            continue
        spec = dict(SPECS.get(name, {}))
        if name == "deploy":
            spec["egress_allowlist"] = [f"files.test:{site.port}", f"127.0.0.1:{site.port}"]
        directory = site.pipeline(name, danubefile.replace("PORT", str(site.port)), **spec)
        if name in COMMITS:
            commit(directory, *COMMITS[name])


COMMITS: Mapping[str, tuple[str, str, str]] = {
    "website": ("main", "Ada Weber", "Show prices with their currency"),
    "broken": ("main", "Jonas Lindt", "Refund what was paid, not what was ordered"),
    "deploy": ("main", "Ada Weber", "Deploy from the new registry"),
    "markup": (EVIL_BRANCH, EVIL, EVIL),
}
"""Branch, author and message of the pipelines with a Git repository; the others have plain directories."""


def commit(directory: Path, branch: str, author: str, message: str) -> None:
    """Turn a directory into a repository with one commit."""
    names = {f"GIT_{who}_{what}": author for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **names, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    for words in (("init", "-q", "-b", branch), ("add", "."), ("commit", "-q", "-m", message)):
        subprocess.run(["git", *words], cwd=directory, env=environment, check=True)
