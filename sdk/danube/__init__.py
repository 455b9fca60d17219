"""The language of a `danubefile.py`.

    from danube import pipeline, step, ctx, secrets, artifacts

    @pipeline(name="Frontend Build")
    def build():
        step.run("npm ci && npm test", name="Run Tests", image="node:20", timeout_seconds=600)
        artifacts.upload("coverage/", name="coverage-report")
        if ctx.branch == "main":
            step.run("./deploy.sh", env={"TOKEN": secrets.get("DEPLOY_TOKEN")})

Everything else is Python: loops are matrices, `if` is a condition, functions and modules are templates.
"""

from danube import artifacts, reports, secrets, step
from danube._approvals import Approval, approval
from danube._caches import Cache, cache, hash_files
from danube._context import Context, ctx
from danube._errors import DanubeError
from danube._legs import LegResult
from danube._matrix import Leg, MatrixFailed
from danube._pipeline import pipeline
from danube._results import StepFailed, StepHandle, StepResult

__all__ = [
    "Approval",
    "Cache",
    "Context",
    "DanubeError",
    "Leg",
    "LegResult",
    "MatrixFailed",
    "StepFailed",
    "StepHandle",
    "StepResult",
    "approval",
    "artifacts",
    "cache",
    "ctx",
    "hash_files",
    "pipeline",
    "reports",
    "secrets",
    "step",
]
__version__ = "0.1.0"
