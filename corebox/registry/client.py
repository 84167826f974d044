"""One registry and one repository: requests with credentials, errors in our words, and the calls of the API.

The API: OCI distribution spec 1.1. Connections are shared by threads; credentials are asked for once.
"""

import ssl
import threading
from collections.abc import Mapping, Sequence
from typing import cast
from urllib.parse import urlencode, urljoin, urlsplit

from corebox.errors import HostError, InputError
from corebox.registry.access import READ_TIMEOUT, Access, api_host, may_lead, open_pool, trust
from corebox.registry.answers import read_body, read_json, reason
from corebox.registry.credentials import find_credentials
from corebox.registry.faults import TransientError, digest_mismatch, failed, refused, unreachable
from corebox.registry.reference import Reference
from corebox.registry.tokens import answer_challenge
from corebox.store.values import MAX_JSON
from corebox.web import HTTPError, Response, SSLError

#: urllib3 sends anything that has the buffer protocol; its annotations do not say so.
Body = bytes | memoryview
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 5
_LATER = (408, 425, 429, 500, 502, 503, 504)
_MAX_WAIT = 30.0


class Client:
    """Speaks with the registry of ``reference`` about its repository.

    Args:
        reference: where.
        access: what the user allows.
        actions: ``pull`` or ``pull,push``.
        sources: other repositories of the registry that are to be read, or blobs mounted from.
        catalog: ask which repositories there are.
        read_timeout: seconds that the registry may be silent.

    Raises:
        HostError: ``registry-unreachable``, ``registry-untrusted``, ``registry-refused``, ``registry-failed``; the
            last three from every method.
    """

    def __init__(
        self,
        reference: Reference,
        access: Access,
        actions: str,
        sources: Sequence[str] = (),
        *,
        catalog: bool = False,
        read_timeout: float = READ_TIMEOUT,
    ) -> None:
        self.host = reference.host
        self.repository = reference.repository
        self._reference = reference
        self._access = access
        self._scopes = [f"repository:{reference.repository}:{actions}", *map(_may_pull, sources)]
        self._scopes += ["registry:catalog:*"] if catalog else []
        self._authorization: str | None = None
        self._unread: HostError | None = None
        self._lock = threading.Lock()
        self._trusted = trust(self.host, access.ca_file)  # once: OpenSSL reads all CAs for 50 ms
        self._read_timeout = read_timeout
        self._pool = open_pool("https", self.host, self._trusted, read_timeout)
        try:
            self._scheme = self._connect()
        except BaseException as error:
            self._pool.clear()
            if isinstance(error, TransientError):
                raise unreachable(self.host, error) from error
            raise

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.clear()

    def _connect(self) -> str:
        """Find out whether the registry speaks TLS: it must, unless it is this machine or the user says otherwise."""
        try:
            self.call("GET", f"https://{api_host(self.host)}/v2/", "open it", expect=(200,))
        except _NoTls:
            if not may_lead(self.host, f"http://{self.host}", self._access):
                hint = "if that is intended, allow it: --plain-http"
                raise HostError("registry-untrusted", f"{self.host} does not speak TLS", hint) from None
        else:
            return "https"
        self._pool.clear()
        self._pool = open_pool("http", self.host, self._trusted, self._read_timeout)
        self.call("GET", f"http://{api_host(self.host)}/v2/", "open it", expect=(200,))
        return "http"

    def url(self, path: str) -> str:
        """The URL of ``path`` beneath the repository."""
        return self._root(f"{self.repository}/{path}")

    def _root(self, path: str) -> str:
        return f"{self._scheme}://{api_host(self.host)}/v2/{path}"

    # Requests

    def call(
        self,
        method: str,
        url: str,
        what: str,
        *,
        expect: Sequence[int],
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        stream: bool = False,
    ) -> Response:
        """Send one request and return the answer, whose status is one of ``expect``; ``what`` is for messages.

        Raises:
            TransientError: it may succeed later.
        """
        used = self._authorization
        answer = self._follow(method, url, headers or {}, body)
        if answer.status == 401 and 401 not in expect:
            read_body(answer)
            self._authorize(answer.headers.get("WWW-Authenticate", ""), used)
            answer = self._follow(method, url, headers or {}, body)
        if answer.status in expect:
            if not stream:
                read_body(answer)
            return answer
        detail = _detail(answer)
        if answer.status in _LATER:
            raise TransientError(f"HTTP {answer.status} {detail}".rstrip(), _wait(answer))
        if answer.status in (401, 403):
            raise self._unread or refused(self.host, what, answer.status)
        raise failed(self.host, what, answer.status, detail)

    def _follow(self, method: str, url: str, headers: Mapping[str, str], body: Body | None) -> Response:
        """Send, following redirects of GET (blobs often lie in an object store); no password goes to another host."""
        for _ in range(_MAX_REDIRECTS):
            answer = self._send(method, url, headers, body)
            if answer.status == 401 and not self._is_own(url):  # it would name a server that gets the password
                answer.close()
                raise failed(self.host, "redirect to a permitted address", 401, f"from {urlsplit(url).netloc}")
            target = answer.headers.get("Location")
            if method not in ("GET", "HEAD") or answer.status not in _REDIRECTS or not target:
                return answer
            read_body(answer)
            url = self.absolute(target, url)
        raise failed(self.host, "return the location of the blob", 0, "too many redirects")

    def _is_own(self, url: str) -> bool:
        return urlsplit(url).netloc == api_host(self.host)

    def absolute(self, location: str, base: str) -> str:
        """A ``Location`` header as a URL; TLS is not given up on the way."""
        try:
            url = urljoin(base, location)
        except ValueError:
            url = ""
        if not may_lead(self.host, url, self._access):
            raise failed(self.host, "redirect to an address with TLS", 0, f"Location: {location:.200}")
        return url

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: Body | None) -> Response:
        """Send one request; of the answer's body nothing has been read."""
        sent = {"User-Agent": "corebox", "Accept-Encoding": "identity", **headers}
        if self._authorization and self._is_own(url):
            sent["Authorization"] = self._authorization
        try:
            return self._pool.request(
                method,
                url,
                headers=sent,
                body=cast("bytes | None", body),
                redirect=False,
                preload_content=False,
                decode_content=False,
                retries=False,
            )
        except SSLError as error:
            raise self._untrusted(error) from error
        except HTTPError as error:
            raise TransientError(reason(error)) from error

    def _untrusted(self, error: SSLError) -> Exception:
        cause = error.args[0] if error.args else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            hint = f"if its CA is your company's: --ca-file CA.pem, or /etc/docker/certs.d/{self.host}/ca.crt"
            message = f"{self.host} presents an untrusted certificate: {cause.verify_message}"
            return HostError("registry-untrusted", message, hint)
        if "WRONG_VERSION_NUMBER" in str(error) or "RECORD_LAYER_FAILURE" in str(error):
            return _NoTls()
        return TransientError(reason(error))

    def _authorize(self, challenge: str, used: str | None) -> None:
        with self._lock:
            if self._authorization != used:
                return  # another thread has got a new one meanwhile
            try:
                credentials = find_credentials(self._reference)
            except HostError as error:  # what is public needs none: told if the registry refuses
                credentials, self._unread = None, error
            try:
                self._authorization = answer_challenge(
                    self._pool, self.host, challenge, self._scopes, credentials, self._access
                )
            except HostError as error:
                raise self._unread or error from None

    # The API

    def has_blob(self, digest: str, repository: str | None = None) -> bool:
        """Whether the repository, or the other one that is named, has the blob."""
        url = self._root(f"{repository or self.repository}/blobs/{digest}")
        return self.call("HEAD", url, "look for a blob", expect=(200, 404)).status == 200

    def repositories(self, most: int) -> list[str]:
        """At most so many repositories of the registry; none if it does not tell."""
        url = self._root(f"_catalog?n={most}")
        answer = self.call("GET", url, "list what it has", expect=(200, 400, 403, 404, 405, 501), stream=True)
        match read_json(read_body(answer, MAX_JSON)) if answer.status == 200 else None:
            case {"repositories": list(names)}:
                return [name for name in names[:most] if isinstance(name, str)]
        answer.close()
        return []

    def allow(self, source: str) -> None:
        """Let blobs be mounted from one more repository: the next token is asked for that, too."""
        with self._lock:
            if _may_pull(source) not in self._scopes:
                self._scopes.append(_may_pull(source))
                self._authorization = None

    def begin_upload(self, digest: str, source: str | None) -> tuple[str | None, int]:
        """Mount the blob from the repository ``source``, else begin an upload.

        Returns:
            The upload's URL, None if the blob is there now; and the least size of a chunk.
        """
        query = "?" + urlencode({"mount": digest, "from": source}) if source else ""
        url = self.url("blobs/uploads/")
        answer = self.call("POST", url + query, "push", expect=(201, 202), headers={"Content-Length": "0"})
        if answer.status == 201:
            return None, 0
        return self.absolute(answer.headers.get("Location", ""), url), _number(answer, "OCI-Chunk-Min-Length")

    def put_manifest(self, wanted: str, manifest: bytes, media_type: str) -> None:
        """Store the manifest under a tag or digest."""
        headers = {"Content-Type": media_type}
        self.call("PUT", self.url(f"manifests/{wanted}"), "push", expect=(201, 202), headers=headers, body=manifest)

    def get_manifest(self, wanted: str, accept: Sequence[str]) -> tuple[bytes, str]:
        """The manifest's bytes and media type.

        Raises:
            InputError: ``not-in-registry``, ``digest-mismatch``.
        """
        headers = {"Accept": ", ".join(accept)}
        url = self.url(f"manifests/{wanted}")
        answer = self.call("GET", url, "pull", expect=(200, 404), headers=headers, stream=True)
        if answer.status == 404:
            answer.close()
            message = f"{self.host} has no {self.repository}:{wanted}"
            raise InputError("not-in-registry", message, "check the name and the tag, and that it was pushed")
        data = read_body(answer, MAX_JSON + 1)
        if len(data) > MAX_JSON:
            raise digest_mismatch("the manifest is too long")
        return data, answer.headers.get("Content-Type", "").partition(";")[0].strip()


def _may_pull(repository: str) -> str:
    return f"repository:{repository}:pull"


class _NoTls(Exception):  # noqa: N818 - never leaves this module
    """The other side does not speak TLS at all."""


def _detail(answer: Response) -> str:
    """What the registry says about an error (distribution spec, "Error codes"), in one short line."""
    try:
        said = read_json(read_body(answer))
    except TransientError:
        return ""
    match said:
        case {"errors": [{"code": str(code), **rest}, *_]}:
            return f"{code} {rest.get('message', '')}".strip()[:200]
    return ""


def _wait(answer: Response) -> float:
    return min(float(_number(answer, "Retry-After")), _MAX_WAIT)


def _number(answer: Response, header: str) -> int:
    text = answer.headers.get(header, "")
    return int(text) if text.isdecimal() and len(text) < 10 else 0
