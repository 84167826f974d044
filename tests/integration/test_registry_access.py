"""Who may push and pull, and how the way is secured."""

import base64
import json
from pathlib import Path

from corebox.registry.access import Access
from corebox.registry.push import push_image
from corebox.registry.reference import parse_reference
from corebox.store.store import Store
from tests.support.images import put_random_image
from tests.support.lab import Lab
from tests.support.registry import PASSWORD, USER, Registry, docker_config, make_certificates, running, write_helper

SIZE = 1 << 20


def test_without_a_password_nothing_is_told(guarded: Registry, stocked: Lab, tmp_path: Path) -> None:
    result = stocked.corebox("push", "random:1", f"{guarded.host}/a/b:1", env=docker_config(tmp_path / "docker", {}))
    assert (result.status, result.output) == (4, "")
    assert result.errors == (
        f"error: {guarded.host} denied permission to log in without a password (HTTP 401)\n"
        f"hint: log in with an account that has permission: docker login {guarded.host}\n"
    )


def test_a_wrong_password_is_refused(guarded: Registry, stocked: Lab, tmp_path: Path) -> None:
    auth = base64.b64encode(f"{USER}:guess".encode()).decode()
    env = docker_config(tmp_path / "docker", {"auths": {guarded.host: {"auth": auth}}})
    result = stocked.corebox("push", "random:1", f"{guarded.host}/a/b:1", env=env)
    assert result.status == 4
    assert "HTTP 401" in result.errors
    assert "guess" not in result.errors


def test_docker_login_is_enough(guarded: Registry, stocked: Lab, tmp_path: Path) -> None:
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    env = docker_config(tmp_path / "docker", {"auths": {guarded.host: {"auth": auth}}})
    name = f"{guarded.host}/login/b:1"
    assert stocked.corebox("push", "random:1", name, env=env).status == 0
    other = Lab(tmp_path / "other")
    assert other.corebox("pull", name, env=env).status == 0
    assert Store(other.home).find(name).image_id == Store(stocked.home).find("random:1").image_id


def test_podman_login_for_a_namespace_is_enough(guarded: Registry, stocked: Lab, tmp_path: Path) -> None:
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    wrong = base64.b64encode(b"nobody:nothing").decode()
    auths = {guarded.host: {"auth": wrong}, f"{guarded.host}/team": {"auth": auth}}
    (tmp_path / "auth.json").write_text(json.dumps({"auths": auths}))
    env = {"REGISTRY_AUTH_FILE": str(tmp_path / "auth.json"), **docker_config(tmp_path / "docker", {})}
    assert stocked.corebox("push", "random:1", f"{guarded.host}/team/b:1", env=env).status == 0
    assert stocked.corebox("push", "random:1", f"{guarded.host}/others/b:1", env=env).status == 4


def test_a_credential_helper_is_asked(guarded: Registry, stocked: Lab, tmp_path: Path) -> None:
    answer = json.dumps({"ServerURL": guarded.host, "Username": USER, "Secret": PASSWORD})
    asks = f"[ \"$1 $(cat)\" = 'get {guarded.host}' ]"
    env = docker_config(tmp_path / "docker", {"credHelpers": {guarded.host: "lab"}})
    env["PATH"] = write_helper(tmp_path / "bin", f"{asks} && echo '{answer}'")
    assert stocked.corebox("push", "random:1", f"{guarded.host}/helped/b:1", env=env).status == 0
    env["PATH"] = "/usr/bin:/bin"
    missing = stocked.corebox("push", "random:1", f"{guarded.host}/helped/b:2", env=env)
    assert missing.status == 4
    assert "docker-credential-lab" in missing.errors


def test_a_company_ca_is_trusted_when_it_is_given(stocked: Lab, tmp_path: Path) -> None:
    ca, certificate, key = make_certificates(tmp_path)
    with running(Registry(tmp_path / "registry", certificate=certificate, key=key)) as registry:
        name = f"{registry.host}/secure/b:1"
        refused = stocked.corebox("push", "random:1", name)
        assert refused.status == 4
        assert "presents an untrusted certificate" in refused.errors
        assert "--ca-file" in refused.errors
        stocked.done("push", "random:1", name, "--ca-file", ca)
        assert stocked.corebox("pull", name, env={"SSL_CERT_FILE": str(ca)}).status == 0
        elsewhere = Lab(tmp_path / "elsewhere")
        assert "--ca-file" in elsewhere.corebox("shell", name).errors
        pulled = elsewhere.corebox("shell", name, "--ca-file", ca)
        assert "the image is damaged" in pulled.errors  # it came, and is what was pushed: random bytes


def test_plain_http_to_another_machine_needs_permission(stocked: Lab, tmp_path: Path) -> None:
    """0.0.0.0 leads here, but is not one of the addresses that are known to be this machine."""
    with running(Registry(tmp_path / "registry")) as registry:
        name = f"0.0.0.0:{registry.port}/a/b:1"
        refused = stocked.corebox("push", "random:1", name)
        assert refused.status == 4
        assert "does not speak TLS" in refused.errors
        assert "--plain-http" in refused.errors
        stocked.done("push", "random:1", name, "--plain-http")


def test_a_registry_that_is_not_there_is_told_at_once(stocked: Lab) -> None:
    result = stocked.corebox("pull", "127.0.0.1:9/a/b:1", timeout=20)
    assert result.status == 4
    assert "cannot reach 127.0.0.1:9" in result.errors


def test_a_bad_ca_file_is_told(stocked: Lab, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    result = stocked.corebox("pull", "127.0.0.1:9/a/b:1", "--ca-file", tmp_path / "ca.pem")
    assert result.status == 3


def test_labels_of_others_are_no_annotations(tmp_path: Path) -> None:
    with running(Registry(tmp_path / "registry")) as registry:
        store = Store(tmp_path / "home")
        image = put_random_image(store, SIZE)
        pushed = push_image(store, image, parse_reference(f"{registry.host}/a/b:1"), Access())
        manifest = json.loads(registry.blob(pushed.digest).read_text())
        assert manifest["annotations"] == {"io.corebox.bundle": "sha256:" + "5" * 64}
