"""A program has the name by which it was called, and the file behind it."""

import pytest

from corebox.bundle.manifest import Manifest, Site
from corebox.describe.program import program_of, system_name
from tests.unit.bundle.samples import manifest

PYTHON, JAVA = "/usr/bin/python3.11", "/usr/lib/jvm/bin/java"


def named(executable: str | None, name: str, arguments: str, executed: str | None) -> Manifest:
    """A manifest of a process that was executed as ``executed`` (AT_EXECFN)."""
    value = manifest()
    process = value.process._replace(executable=executable, name=name, arguments=arguments)
    names = (executed,) if executed else ()
    module = value.modules[0]._replace(executable=True, opened_as=names, path=executable or "./app")
    return value._replace(process=process, modules=(module,))


@pytest.mark.parametrize(
    ("executable", "name", "arguments", "executed", "text"),
    [
        ("/opt/app", "app", "app -v", "/opt/app", "/opt/app"),
        (
            "/usr/bin/redis-check-rdb",
            "redis-server",
            "redis-server *:6379",
            "/usr/bin/redis-server",
            "redis-server (/usr/bin/redis-check-rdb)",
        ),
        ("/bin/busybox", "ls", "ls -l", "/bin/ls", "ls (/bin/busybox)"),
        (PYTHON, "app.py", "/usr/bin/python3 ./app.py -v", "./app.py", f"app.py ({PYTHON})"),
        (PYTHON, "python3", "python3 -W ignore /a/app.py", "/usr/bin/python3", f"app.py ({PYTHON})"),
        (PYTHON, "python3", "python3 -m http.server", "/usr/bin/python3", f"http.server ({PYTHON})"),
        (PYTHON, "python3", "python3 -c import os", "/usr/bin/python3", f"python3 ({PYTHON})"),
        (PYTHON, "python3", "python3", "/usr/bin/python3", f"python3 ({PYTHON})"),
        (PYTHON, "gunicorn", "gunicorn: master [app]", "/usr/bin/gunicorn", f"gunicorn ({PYTHON})"),
        ("/usr/bin/dash", "sh", "sh /opt/run.sh", "/bin/sh", "run.sh (/usr/bin/dash)"),
        (JAVA, "java", "java -cp a:b com.acme.Main", "/usr/bin/java", f"com.acme.Main ({JAVA})"),
        (JAVA, "java", "java -jar /a/app.jar", "/usr/bin/java", f"app.jar ({JAVA})"),
        ("/usr/bin/node", "node-MainThread", "node -i /a/orders.js", "/usr/bin/node", "orders.js (/usr/bin/node)"),
        ("/lib/ld-linux-x86-64.so.2", "ld-linux-x86-64", "/lib/ld-linux-x86-64.so.2 ./app", "/lib/ld-linux-x86-64.so.2",
         "app (/lib/ld-linux-x86-64.so.2)"),
        ("/opt/app", "ld-linux-x86-64", "/lib64/ld-linux-x86-64.so.2 ./app", "/lib64/ld-linux-x86-64.so.2", "/opt/app"),
        ("/opt/a-very-long-program", "a-very-long-pro", "x", None, "/opt/a-very-long-program"),
        (None, "3", "payload x", "/dev/fd/3", "payload"),
        (None, "exe", "child x", "/proc/self/exe", "child"),
        (None, "a-very-long-pro", "", "./a-very-long-program", "a-very-long-program"),
        (None, "", "", None, "an unknown program"),
    ],
)  # fmt: skip
def test_a_program_is_named_as_it_was_called(
    executable: str | None, name: str, arguments: str, executed: str | None, text: str
) -> None:
    assert str(program_of(named(executable, name, arguments, executed))) == text


def test_a_system_is_what_wrote_the_core_where_nothing_else_is_known() -> None:
    site = Site({}, None, "x86_64", None)
    assert system_name(site) == "unknown"
    assert system_name(site._replace(system="Linux")) == "unknown"
    assert system_name(site._replace(system="NetBSD")) == "NetBSD"
    assert system_name(site._replace(system="Linux", os_release={"PRETTY_NAME": "Debian"})) == "Debian"
