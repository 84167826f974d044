"""The tutorial of the fleet, typed as it stands, with a few of its bugs."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

from tests.support.lab import Lab
from tests.support.tutorial import commands

TOP = Path(__file__).parents[2]
BUGS, RELEASES = "discount width", "1 3"


def test_from_nothing_to_a_page_with_crashes(fresh_lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "tests").symlink_to(TOP / "tests")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    _, *blocks = commands("a-fleet-of-crashes.md")
    script = "\necho ===\n".join(["set -e -m", *blocks]).replace("8080", str(port))
    script = re.sub("(?m)^BUGS=.*", f'BUGS="{BUGS}"', script)
    script = re.sub("(?m)^RELEASES=.*", f'RELEASES="{RELEASES}"', script)
    words = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COREBOX_HOME": str(fresh_lab.home)}
    typed = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, **words},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert typed.returncode == 0, typed.stdout + typed.stderr
    _, cores, _, added, asked, found, shell, page, gone = typed.stdout.split("===\n")
    assert len(cores.split()) == 6  # of release 1
    assert "12 crashes: 0 waiting, 12 reported, 0 failed" in added, added
    assert added.count("6 new crashes") == 2, added
    assert asked.splitlines()[0].split()[:2] == ["FAMILY", "CRASHES"], asked
    assert "no such crashes" not in found, found
    assert re.search("(?m)^#0 ", shell), shell
    families = json.loads(page.splitlines()[-1])["families"]
    assert sum(each["crashes"] for each in families) == 12
    assert [each["crashes"] for each in families] == [6, 6], families
    assert gone.startswith("removed 12 crashes"), gone
    assert not (tmp_path / "fleet-tutorial").exists()
