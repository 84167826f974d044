"""What a user may name as a place for symbols."""

from pathlib import Path

import pytest

from corebox.errors import CoreboxError
from corebox.locate.places import Places, SymbolOptions, open_places
from corebox.store.store import Store


def opened(store: Path, *places: str) -> Places:
    return open_places(SymbolOptions(places), Store(store), {}, lambda _: None, lambda _: None)


def test_one_text_may_name_servers_as_the_clients_variable_does(tmp_path: Path) -> None:
    servers = opened(tmp_path, "ima:enforcing http://127.0.0.1:9 https://localhost:9").named_servers
    assert servers == {"http://127.0.0.1:9", "https://localhost:9"}


def test_a_variable_that_is_not_set_does_not_mean_the_current_directory(tmp_path: Path) -> None:
    with pytest.raises(CoreboxError) as raised:
        opened(tmp_path, "")
    assert raised.value.code == "no-such-file"
