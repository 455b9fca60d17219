"""Two steps, a secret, an artifact. Before the first run:  danube secrets set GREETING_TOKEN"""

from danube import artifacts, pipeline, secrets, step


@pipeline(name="Hello", shell="bash -euo pipefail")
def hello() -> None:
    step.run("mkdir -p out && echo 'Hello from Danube' | tee out/greeting.txt", name="Greet")

    # The value reaches the command through its environment only; wherever it is printed, the log shows a mask.
    token = secrets.get("GREETING_TOKEN")
    step.run('printf "%s" "$TOKEN" | sha256sum | tee out/signature.txt', name="Sign", env={"TOKEN": token})

    artifacts.upload("out/", name="greeting")
