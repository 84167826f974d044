"""Ask whether the locked packages have known vulnerabilities, with pip-audit; its status is 1 if one has.

Where no service answers, as on a machine that reaches a package index alone, it says so, with status 0. pip-audit alone
reports "no known vulnerabilities" then, if the service answers but knows none of the packages.
"""

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[1] / "requirements" / "dev.txt"
MAX_WAIT_LENGTH = 120.0
NO_ANSWER = re.compile(r"requests\.exceptions\.|ServiceError|ConnectionError|Could not connect")


def main() -> int:
    """Ask the services in turn until one answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lock", default=LOCK, help="the lock file")
    parser.add_argument("--osv-url", help="an OSV service to ask, instead of PyPI and then OSV")
    options = parser.parse_args()
    services = [["osv", "--osv-url", options.osv_url]] if options.osv_url else [["pypi"], ["osv"]]
    reasons = []
    for service in services:
        answer = ask(options.lock, service)
        if not isinstance(answer, str):
            return report(answer)
        reasons.append(f"  {service[0]}: {answer}")
    print("audit: skipped: no network, or none with a vulnerability service in it", *reasons, sep="\n")
    return 0


def ask(lock: Path, service: Sequence[str]) -> list[Any] | str:
    """What a service says of each package for this Python, or why it says nothing."""
    command = ["pip-audit", "--format", "json", "--progress-spinner", "off", "--disable-pip", "--require-hashes"]
    program = Path(sys.executable).with_name(command[0])
    try:
        done = subprocess.run(
            [program, *command[1:], "--requirement", lock, "--vulnerability-service", *service],
            capture_output=True,
            text=True,
            check=False,
            timeout=MAX_WAIT_LENGTH,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {MAX_WAIT_LENGTH:.0f} s"
    if not done.stdout:
        said = done.stderr.strip().rpartition("\n")[2]
        if NO_ANSWER.search(said):
            return said
        sys.exit(f"audit: pip-audit failed: {said}")
    found: list[Any] = json.loads(done.stdout)["dependencies"]
    if all("skip_reason" in each for each in found):
        return f"it answers, but knows none of the {len(found)} packages"
    return found


def report(found: list[Any]) -> int:
    """Print it, and return the exit status."""
    unknown = [each["name"] for each in found if "skip_reason" in each]
    affected = [(each, vulnerability) for each in found for vulnerability in each.get("vulns", [])]
    for each, vulnerability in affected:
        repair = ", ".join(vulnerability["fix_versions"]) or "none yet"
        print(f"audit: {each['name']} {each['version']}: {vulnerability['id']}; repaired in: {repair}")
    if unknown:
        print(f"audit: the service does not know {', '.join(unknown)}")
    count = len({each["name"] for each, _ in affected})
    print(f"audit: {len(found) - len(unknown)} packages asked for, {count} with known vulnerabilities")
    if count:
        print("audit: take newer ones: make upgrade")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
