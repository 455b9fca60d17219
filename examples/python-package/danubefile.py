"""A package's tests under several settings of the interpreter at the same time: a matrix is a loop."""

from danube import artifacts, pipeline, step

SETTINGS = {
    "default": {},
    "hash seed 0": {"PYTHONHASHSEED": "0"},
    "hash seed 4711": {"PYTHONHASHSEED": "4711"},
    "warnings are errors": {"PYTHONWARNINGS": "error"},
    "development mode": {"PYTHONDEVMODE": "1"},
}


@pipeline(name="Python package")
def build() -> None:
    step.run("python3 -m compileall -q wordcount", name="Compile")

    with step.parallel():
        for title, env in SETTINGS.items():
            # Steps share the workspace: without byte code of their own they cannot disturb each other.
            step.start(
                "python3 -m unittest discover -s tests -t .",
                name=f"Tests: {title}",
                env={**env, "PYTHONDONTWRITEBYTECODE": "1"},
                timeout_seconds=120,
            )

    step.run(
        "mkdir -p build dist && cp -r wordcount build/"
        " && python3 -m zipapp build -m wordcount.cli:main -o dist/wordcount.pyz"
        " && echo 'the river and the sea' | python3 dist/wordcount.pyz",
        name="Package",
    )
    artifacts.upload("dist/wordcount.pyz", name="wordcount.pyz")
