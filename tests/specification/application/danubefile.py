"""The danubefile of the specification."""

from danube import artifacts, ctx, pipeline, secrets, step


@pipeline(name="Frontend Build")
def build():
    step.run("npm ci", name="install", image="node:20")
    step.run("npm test", name="test", image="node:20")
    artifacts.upload("coverage/", name="coverage-report")
    if ctx.branch == "main":
        token = secrets.get("DEPLOY_TOKEN")
        step.run("./deploy.sh", env={"TOKEN": token})
