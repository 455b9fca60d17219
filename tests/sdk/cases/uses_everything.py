"""A danubefile that uses the whole SDK. mypy --strict accepts it, and a test runs it."""

from collections.abc import Mapping

from danube import Context, DanubeError, StepFailed, StepHandle, StepResult, artifacts, ctx, pipeline, secrets, step

MATRIX: Mapping[str, Mapping[str, str]] = {"fast": {"LEVEL": "1"}, "thorough": {"LEVEL": "2"}}


def describe(context: Context) -> str:
    words = [context.branch, context.tag, context.ref, context.commit_sha, context.repository]
    words += [context.pipeline, context.job_id, context.trigger, context.params.get("level", "info")]
    if context.pull_request is not None:
        words.append(f"pull request {context.pull_request['number']}")
    return " ".join(words)


@pipeline(name="Everything")
def build() -> None:
    result: StepResult = step.run(
        "make test",
        name="Test",
        image="host",
        env={"CI": "1"},
        working_directory="src",
        timeout_seconds=600,
        retries=1,
        check=False,
    )
    print(result.ok, result.exit_code, result.output, result.output_truncated, result.duration_seconds, result.status)
    print(result.reason, result.attempt, result.message, describe(ctx))

    handle: StepHandle = step.start("make docs")
    with step.parallel():
        for name, env in MATRIX.items():
            step.start("make bench", name=name, env=env)
    print(handle.done, handle.name, handle.wait().exit_code)

    token: str = secrets.get("TOKEN")
    other: str = secrets.get("OTHER", default="none")
    key: bytes = secrets.get_bytes("TOKEN")
    print(len(token), other, len(key))

    try:
        step.run("make deploy", name="Deploy")
    except StepFailed as failure:
        print(failure.result.exit_code, failure.reference, failure.hint)
    except DanubeError as error:
        print(error.reference, error.what, error.cause, error.hint)
    artifacts.upload("dist/", name="dist")
