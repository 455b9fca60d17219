"""What a danubefile may use of the SDK, as data: `tests/core/test_danubefile_sdk.py` compares it with the SDK itself,
which this layer does not import."""

from collections.abc import Mapping

_STEP = (
    "name: str | None = None, image: str | None = None, env: Mapping[str, str] | None = None, "
    "working_directory: str | None = None, shell: str | None = None"
)
_RUN = (
    f"(command: str, *, {_STEP}, timeout_seconds: int | None = None, retries: int | Retry = 0, check: bool = True, "
    "cleanup: bool = False"
)

SDK: Mapping[str, Mapping[str, str]] = {
    "danube": {
        "Approval": "",
        "Cache": "",
        "Context": "",
        "DanubeError": "",
        "Leg": "",
        "LegResult": "",
        "MatrixFailed": "",
        "StepFailed": "",
        "StepHandle": "",
        "StepResult": "",
        "approval": "(environment: str, *, timeout_seconds: int | None = None) -> Approval",
        "artifacts": "",
        "cache": "(name: str, *, paths: Sequence[str], key: str, fallback: str | Sequence[str] | None = None, "
        "image: str | None = None) -> Cache",
        "ctx": "",
        "hash_files": "(*patterns: str) -> str",
        "pipeline": "(*, name: str, shell: str = '', env: Mapping[str, str] | None = None)",
        "reports": "",
        "secrets": "",
        "step": "",
    },
    "step": {
        "run": f"{_RUN}, snapshot: str | None = None) -> StepResult",
        "start": f"{_RUN}) -> StepHandle",
        "build_image": "(*, destination: str | None, context: str = '.', dockerfile: str = 'Dockerfile', "
        "build_args: Mapping[str, str] | None = None, target: str | None = None, cache: bool = True, "
        "sbom: str | None = None, name: str | None = None, image: str = 'ghcr.io/osscontainertools/kaniko:latest', "
        "timeout_seconds: int | None = None, retries: int | Retry = 0) -> str",
        "matrix": "(body: Callable[[Leg], object], *, exclude: Sequence[Mapping[str, str]] = (), "
        "isolated: bool = False, fail_fast: bool = False, max_parallel: int = 4, **axes: Sequence[str]) "
        "-> dict[str, LegResult]",
        "parallel": "() -> Iterator[None]",
        "retry": "(times: int, delay_seconds: int = 0, *, on: Sequence[int | str] = ()) -> Retry",
        "service": "(name: str, command: str, *, ready: str | None = None, image: str | None = None, "
        "env: Mapping[str, str] | None = None, working_directory: str | None = None, shell: str | None = None, "
        "ready_seconds: int = 60) -> Iterator[StepHandle]",
    },
    "secrets": {
        "get": "(key: str, default: str | None = None) -> str",
        "get_bytes": "(key: str) -> bytes",
    },
    "artifacts": {
        "download": "(name: str, *, job: str | None = None, pipeline: str | None = None, branch: str | None = None, "
        "path: str = '.', allow_untrusted: bool = False) -> Path",
        "on_failure": "(path: str, name: str) -> None",
        "upload": "(path: str, *, name: str, sbom: str | None = None) -> None",
    },
    "reports": {
        "CoverageSummary": "",
        "ReportSummary": "",
        "annotation": "(message: str, *, file: str = '', line: int = 0, level: str = 'error') -> None",
        "annotations": "(found: Sequence[Mapping[str, str | int]]) -> None",
        "coverage": "(path: str, *, name: str = 'coverage', required: bool = True) -> CoverageSummary",
        "junit": "(path: str, *, fail: bool = False, required: bool = True) -> ReportSummary",
        "summary": "(markdown: str) -> None",
    },
    "ctx": {
        "branch": "",
        "commit_sha": "",
        "id_token": "(audience: str) -> str",
        "job_id": "",
        "job_url": "",
        "params": "",
        "pipeline": "",
        "pull_request": "",
        "ref": "",
        "repository": "",
        "tag": "",
        "trigger": "",
        "upstream_job_id": "",
    },
    "StepResult": {
        "attempt": "",
        "describe": "() -> str",
        "duration_seconds": "",
        "exit_code": "",
        "message": "",
        "name": "",
        "ok": "",
        "output": "",
        "output_truncated": "",
        "raw_output": "",
        "reason": "",
        "restored_from": "",
        "sequence": "",
        "status": "",
    },
    "Cache": {"hit": "", "restored_key": ""},
    "StepHandle": {
        "done": "",
        "name": "",
        "stop": "() -> StepResult",
        "wait": "() -> StepResult",
    },
}
"""By module or class, its public names; a function's signature, "" for what is not called."""
