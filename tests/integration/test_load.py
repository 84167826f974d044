"""Much at once: builds in one store, a store with a thousand images, many runs over one crash."""

import json
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from corebox.store.store import Store
from corebox.store.values import MANIFEST_TYPE
from tests.support.aftermath import Desk, World, tries
from tests.support.bench import Bench
from tests.support.crashes import build_program
from tests.support.lab import Lab, Result

pytestmark = pytest.mark.alone

AT_ONCE, AT_A_TIME = 8, 4
IMAGES = 1000


def processor_time() -> float:
    """Seconds that our children have used: other work on the machine takes no part in them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def at_once(count: int, workers: int, act: Callable[[int], Result]) -> list[Result]:
    """Act so often, some at a time; all must succeed."""
    with ThreadPoolExecutor(workers) as pool:
        done = list(pool.map(act, range(count)))
    assert [each.errors for each in done if each.status] == []
    return done


@pytest.fixture(scope="module")
def bundles(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Bundles of different programs."""
    folder, lab, made = tmp_path_factory.mktemp("bundles"), Lab(bench.seed), []
    for number in range(AT_ONCE):
        core = build_program(folder / f"app{number}", f"lib{number}.so").crash()
        made.append(folder / f"{number}.corebox")
        lab.done("gather", core, "-o", made[-1], "--no-nice")
    return made


@pytest.mark.parametrize("toolbox", ["there", "not there"])
@pytest.mark.parametrize("which", ["different", "the same"])
def test_builds_at_once(bench: Bench, bundles: list[Path], tmp_path: Path, which: str, toolbox: str) -> None:
    seed = bench.seed if toolbox == "there" else tmp_path / "empty"
    seed.mkdir(exist_ok=True)
    desk = Desk.lay(tmp_path / "desk", seed, bench.verb("build"))
    chosen = bundles if which == "different" else bundles[:1] * AT_ONCE

    def build(number: int) -> Result:
        return desk.lab.corebox("build", chosen[number], "--no-load", "--json")

    images = {each.json["image_id"] for each in at_once(AT_ONCE, AT_ONCE, build)}
    assert len(images) == len(set(chosen))
    desk.must_have_lost_nothing()
    assert images <= set(desk.image_ids().values())
    assert list(desk.lab.home.glob("tmp/*/*")) == []
    for number, bundle in enumerate(chosen):
        assert desk.lab.build(bundle)["image_id"] == build(number).json["image_id"]


def test_many_reports_over_a_queue_of_four(bench: Bench, tmp_path: Path) -> None:
    desk = Desk.lay(tmp_path / "desk", bench.seed, bench.verb("shell"))

    def report(_: int) -> Result:
        return desk.lab.corebox("report", bench.bundle, "--engine", "bubblewrap", "--format", "json")

    began, count = time.monotonic(), tries(24)
    done = at_once(count, AT_A_TIME, report)
    print(f"{count} reports, {AT_A_TIME} at a time: {time.monotonic() - began:.0f} s")
    assert {each.json["threads"][0]["frames"][0]["function"] for each in done} == {"fail"}
    assert len({each.output for each in done}) == 1
    desk.must_have_lost_nothing()
    assert World.now(None).children == desk.world.children
    assert list(desk.lab.home.glob("tmp/*/*")) == []


@pytest.fixture(scope="module")
def crowded(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A store with a thousand images: one real one under many configurations, all with layers in common."""
    desk = Desk.lay(tmp_path_factory.mktemp("crowded") / "desk", bench.seed, bench.verb("build"))
    store = Store(desk.lab.home)
    (real,) = store.images()
    manifest = json.loads(store.blob_path(real.manifest_digest).read_bytes())
    assert manifest["mediaType"] == MANIFEST_TYPE
    entries = []
    for number in range(IMAGES - 1):
        config = store.put_json({**real.config, "author": f"customer {number}"}, manifest["config"]["mediaType"])
        entry = store.put_json({**manifest, "config": config.to_json()}, MANIFEST_TYPE)
        entries.append({**entry.to_json(), "annotations": {"org.opencontainers.image.ref.name": f"crash:{number}"}})
    index = json.loads((store.oci / "index.json").read_bytes())
    (store.oci / "index.json").unlink()  # a hard link to the seed's
    (store.oci / "index.json").write_text(json.dumps({**index, "manifests": index["manifests"] + entries}))
    return desk.lab


@pytest.mark.parametrize(
    "words", [("images",), ("images", "--json"), ("images", "--tree"), ("prune",), ("info", "crash:500")], ids=" ".join
)
def test_a_store_with_a_thousand_images(crowded: Lab, words: tuple[str, ...]) -> None:
    crowded.done(*words)
    began, before = time.monotonic(), processor_time()
    shown = crowded.done(*words).output
    used = processor_time() - before
    print(f"{' '.join(words)}: {time.monotonic() - began:.2f} s, {used:.2f} s of the processor")
    assert len(crowded.done("images", "--json").json["images"]) == IMAGES
    assert words[0] != "images" or "crash:999" not in shown


def test_a_limit_takes_most_of_a_thousand_images(crowded: Lab) -> None:
    began = time.monotonic()
    shown = crowded.done("prune", "--limit", "1k").output
    took = time.monotonic() - began
    print(f"prune --limit: {took:.2f} s")
    assert shown.count("removed") == IMAGES
    assert crowded.done("images", "--json").json["images"] == []
