"""A danubefile full of mistakes: mypy reports each on the line that is marked with its code, and no other."""

from danube import artifact  # error: attr-defined
from danube import artifacts, ctx, pipeline, secrets, step


@pipeline(title="Mistakes")  # error: call-arg
def build() -> None:
    step.run("make", nmae="Test")  # error: call-arg
    step.run("make", timeout="600")  # error: call-arg
    step.run("make", timeout_seconds="600")  # error: arg-type
    step.run("make", env={"LEVEL": 1})  # error: dict-item
    step.run(["make", "test"])  # error: arg-type
    step.run("make", "Test")  # error: call-arg
    step.run()  # error: call-arg
    step.strat("make")  # error: attr-defined
    step.start("make").wiat()  # error: attr-defined
    print(step.run("make").exitcode)  # error: attr-defined
    print(ctx.brnach)  # error: attr-defined
    print(ctx.params + "x")  # error: operator
    ctx.branch = "main"  # error: misc
    number: int = secrets.get("NUMBER")  # error: assignment
    print(number, secrets.get(7))  # error: arg-type
    artifacts.upload("dist/")  # error: call-arg
    artifacts.upload("dist/", nmae="dist")  # error: call-arg


@pipeline  # error: call-arg, arg-type
def no_call() -> None: ...


@pipeline(name="Arguments")  # error: type-var
def with_arguments(branch: str) -> None:
    print(branch)


@pipeline(name="Async")  # error: type-var
async def is_async() -> None: ...


@pipeline(name="Result")  # error: type-var
def with_result() -> int:
    return 1
