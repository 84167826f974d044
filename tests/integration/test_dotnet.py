"""A crash of .NET has what SOS needs, its extension of LLDB: the assemblies and the debugging libraries of the runtime.

The runtime, and the program, the engine of a tool for data, are of the Python Package Index; what the program says when
it ends is the truth.
"""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.lab import Lab

WHEELS = ("dotnetcore2==2.1.23", "azureml-dataprep==1.1.0")
ENGINE = "azureml/dataprep/api/engineapi/bin/Microsoft.DPrep.Execution.EngineHost.dll"
FRAMEWORK = "dotnetcore2/bin/shared/Microsoft.NETCore.App/2.1.30"
ENVIRONMENT = {"PATH": os.environ["PATH"], "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"}
#: As docs/how-to/dotnet-crashes.md has it.
SANDBOX = (
    *("bwrap", "--unshare-all", "--die-with-parent", "--clearenv", "--setenv", "PATH", "/usr/bin"),
    *("--setenv", "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1", "--ro-bind", "/usr", "/usr"),
    *("--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev"),
)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A folder with the runtime and the program."""
    words = ["-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "-d", str(tmp_path / "wheels"), *WHEELS]
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    for wheel in (tmp_path / "wheels").iterdir():
        zipfile.ZipFile(wheel).extractall(tmp_path / "program")
    (tmp_path / "program/dotnetcore2/bin/dotnet").chmod(0o755)
    return tmp_path / "program"


def test_sos_reads_it_on_another_machine(program: Path, tmp_path: Path, lab: Lab) -> None:
    runtime = [program / "dotnetcore2/bin/dotnet", program / ENGINE]
    said = subprocess.run(runtime, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False).stderr
    message = "The given key 'sessionId' was not present in the dictionary."
    assert f"System.Collections.Generic.KeyNotFoundException: {message}" in said
    (core,) = tmp_path.glob("core*")
    gathered = lab.done("gather", core, "-o", tmp_path / "x.corebox")
    assert "exact: every file matches the crashed process" in gathered.output + gathered.errors
    program.rename(tmp_path / "gone")
    crash = tmp_path / "crash"
    crash.mkdir()
    lab.done("export", tmp_path / "x.corebox", "--sysroot", crash / "site", "--core", crash / "core")
    assert Path(f"{crash}/site{program}/{ENGINE}").exists()
    site, framework = "/crash/site", f"/crash/site{program}/{FRAMEWORK}"
    commands = (
        f"settings set target.exec-search-paths {framework}",
        f"target create --core /crash/core {site}{program}/dotnetcore2/bin/dotnet",
        f"plugin load {framework}/libsosplugin.so",
        f"setclrpath {framework}",
        "pe",
        "clrthreads",
    )
    asked = [word for command in commands for word in ("-o", command)]
    sandbox = [*SANDBOX, "--ro-bind", str(crash), "/crash"]
    shown = subprocess.run(
        [*sandbox, "lldb-16", "--batch", *asked], capture_output=True, text=True, check=False, timeout=120
    ).stdout
    assert message in shown, shown
    assert "Microsoft.DPrep.Execution.EngineHost.dll!" in shown, shown
    assert "(Finalizer)" in shown, shown
