"""The page of a fleet over real HTTP: who may see what, and that nothing of a crash is markup."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from sqlalchemy import text

from corebox.fleet import questions
from corebox.fleet.arrival import Labels
from corebox.fleet.database import Fleet
from corebox.fleet.decisions import audit_trail
from corebox.fleet.facts import ModuleFact
from corebox.fleet.readers import add_reader, list_readers, remove_reader
from corebox.fleet.reporting import page_path, report_path
from corebox.fleet.uploads import Uploads
from tests.unit.fleet.conftest import AddCrash
from tests.unit.fleet.test_server import Answer, Site, served

EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\x1b[2J'{{7*7}}"


@pytest.fixture
def port(fleet: Fleet, add: AddCrash) -> Iterator[int]:
    """A fleet with two crashes of one customer, and one of another that is hostile in everything that it says."""
    add()
    add(Labels("acme", "ordersd", "1.1"))
    add(
        Labels(EVIL, EVIL, EVIL, EVIL),
        **dict.fromkeys(("cause", "family", "signature", "signal", "system", "program"), EVIL),
        functions=(EVIL,),
        modules=(ModuleFact(EVIL, EVIL, EVIL),),
    )
    with served(Uploads(fleet, keep_free=0, max_size=1000)) as number:
        yield number


def reader(fleet: Fleet, port: int, role: str = "viewer", customer: str | None = None) -> Site:
    return Site(port, add_reader(fleet, "Ann <b>", role, customer))


def page(site: Site, path: str, status: int = 200) -> str:
    answer = site.ask("GET", path)
    assert answer.status == status, path
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'; form-action")
    return answer.body.decode()


PAGES = ("/", "/family/1", "/family/2", "/crash/1", "/crash/3", "/search", "/backlog", "/readers")


#: All the elements that a page has.
OURS = re.compile(
    "html|head|meta|title|link|body|a|nav|form|button|main|h1|h2|p|div|table|thead|tbody|tr|th|td|bdi|code|ol|ul|li|dl|dt|"
    "dd|svg|polyline|input|label|select|option|span"
)


class Tags(HTMLParser):
    """Collects the elements of a page, and what could run."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element."""
        self.found |= {tag, *(name for name, _ in attrs if name.startswith("on") or name in ("style", "srcdoc"))}


def test_nothing_of_a_crash_is_markup(fleet: Fleet, port: int) -> None:
    site = reader(fleet, port, "admin")
    for path in (*PAGES, "/search?function=%22%3E%3Cscript%3E"):
        text = page(site, path)
        parser = Tags()
        parser.feed(text)
        assert [each for each in parser.found if not OURS.fullmatch(each)] == [], path
        assert not re.search("\u202e|\x1b", text), path
        assert re.findall('(?:src|href)="(?!/)(?!#main)', text) == []
        assert text.count("<h1>") == 1
        fields = re.findall('<(?:input|select)(?! type="hidden")[^>]* ?id="([a-z_]+)"', text)
        assert all(f'<label for="{each}">' in text for each in fields)
        assert text.count("<label") == len(fields)
    assert "&lt;script&gt;" in page(site, "/crash/3")
    assert "{{7*7}}" in page(site, "/crash/3")


def test_each_page_has_a_twin_for_programs(fleet: Fleet, port: int) -> None:
    site = reader(fleet, port, "admin")
    for path in PAGES:
        document = json.loads(page(site, ("/overview" if path == "/" else path) + ".json"))
        assert document["version"] == 1
    assert json.loads(page(site, "/crash/1.json"))["frames"] == ["memcpy", "copy_order", "main"]
    assert [each["id"] for each in json.loads(page(site, "/search.json?function=copy*&release=1.1"))["crashes"]] == [2]


def test_without_a_token_there_is_a_form(fleet: Fleet, port: int) -> None:
    stranger = Site(port, "wrong")
    for path in PAGES:
        assert stranger.ask("GET", path).status == 303
        assert stranger.ask("GET", ("/overview" if path == "/" else path) + ".json").status == 401
    assert stranger.ask("GET", "/crash/1.corebox").status == 401
    assert "Your token" in page(stranger, "/login")


def log_in(port: int, token: str, **headers: str) -> Answer:
    form = {"Content_Type": "application/x-www-form-urlencoded", **headers}
    return Site(port, "").ask("POST", "/login", f"token={token}".encode(), **form)


