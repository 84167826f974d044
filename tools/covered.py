"""Run the unit tests and print how many lines of each package they run; the status is 1 if a package has too few."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

AT_LEAST = 90.0  # per cent of the lines of each package
DATA = Path(".cache/coverage")


def main(jobs: str, *tests: str) -> int:
    """Measure, with so many tests at once; of some folders of tests alone if they are named."""
    DATA.mkdir(parents=True, exist_ok=True)
    os.environ["COVERAGE_FILE"] = str(DATA.resolve() / "data")
    coverage("erase")
    coverage("run", "-m", "pytest", "-q", "-n", jobs, *(tests or ["tests/unit"]))
    coverage("combine", "-q")
    coverage("json", "-q", "-o", str(DATA / "lines.json"))
    return report(json.loads((DATA / "lines.json").read_bytes())["files"])


def coverage(*words: str) -> None:
    """Run it; the end if it fails."""
    subprocess.run([sys.executable, "-m", "coverage", *words], check=True)


def report(files: dict[str, dict[str, dict[str, int]]]) -> int:
    """Print the table and the files with the most lines that no test runs."""
    lines: Counter[str] = Counter()
    covered: Counter[str] = Counter()
    for name, file in files.items():
        package = package_of(name)
        lines[package] += file["summary"]["num_statements"]
        covered[package] += file["summary"]["covered_lines"]
    shares = {package: 100 * covered[package] / count for package, count in lines.items() if count}
    for package in sorted(shares):
        print(f"{package:24} {lines[package]:6} lines {shares[package]:6.1f} %")
    lacking = sorted(package for package, share in shares.items() if share < AT_LEAST)
    for package in lacking:
        left = sorted(
            ((file["summary"]["missing_lines"], name) for name, file in files.items() if package_of(name) == package),
            reverse=True,
        )
        print(f"\nless than {AT_LEAST:g} % of {package}:")
        print("".join(f"  {count:5} lines are not run in {name}\n" for count, name in left[:10] if count), end="")
    return 1 if lacking else 0


def package_of(name: str) -> str:
    """``corebox/cli/main.py`` is in ``corebox/cli``, ``corebox/api.py`` in ``corebox``."""
    return "/".join(Path(name).parts[:2]) if len(Path(name).parts) > 2 else "corebox"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
