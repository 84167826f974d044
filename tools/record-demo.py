"""Record a real run of tools/demo as docs/images/demo.svg, the picture in the README."""

import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

TOP = Path(__file__).parents[1]
PICTURE = TOP / "docs" / "images" / "demo.svg"


def main() -> None:
    """Run the demo with a short temporary folder, so that paths read well, and render what it printed."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "TMPDIR": "/tmp"}
    run = subprocess.run([TOP / "tools" / "demo"], capture_output=True, text=True, check=True, env=environment)
    shown = run.stdout.split("\nThat was gdb")[0].rstrip()
    shown = re.sub(r"/tmp/tmp\.\w+", "/srv/app", shown)
    console = Console(record=True, width=118, file=Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    for line in shown.splitlines():
        console.print(Text(line, style="bold green" if line.startswith("$ ") else ""))
    PICTURE.write_text(console.export_svg(title="corebox"), encoding="utf-8")


main()
