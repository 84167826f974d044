"""Change one package here and there, with mutmut, and list the changes that none of its unit tests notices.

``tools/mutants.py corebox/reduce [TESTS...]`` works in a copy of the tree, so that nothing is left in this one. The
tests are those of the package, unless others are named.
"""

import configparser
import os
import shutil
import subprocess
import sys
from pathlib import Path

WHERE = Path(".cache/mutants")
#: What the copy needs of the tree.
COPIED = (
    "corebox",
    "tests",
    "images",
    "docs",
    "stubs",
    "tools",
    "requirements",
    "pyproject.toml",
    "Dockerfile.template",
)
LONG = ("tests/integration", "tests/fuzz", "tests/client")


def main(package: str, *tests: str) -> int:
    """Run it for ``package``; the status is 1 if it found something, and mutmut's if it failed."""
    package = package.rstrip("/")
    if not Path(package).is_dir() or not package.startswith("corebox/"):
        print("name a package: make mutants PACKAGE=corebox/reduce", file=sys.stderr)
        return 2
    used = list(tests) or [f"tests/unit/{package.split('/')[1]}"]
    tree = (WHERE / package.replace("/", "-")).resolve()
    copy(tree)
    write_settings(tree / "setup.cfg", package, used)
    # The copy is imported, not the installed tree; mutmut's own workers are started in it.
    environment = {**os.environ, "PYTHONPATH": str(tree / "mutants"), "PYTHONDONTWRITEBYTECODE": "1"}
    # The program, not ``python -m``: that would be a second copy of mutmut's own state.
    mutmut = [str(Path(sys.executable).with_name("mutmut"))]
    done = subprocess.run([*mutmut, "run", "--max-children", "2"], cwd=tree, env=environment, check=False)
    if done.returncode:
        return done.returncode
    found = subprocess.run([*mutmut, "results"], cwd=tree, env=environment, check=True, capture_output=True, text=True)
    survived = [line.split(":")[0].strip() for line in found.stdout.splitlines() if line.endswith(": survived")]
    for name in survived:
        subprocess.run([*mutmut, "show", name], cwd=tree, env=environment, check=True)
    print(f"{len(survived)} changes of {package} were noticed by no test of {', '.join(used)}")
    return 1 if survived else 0


def copy(tree: Path) -> None:
    """A fresh copy of what the tests need."""
    shutil.rmtree(tree, ignore_errors=True)
    (tree / "mutants").mkdir(parents=True)  # Python remembers of a folder on its path that it was not there
    for name in COPIED:
        source = Path(name)
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "node_modules", *(Path(each).name for each in LONG))
            shutil.copytree(source, tree / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(source, tree / name)


def write_settings(path: Path, package: str, tests: list[str]) -> None:
    """Write a file of its own: what pyproject.toml says is for pytest."""
    settings = configparser.ConfigParser()
    settings["mutmut"] = {
        "source_paths": "corebox",
        "only_mutate": f"{package}/*",
        "also_copy": "\n" + "\n".join(name for name in COPIED if name not in ("corebox", "tests")),
        "pytest_add_cli_args_test_selection": "\n" + "\n".join(tests),
        "pytest_add_cli_args": "-x",
    }
    with path.open("w") as file:
        settings.write(file)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