def test_a_person_logs_in_and_out(fleet: Fleet, port: int) -> None:
    token = add_reader(fleet, "ann")
    here = f"http://127.0.0.1:{port}"
    answer = log_in(port, token, Origin=here)
    assert answer.status == 303
    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=strict"))
    cookie = answer.headers["set-cookie"].partition(";")[0]
    assert Site(port, "").ask("GET", "/", Authorization="", Cookie=cookie).status == 200
    for headers in ({"Origin": "http://evil.example"}, {"Sec_Fetch_Site": "cross-site"}, {}):
        assert log_in(port, token, **headers).status == 403
    assert log_in(port, "wrong", Origin=here).status == 403
    assert log_in(port, "x" * 5000, Origin=here).status == 413
    assert Site(port, "").ask("POST", "/logout", Cookie=cookie, Sec_Fetch_Site="cross-site").status == 403
    assert 'corebox=""' in Site(port, "").ask("POST", "/logout", Origin=here).headers["set-cookie"]
    assert remove_reader(fleet, list_readers(fleet)[0].number)
    assert Site(port, "").ask("GET", "/", Authorization="", Cookie=cookie).status == 303


def test_of_one_customer_nothing_else_is_shown(fleet: Fleet, port: int) -> None:
    site = reader(fleet, port, customer="acme")
    for path in ("/", "/family/1", "/search", "/backlog", "/search?customer=x", "/search?family=2"):
        assert "alert(1)" not in page(site, path)
    for path in ("/family/2", "/crash/3", "/crash/3.json"):
        assert "alert(1)" not in page(site, path, 404)
    debugger = reader(fleet, port, "debugger", "acme")
    assert debugger.ask("GET", "/crash/3.corebox").status == 404


