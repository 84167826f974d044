"""What is for the CI systems of others is as their schemas have it; those are in check-jsonschema's package."""

from importlib import import_module

import pytest
from click.testing import CliRunner

from tests.support.programs import REPOSITORY


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("github-actions", "action.yml"),
        ("github-workflows", ".github/workflows/release.yml"),
        ("gitlab-ci", "packaging/ci/gitlab.yml"),
    ],
)
def test_it_is_valid(schema: str, file: str) -> None:
    main = import_module("check_jsonschema").main  # large: not where other tests are collected
    done = CliRunner().invoke(main, ["--builtin-schema", f"vendor.{schema}", str(REPOSITORY / file)])
    assert done.exit_code == 0, done.output
