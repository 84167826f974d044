"""What is for the CI systems of others is as their schemas have it; those are in check-jsonschema's package."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import REPOSITORY

CHECK = Path(sys.executable).with_name("check-jsonschema")


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("github-actions", "action.yml"),
        ("github-workflows", ".github/workflows/release.yml"),
        ("gitlab-ci", "packaging/ci/gitlab.yml"),
    ],
)
def test_it_is_valid(schema: str, file: str) -> None:
    done = subprocess.run(
        [CHECK, "--builtin-schema", f"vendor.{schema}", REPOSITORY / file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