def test_a_debugger_takes_a_bundle_and_it_is_noted(fleet: Fleet, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = fleet.folder / "x"
    bundle.write_bytes(b"bundle")
    monkeypatch.setattr(questions, "bundle", lambda *_: Path(bundle))
    assert reader(fleet, port).ask("GET", "/crash/1.corebox").status == 403
    answer = reader(fleet, port, "debugger").ask("GET", "/crash/1.corebox")
    assert (answer.status, answer.body) == (200, b"bundle")
    assert answer.headers["content-disposition"].startswith("attachment")
    with fleet.reading() as connection:
        rows = connection.execute(text("SELECT who, what FROM audit")).all()
    assert [tuple(row) for row in rows] == [("Ann <b>", "crash 1: bundle downloaded")]


def post(site: Site, path: str, form: str, **headers: str) -> Answer:
    sent = {"Content_Type": "application/x-www-form-urlencoded", "Sec_Fetch_Site": "same-origin", **headers}
    return site.ask("POST", path, form.encode(), **sent)


def test_families_are_named_merged_and_split_and_it_is_noted(fleet: Fleet, port: int) -> None:
    site = reader(fleet, port, "debugger")
    for form in ("do=name&value=queue+%3Cb%3E", "do=ticket&value=BUG-17"):
        assert post(site, "/family/1", form).headers["location"] == "/family/1"
    assert post(site, "/family/2", "do=merge&value=1").headers["location"] == "/family/1"
    text = page(site, "/family/1")
    assert "queue &lt;b&gt;" in text
    assert "BUG-17" in text
    assert "family 1: family 2 merged into it" in text
    assert "3 crashes" in text
    assert post(site, "/family/1", "do=split&value=2").status == 303
    assert json.loads(page(site, "/family/2.json"))["crashes"] == 1
    trail = json.loads(page(site, "/family/2.json"))["audit"]
    assert [(each["who"], each["what"]) for each in trail] == [
        ("Ann <b>", "family 2: split"),
        ("Ann <b>", "family 2: merged into family 1"),
    ]
    for form, status in (
        ("do=merge&value=x", 400),
        ("do=merge&value=999", 404),
        ("do=drop", 400),
        ("do=name&value=%00", 400),
        ("do=name&value=" + "x" * 5000, 413),
    ):
        assert post(site, "/family/1", form).status == status
    assert post(site, "/family/999", "do=name&value=x").status == 404


def test_only_who_may_decides(fleet: Fleet, port: int) -> None:
    for role, customer in (("viewer", None), ("admin", "acme")):
        site = reader(fleet, port, role, customer)
        assert post(site, "/family/1", "do=name&value=x").status == 403
        assert post(site, "/readers", "name=x&role=admin").status == 403
        assert post(site, "/readers/1", "").status == 403
        assert "<h2>Decide" not in page(site, "/family/1")
        page(site, "/readers", 403)
    assert post(reader(fleet, port, "debugger"), "/readers", "name=x&role=admin").status == 403
    admin = reader(fleet, port, "admin")
    assert post(admin, "/family/1", "do=name&value=x", Sec_Fetch_Site="cross-site").status == 403
    assert post(Site(port, "wrong"), "/family/1", "do=name&value=x").headers["location"] == "/login"


def test_an_admin_says_who_may_look(fleet: Fleet, port: int) -> None:
    admin = reader(fleet, port, "admin")
    text = post(admin, "/readers", "name=Bob&role=viewer&customer=acme").body.decode()
    (token,) = re.findall("cannot be shown again: <code>([^<]+)</code>", text)
    assert page(Site(port, token), "/")
    assert token not in page(admin, "/readers")
    bob = list_readers(fleet)[1]
    assert (bob.name, bob.role, bob.customer) == ("Bob", "viewer", "acme")
    assert post(admin, f"/readers/{bob.number}", "").status == 303
    assert Site(port, token).ask("GET", "/").status == 303
    assert "readers: Bob may look, as viewer" in page(admin, "/readers")
    assert post(admin, "/readers/999", "").status == 404
    assert post(admin, "/readers", "name=Eve&role=root").status == 400


def test_a_report_is_for_debuggers_and_it_is_noted(fleet: Fleet, port: int) -> None:
    debugger = reader(fleet, port, "debugger")
    assert debugger.ask("GET", "/crash/1/report").status == 404
    assert "read the report" not in page(debugger, "/crash/1")
    page_path(fleet, 1).parent.mkdir(parents=True)
    page_path(fleet, 1).write_text("<p>values")
    report_path(fleet, 1).write_text("{}")
    assert "read the report" in page(debugger, "/crash/1")
    assert "read the report" not in page(reader(fleet, port), "/crash/1")
    assert reader(fleet, port).ask("GET", "/crash/1/report").status == 403
    assert Site(port, "wrong").ask("GET", "/crash/1/report").status == 401
    answer = debugger.ask("GET", "/crash/1/report")
    assert (answer.status, answer.body) == (200, b"<p>values")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'; form")
    assert debugger.ask("GET", "/crash/1/report.json").body == b"{}"
    assert [each.what for each in audit_trail(fleet, "crash 1")] == ["crash 1: report opened"] * 2


def test_a_proxy_is_believed_only_if_it_is_named(fleet: Fleet, add: AddCrash, port: int) -> None:
    add_reader(fleet, "ann", "debugger")
    for name in ("twice", "twice"):
        add_reader(fleet, name)
    assert Site(port, "").ask("GET", "/", X_Forwarded_User="ann").status == 303
    with served(Uploads(fleet, keep_free=0, max_size=1000), "X-Forwarded-User") as proxied:
        token = add_reader(fleet, "carl")
        assert "Log out ann" in Site(proxied, "").ask("GET", "/", X_Forwarded_User="ann").body.decode()
        for headers in ({}, {"X_Forwarded_User": "stranger"}, {"X_Forwarded_User": "twice"}):
            assert Site(proxied, token).ask("GET", "/", None, **headers).status == 403
            assert Site(proxied, token).ask("GET", "/overview.json", None, **headers).status == 401
        assert log_in(proxied, token, Sec_Fetch_Site="same-origin").status == 403


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *((f"/crash/{number}", 400) for number in ("x", "9" * 19, "-1", "%D9%A3", "9" * 5000)),
        *((f"/{each}/999", 404) for each in ("crash", "family")),
        *((f"/search?{each}", 400) for each in ("since=x", "state=x", "function=%00", "family=" + "9" * 19)),
        ("/search?text=" + "x" * 600, 400),
        ("/search?since=9999-12-31&release=1..2&family=1&state=reported&package=*", 200),
    ],
)
def test_what_cannot_be_meant_is_refused(fleet: Fleet, port: int, path: str, status: int) -> None:
    page(reader(fleet, port), path, status)
