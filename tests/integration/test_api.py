"""corebox from Python: the page of the documentation, run as it is printed."""

import doctest
import shutil
from pathlib import Path

import pytest

from corebox import api
from corebox.coredump.core import open_core
from tests.support.lab import Lab
from tests.support.programs import REPOSITORY
from tests.support.site import Crash


@pytest.fixture
def desk(lab: Lab, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two crashes, the current one."""
    monkeypatch.setenv("COREBOX_HOME", str(lab.home))
    monkeypatch.chdir(tmp_path)
    for name in ("monday", "tuesday"):
        shutil.copy(bundle, tmp_path / f"{name}.corebox")
    return tmp_path


@pytest.mark.parametrize("name", ["use-from-python", "notebooks"])
def test_the_page_prints_what_it_says(desk: Path, name: str) -> None:
    page = REPOSITORY / f"docs/how-to/{name}.md"
    tried = doctest.testfile(str(page), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert tried.failed == 0
    assert tried.attempted >= 12


def test_what_is_returned_is_a_table_in_a_notebook(desk: Path) -> None:
    """Jupyter asks an object for that (IPython's documentation, "Rich display")."""
    groups, _ = api.similar(["monday.corebox", "tuesday.corebox"])
    for shown, expected in (
        (api.report("monday.corebox"), "<td>#0</td><td>compare ("),
        (api.verify("monday.corebox"), "<td>verified</td><td>/opt/acme/plugins/sorter.so</td>"),
        (groups, "<td>2</td><td>null-dereference in compare</td>"),
    ):
        text = shown._repr_html_()
        assert text.startswith("<table>")
        assert expected in text


def test_a_core_is_read_without_anything_of_it(crash: Crash) -> None:
    with api.open_core(str(crash.core)) as core, open_core(str(crash.core)) as same:
        assert core.process == same.process


def test_a_session_ends_with_the_command_that_hangs(desk: Path) -> None:
    with api.session("monday.corebox") as gdb:
        assert gdb.execute("echo first") == "first"
        with pytest.raises(api.CoreboxError) as refused:
            gdb.execute("run")
        assert refused.value.code == "gdb-refused"
        assert "corebox rerun" in refused.value.message
        with pytest.raises(api.CoreboxError) as caught:
            gdb.execute("python import time; time.sleep(600)", time_limit=0.5)
        assert caught.value.code == "time-limit"
        with pytest.raises(api.CoreboxError) as ended:
            gdb.execute("bt")
        assert ended.value.code == "session-ended"


def test_an_answer_without_end_is_cut(desk: Path) -> None:
    with api.session("monday.corebox") as gdb:
        shown = gdb.execute("python\tfor _ in range(200): print('x' * 10000)")
        assert shown.endswith("…\n")
        assert len(shown) <= (1 << 20) + 2
        assert gdb.execute("python print(7 * 6)") == "42\n"
