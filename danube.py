"""The entry script of a checkout: `python3 danube.py …` is the command line.

Its own name would hide the SDK's package from everything that runs beside it. Imported as `danube` (by a danubefile
that is tried from the repository's root, say), it therefore gives its place to that package.
"""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def _give_place_to_the_sdk() -> None:
    package = ROOT / "sdk" / "danube"
    spec = importlib.util.spec_from_file_location(
        "danube", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"there is no SDK at {package}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["danube"] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / "sdk"), str(ROOT)]
    from danube_pkg.cli.main import script

    script()
else:
    _give_place_to_the_sdk()
