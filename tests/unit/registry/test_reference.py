"""Names of images in registries."""

import re

import pytest

from corebox.errors import UsageError
from corebox.registry.reference import Reference, check_name, is_reference, parse_reference

DIGEST = "sha256:" + "a" * 64

GOOD = {
    "registry.corp/team/crash:1": Reference("registry.corp", "team/crash", "1"),
    "registry.corp:5000/crash": Reference("registry.corp:5000", "crash"),
    "localhost/a/b/c:x.y-z_1": Reference("localhost", "a/b/c", "x.y-z_1"),
    "build:5000/crash:1": Reference("build:5000", "crash", "1"),
    "127.0.0.1:5000/a__b/c-d:1": Reference("127.0.0.1:5000", "a__b/c-d", "1"),
    "[::1]:5000/crash:1": Reference("[::1]:5000", "crash", "1"),
    f"docker.io/acme/crash@{DIGEST}": Reference("docker.io", "acme/crash", None, DIGEST),
    f"docker.io/acme/crash:1@{DIGEST}": Reference("docker.io", "acme/crash", "1", DIGEST),
}
BAD = [
    "",
    "crash",
    "crash:1",
    "team/crash:1",
    "registry.corp/",
    "registry.corp/Team/crash",
    "registry.corp/team/crash:",
    "registry.corp/team/crash:" + "x" * 129,
    "registry.corp/../crash",
    "registry.corp/team//crash",
    "https://registry.corp/team/crash",
    "registry.corp/team/crash@sha256:abc",
    "registry.corp/team/crash:1\n",
    "user@registry.corp/team/crash",
    "registry.corp/" + "a" * 600,
]


@pytest.mark.parametrize("text", GOOD)
def test_names_with_a_host_are_references(text: str) -> None:
    assert is_reference(text)
    assert parse_reference(text) == GOOD[text]


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:40])
def test_all_else_is_refused(text: str) -> None:
    assert not is_reference(text)
    with pytest.raises(UsageError) as raised:
        parse_reference(text)
    assert raised.value.code == "bad-reference"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("user:secret@registry.corp/crash:1", "...@registry.corp/crash:1"),
        ("https://user:secret@registry.corp/crash", "...@registry.corp/crash"),
        ("user:se/cr et@registry.corp/crash", "...@registry.corp/crash"),
        ("user:se@cret@registry.corp/crash", "...@registry.corp/crash"),
        (f"user:secret@registry.corp/Crash@{DIGEST}", f"...@registry.corp/Crash@{DIGEST}"),
        (f"registry.corp:5000/Crash@{DIGEST}", f"registry.corp:5000/Crash@{DIGEST}"),
        ("user@registry.corp/crash", "user@registry.corp/crash"),
        ("Crash:1", "Crash:1"),
    ],
)
def test_what_may_be_a_password_is_not_shown(text: str, shown: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(shown)} does not name"):
        parse_reference(text)


def test_the_digest_is_wanted_before_the_tag_and_latest_if_there_is_neither() -> None:
    assert parse_reference(f"a.b/c:1@{DIGEST}").wanted == DIGEST
    assert parse_reference("a.b/c:1").wanted == "1"
    assert parse_reference("a.b/c").wanted == "latest"


@pytest.mark.parametrize(
    ("text", "printed"),
    [("a.b/c", "a.b/c:latest"), ("a.b/c:1", "a.b/c:1"), (f"a.b/c@{DIGEST}", f"a.b/c@{DIGEST}")],
)
def test_a_reference_is_printed_in_full(text: str, printed: str) -> None:
    assert str(parse_reference(text)) == printed


@pytest.mark.parametrize("text", ["app:1234", "app", "team/app:1", "localhost:5000/team/a__b:v1.0-rc"])
def test_a_name_that_engines_take_will_do(text: str) -> None:
    check_name(text)


@pytest.mark.parametrize("text", ["", "Upper:1", "a b", "app:", ":1", "app:-1", "a//b", "app:1\n", "a" * 600])
def test_a_name_that_engines_refuse_will_not(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        check_name(text)
    assert raised.value.code == "bad-tag"
