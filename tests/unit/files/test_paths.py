"""Names under a foreign root: read as a process inside would read them."""

import pytest

from corebox.files.paths import is_canonical, relative_target, resolve

LINKS = {
    "/lib": "usr/lib",
    "/lib64": "/usr/lib64",
    "/usr/lib64/ld.so": "../lib/ld-2.so",
    "/up": "../../..",
    "/loop": "loop",
    "/chain": "lib64/ld.so",
}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("/lib/x.so", "/usr/lib/x.so"),
        ("/lib64/ld.so", "/usr/lib/ld-2.so"),
        ("/chain", "/usr/lib/ld-2.so"),
        ("/opt/./a//../b/", "/opt/b"),
        ("/../../etc/passwd", "/etc/passwd"),
        ("/up/etc", "/etc"),
        ("/", "/"),
    ],
)
def test_resolves_as_inside(name: str, path: str) -> None:
    resolution = resolve(name, LINKS.get)
    assert resolution is not None
    assert resolution.path == path


def test_links_on_the_way_are_told() -> None:
    resolution = resolve("/chain", LINKS.get)
    assert resolution is not None
    assert [link for link, _ in resolution.links] == ["/chain", "/lib64", "/usr/lib64/ld.so"]


def test_endless_ways_end() -> None:
    assert resolve("/loop", LINKS.get) is None
    assert resolve("/a" * 5000, LINKS.get) is None


@pytest.mark.parametrize(
    ("link", "target", "relative"),
    [
        ("/lib", "usr/lib", "usr/lib"),
        ("/lib64", "/usr/lib64", "usr/lib64"),
        ("/usr/lib64/ld.so", "/usr/lib/ld-2.so", "../../usr/lib/ld-2.so"),
        ("/a/b/c", "/", "../.."),
        ("/a/b", "../../../../usr", "../usr"),
        ("/a/b", "../up/x", "../x"),
        ("/a", "loop", None),
    ],
)
def test_target_is_made_relative_with_the_same_meaning(link: str, target: str, relative: str | None) -> None:
    made = relative_target(link, target, LINKS.get)
    assert (made.rstrip("/") if made else made) == relative


@pytest.mark.parametrize("path", ["", "/", "a", "/a/", "//a", "/a/../b", "/a/.", "/a\0b", "/" + "x" * 5000])
def test_other_spellings_are_not_canonical(path: str) -> None:
    assert not is_canonical(path)


def test_odd_but_canonical() -> None:
    assert is_canonical("/...")
    assert is_canonical("/a b\n\udcff")
