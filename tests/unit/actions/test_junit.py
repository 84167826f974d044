"""Groups of crashes as JUnit's XML."""

from pathlib import Path
from xml.etree import ElementTree

from corebox.actions.junit import junit_document, write_junit
from corebox.actions.similar import Failure, Group
from corebox.errors import InputError

GROUP = Group(
    "SIGSEGV null-dereference in f<int>",
    (("SIGSEGV in f<int> < main", ("a.corebox", "dir/b\x1b[1m\udcff.corebox")), ("SIGSEGV in f < g", ("c.corebox",))),
    (("Null pointer dereference", 2), (None, 1)),
    ("a.corebox", "dir/b\x1b[1m\udcff.corebox", "c.corebox"),
)
FAILED = Failure("d.corebox", InputError("bundle-damaged", 'it is "damaged" & cut', "ask for it again"))


def test_a_group_is_a_failed_test_and_an_unreadable_crash_an_error() -> None:
    root = ElementTree.fromstring(junit_document([GROUP], [FAILED], "family"))
    (suite,) = root
    assert {name: suite.get(name) for name in ("tests", "failures", "errors")} == {
        "tests": "2",
        "failures": "1",
        "errors": "1",
    }
    failed, unread = suite.findall("testcase")
    failure, error = failed.find("failure"), unread.find("error")
    assert failed.get("name") == GROUP.family
    assert failure is not None
    assert error is not None
    assert (failure.get("message"), failure.get("type")) == ("Null pointer dereference; unknown cause", "SIGSEGV")
    assert failure.text is not None
    assert failure.text.splitlines() == [
        "3 x SIGSEGV null-dereference in f<int>",
        "2 x SIGSEGV in f<int> < main",
        "  a.corebox",
        r"  b\x1b[1m\udcff.corebox",
        "1 x SIGSEGV in f < g",
        "  c.corebox",
    ]
    assert (unread.get("name"), error.get("message")) == ("d.corebox", 'it is "damaged" & cut')
    assert (error.get("type"), error.text) == ("bundle-damaged", "ask for it again")


def test_by_signature_that_is_the_name_of_the_test(tmp_path: Path) -> None:
    write_junit(tmp_path / "x.xml", junit_document([GROUP], [], "signature"))
    case = ElementTree.parse(tmp_path / "x.xml").getroot().find("testsuite/testcase")
    assert case is not None
    assert case.get("name") == "SIGSEGV in f<int> < main"
