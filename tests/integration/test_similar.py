"""``corebox similar``: as many groups as there are faults, wherever they happened and however they were compiled."""

import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.corpus import plan
from benchmarks.corpus.__main__ import measure, scores
from corebox.gather.cli import main as gather
from tests.support.documents import validate
from tests.support.lab import Lab
from tests.support.programs import FOLDER
from tests.support.site import Site

FAULTS = range(1, 7)
#: The same source compiled twice, elsewhere each time, and crashed so often on each site.
BUILDS = ("/opt/first", "/srv/release/second")
TIMES = 2


@pytest.fixture(scope="module")
def crashes(machine: None, tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Path]]:
    """The bundles of each fault: built with bullseye's compiler, crashed with its glibc 2.31 and with trixie's 2.41."""
    bullseye, trixie = Site("bullseye"), Site("trixie")
    bullseye.put(FOLDER / "similar", "/usr/src/similar")
    for build in BUILDS:
        compile_each = "".join(f"gcc -O2 -DFAULT={fault} -o {build}/dies{fault} dies.c; " for fault in FAULTS)
        bullseye.run(f"mkdir -p {build}; cp /usr/src/similar/dies.c {build}; cd {build}; {compile_each}")
        shutil.copytree(bullseye.root / build[1:], trixie.root / build[1:], dirs_exist_ok=True)
    out = tmp_path_factory.mktemp("similar")
    return {
        fault: [bundle for site in (bullseye, trixie) for build in BUILDS for bundle in crash(site, build, fault, out)]
        for fault in FAULTS
    }


def crash(site: Site, build: str, fault: int, out: Path) -> list[Path]:
    """Crash a program in a site several times, and gather each crash."""
    place = site.root / "var" / "crash" / f"similar-{out.name}"
    program = f"{build}/dies{fault}"
    once = f"mkdir -p /var/crash/{place.name}/$i && cd /var/crash/{place.name}/$i && {program} 2>/dev/null"
    numbers = " ".join(map(str, range(TIMES)))
    site.run(f"ulimit -c unlimited -s 256; for i in {numbers}; do {once}; done", check=False)
    bundles = []
    for core in sorted(place.glob("*/core*")):
        bundles.append(out / f"{site.suite}{program.replace('/', '-')}-{core.parent.name}.corebox")
        assert gather([str(core), "--root", str(site.root), "--no-nice", "-o", str(bundles[-1])]) == 0
    shutil.rmtree(place)
    assert len(bundles) == TIMES
    return bundles


def test_crashes_are_grouped_by_their_fault(crashes: dict[int, list[Path]], fresh_lab: Lab) -> None:
    """With fewer descriptors than there are crashes: what is opened for one is closed before the last."""
    few = Lab(fresh_lab.home, ("prlimit", "--nofile=100", *fresh_lab.command))
    every = [str(bundle) for bundles in crashes.values() for bundle in bundles]
    assert len(every) == len(FAULTS) * len(BUILDS) * 2 * TIMES
    document = few.done("similar", "--engine", "bubblewrap", "--json", *every).json
    validate(document, "similar")
    expected = {frozenset(map(str, bundles)) for bundles in crashes.values()}
    assert {frozenset(group["names"]) for group in document["groups"]} == expected, document["groups"]


def test_the_corpus(fresh_lab: Lab, tmp_path: Path) -> None:
    """A part of it; ``python -m benchmarks.corpus`` measures the whole, whose figures are in the documents."""
    made, groups = measure(plan.part(), fresh_lab, tmp_path)
    found = scores(made, groups)
    assert found["family"].precision >= 0.98, groups
    assert found["family"].recall >= 0.9, groups
    assert found["signature"].precision == 1, groups


def test_by_signature_each_signature_is_a_group(crashes: dict[int, list[Path]], lab: Lab, tmp_path: Path) -> None:
    names = [str(bundle) for bundles in (crashes[3][:1], crashes[4][:1], crashes[1][:2]) for bundle in bundles]
    by_family = lab.done("similar", "--engine", "bubblewrap", "--json", *names).json
    more = ("--by", "signature", "--json", "--junit", tmp_path / "x.xml")
    by_signature = lab.done("similar", "--engine", "bubblewrap", *more, *names).json
    cases = ElementTree.parse(tmp_path / "x.xml").getroot().findall("testsuite/testcase")
    assert [each.get("name") for each in cases] == [
        group["signatures"][0]["signature"] for group in by_signature["groups"]
    ]
    validate(by_signature, "similar")
    assert (by_family["by"], by_signature["by"]) == ("family", "signature")
    assert all(len(group["signatures"]) == 1 for group in by_signature["groups"])
    said = lab.done("similar", "--engine", "bubblewrap", *names).output
    assert f"2 x {by_family['groups'][0]['family']}\n  Null pointer dereference" in said
    assert f"    2 x {by_signature['groups'][0]['signatures'][0]['signature']}\n" in said


def test_what_cannot_be_looked_at_keeps_nothing_from_the_others(
    crashes: dict[int, list[Path]], lab: Lab, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.corebox"
    damaged.write_bytes(crashes[1][0].read_bytes()[:-100])
    sealed = tmp_path / "sealed.corebox"
    sealed.write_bytes(b"age-encryption.org/v1\n" + bytes(100))
    names = (damaged, tmp_path / "gone.corebox", sealed, crashes[1][0])
    result = lab.corebox("similar", "--engine", "bubblewrap", "--json", *names)
    assert result.status == 1
    validate(result.json, "similar")
    assert [group["names"] for group in result.json["groups"]] == [[str(crashes[1][0])]]
    assert [failed["code"] for failed in result.json["failed"]] == ["bundle-damaged", "no-such-file", "no-identity"]
    assert "hint:" in result.errors
