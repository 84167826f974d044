"""What gdb is told: every name from a core is an argument or is left out, never part of a command."""

import pytest

from corebox.debugger.session import TOOLBOX, gdb_command, gdbinit


def test_gdb_runs_on_the_toolboxs_own_loader_and_reads_our_init_file_first() -> None:
    command = gdb_command("/opt/app/bin/app", ["-batch", "-ex", "bt"])
    assert command[:4] == [f"{TOOLBOX}/lib/ld.so", "--library-path", f"{TOOLBOX}/lib", f"{TOOLBOX}/bin/gdb"]
    assert command[4:] == [
        *("--data-directory", f"{TOOLBOX}/share/gdb", "-nh", "-nx", "-q", "-ix", "/.corebox/gdbinit"),
        *("-se", "/opt/app/bin/app", "-c", "/.corebox/core", "-batch", "-ex", "bt"),
    ]


def test_without_an_executable_gdb_finds_it_itself() -> None:
    assert "-se" not in gdb_command(None)


def test_a_core_of_another_processor_is_opened_by_our_python() -> None:
    command = gdb_command("/opt/app/bin/app", ["-batch"], foreign=True)
    opening = "corebox.gdbside.session.opened.open_core('/.corebox/core')"
    assert command[-5:-2] == ["-se", "/opt/app/bin/app", "-ex"]
    assert command[-2:] == [f"python import corebox.gdbside.session.opened; {opening}", "-batch"]
    assert "-c" not in command


def test_libthread_db_is_looked_for_where_the_customer_has_it() -> None:
    text = gdbinit(["/lib/x86_64-linux-gnu/libthread_db.so.1"], [])
    assert "set libthread-db-search-path /lib/x86_64-linux-gnu\n" in text
    assert "set auto-load safe-path /lib/x86_64-linux-gnu\n" in text


def test_scripts_are_trusted_one_by_one_with_their_folders() -> None:
    script = "/usr/share/gdb/auto-load/usr/lib/libstdc++.so.6-gdb.py"
    text = gdbinit([], [script])
    assert f"set auto-load safe-path {script}:/usr/share/gdb/auto-load/usr/lib\n" in text
    assert "set auto-load scripts-directory /usr/share/gdb/auto-load:/usr/lib/debug\n" in text


@pytest.mark.parametrize("name", ["/lib\nshell id\n/x.so", "/lib:/etc/x.so", "/a b/x.so", "/lib/$(id)/x.so", "/'/x.so"])
def test_a_hostile_name_never_becomes_a_command(name: str) -> None:
    lines = gdbinit([name], [name]).splitlines()
    assert lines == gdbinit([], []).splitlines()


def test_nothing_is_asked_and_nothing_is_fetched() -> None:
    lines = gdbinit([], []).splitlines()
    assert "set debuginfod enabled off" in lines
    assert "set confirm off" in lines
