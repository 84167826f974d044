"""The one-file program has all that it imports, and nothing that reads bundles."""

import ast
import zipfile
from collections.abc import Iterator
from pathlib import Path

from corebox.gather.zipapp import make_zipapp


def imported(source: bytes) -> Iterator[str]:
    """Files of ours that a module may import, without their ending."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("corebox"):
            package = str(node.module).replace(".", "/")
            yield package
            yield from (f"{package}/{each.name}" for each in node.names)


def test_it_lacks_nothing_and_reads_no_bundle(tmp_path: Path) -> None:
    make_zipapp(str(tmp_path / "gather.pyz"))
    with zipfile.ZipFile(tmp_path / "gather.pyz") as archive:
        there = {name.removesuffix(".py") for name in archive.namelist()}
        wanted = {path for name in archive.namelist() for path in imported(archive.read(name))}
    package = Path(__file__).parents[3]
    assert {path for path in wanted if (package / f"{path}.py").exists()} <= there
    assert not {"corebox/unbundle/read", "corebox/unbundle/parse", "corebox/unbundle/verify"} & there
