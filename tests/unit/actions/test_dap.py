"""Where ``corebox dap`` listens."""

import pytest

from corebox.actions.dap import parse_address
from corebox.errors import UsageError


def test_addresses() -> None:
    assert parse_address("4711", anywhere=False) == ("127.0.0.1", 4711)
    assert parse_address("localhost:0", anywhere=False) == ("localhost", 0)
    assert parse_address("[::1]:4711", anywhere=False) == ("::1", 4711)
    assert parse_address("0.0.0.0:4711", anywhere=True) == ("0.0.0.0", 4711)


@pytest.mark.parametrize("text", ["", "x", "127.0.0.1", "1:65536", "1:-1", "0.0.0.0:4711", "192.0.2.1:4711", "[::]:1"])
def test_no_other_machine_unless_that_is_wanted(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(text, anywhere=False)
    assert caught.value.code == "bad-address"
