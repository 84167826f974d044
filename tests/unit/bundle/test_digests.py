"""SHA256SUMS as coreutils writes and reads it."""

from corebox.bundle.digests import format_sums


def test_names_are_escaped_as_coreutils_does() -> None:
    sums = format_sums([("rootfs/a\nb\\c", "11"), ("core", "22"), ("run.sh", "33")])
    assert sums == b"\\11  rootfs/a\\nb\\\\c\n# layer-sha256 22  core\n33  run.sh\n"
