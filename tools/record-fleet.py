"""Makes docs/images/fleet-light.png and fleet-dark.png from the fleet of the tutorial, which it types out in full."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.integration.test_fleet_page import proxy, served
from tests.integration.test_report_page import chromium
from tests.support.lab import Lab
from tests.support.tutorial import commands

TOP = Path(__file__).parents[1]
#: The last of the tutorial's blocks that is typed asks for the families.
_UP_TO = 6
PICTURES = (("light", 1, "/"), ("dark", 0, "/family/1"))


def main() -> None:
    """Type the tutorial up to the page, and take the pictures."""
    folder = Path(tempfile.mkdtemp(prefix="fleet"))
    desk = Lab(folder / "home")
    (folder / "tests").symlink_to(TOP / "tests")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COREBOX_HOME": str(desk.home)}
    started = time.monotonic()
    typed = "\n".join(commands("a-fleet-of-crashes.md")[1:_UP_TO])
    subprocess.run(["bash", "-ec", typed], cwd=folder, env=environment, check=True)
    print(f"{time.monotonic() - started:.0f} s")
    desk.done("fleet", "reader", "add", "Ann", "--role", "debugger")
    with served(desk, "--user-header", "X-Forwarded-User") as port, proxy(port, "Ann") as url:
        for name, scheme, page in PICTURES:
            shot = TOP / "docs" / "images" / f"fleet-{name}.png"
            dark = f"--blink-settings=preferredColorScheme={scheme}"
            chromium("--window-size=1100,900", dark, f"--screenshot={shot}", url + page)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
