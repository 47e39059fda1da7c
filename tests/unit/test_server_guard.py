"""Who may read and who may write: tokens, passwords, TLS, and what is open."""

import asyncio
import base64
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme
from pydantic import SecretStr

from monitor.server import credentials
from monitor.server.passwords import NOBODY, hashed, matches, users
from monitor.web import Web
from tests.server import TOKEN, Served, Told, encrypted, served

ACK = {"who": "anna", "why": "late feed"}
WRITE = "/api/v1/episodes/ep_1/ack"
PASSWORD = "correct horse"  # noqa: S105 - a test's
OTHER = "fedcba9876543210fedcba9876543210"


def basic(name: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "api-token"
    path.write_text(f"{TOKEN}\n")
    return path


@pytest.fixture(scope="module")
def line() -> str:
    return f"anna:{hashed(PASSWORD)}\n"


@pytest.fixture
def users_file(tmp_path: Path, line: str) -> Path:
    path = tmp_path / "users"
    path.write_text(line)
    return path


def test_without_credentials_everybody_reads_and_nobody_writes() -> None:
    with served() as server:
        for path in ("/metrics", "/healthz", "/readyz", "/api/v1/episodes", "/api/v1/status"):
            assert server.ask(path).status == 200
        for headers in ({}, basic("anna", PASSWORD), {"authorization": f"Bearer {TOKEN}"}):
            refused = server.ask(WRITE, ACK, headers=headers)
            assert refused.status == 403
            assert "[daemon.web]" in refused.error
        assert server.ask("/metrics", b"", headers={"content-length": "0"}).status == 403
    assert server.desk.asked == []
    assert [event for event, _ in server.told.lines] == ["write refused"] * 4


def test_with_a_token_all_but_health_needs_it(token_file: Path) -> None:
    with served(Web(token_files=(token_file,))) as server:
        for path in ("/metrics", "/", "/api/v1/episodes", "/api/v1/openapi.json", "/nowhere"):
            refused = server.ask(path)
            assert (refused.status, refused.headers["www-authenticate"]) == (401, 'Bearer realm="driftd"')
            assert server.ask(path, token=OTHER).status == 401
        assert server.ask("/healthz").status == server.ask("/readyz").status == 200
        assert server.ask("/metrics", token=TOKEN).status == 200
        assert server.ask(WRITE, ACK, token=TOKEN).status == 200
        assert server.ask(WRITE, ACK).status == server.ask(WRITE, ACK, token=OTHER).status == 401
    assert server.desk.asked == [("ack", "anna", "late feed")]


@pytest.mark.parametrize("group", ["metrics", "health", "status"])
def test_a_group_is_opened_alone_and_never_for_writing(token_file: Path, group: str) -> None:
    paths = {"metrics": "/metrics", "health": "/readyz", "status": "/api/v1/episodes"}
    with served(Web.model_validate({"token_files": [token_file], "open": [group]})) as server:
        found = {name: server.ask(path).status for name, path in paths.items()}
        assert found == {name: 200 if name == group else 401 for name in paths}
        assert server.ask(WRITE, ACK).status == 401
        assert server.ask("/metrics", b"").status == 401


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", f"Bearer {TOKEN}x", f"Basic {TOKEN}", f"Token {TOKEN}", TOKEN, "Bearer \xe9", "Basic !"],
)
def test_what_is_no_credential_is_refused(token_file: Path, users_file: Path, authorization: str) -> None:
    with served(Web(token_files=(token_file,), users_file=users_file)) as server:
        assert server.ask(WRITE, ACK, headers={"authorization": authorization}).status == 401


def test_tokens_are_read_anew_when_the_file_changes(token_file: Path) -> None:
    with served(Web(token_files=(token_file,))) as server:
        assert server.ask("/metrics", token=TOKEN).status == 200
        token_file.write_text(f"{TOKEN}\n{OTHER}  # the next one\n")
        assert server.ask("/metrics", token=TOKEN).status == server.ask("/metrics", token=OTHER).status == 200
        token_file.write_text(f"{OTHER}\n")
        assert server.ask("/metrics", token=TOKEN).status == 401
        token_file.write_text("short\n")
        assert server.ask("/metrics", headers={"authorization": "Bearer short"}).status == 401
        assert server.ask("/metrics", token=OTHER).status == 401
        token_file.unlink()
        assert server.ask("/metrics", token=OTHER).status == 401
        token_file.write_text(f"{TOKEN}\n")
        assert server.ask("/metrics", token=TOKEN).status == 200
    assert [event for event, _ in server.told.lines] == ["credentials cannot be used"] * 2
    assert not any(secret in str(server.told.lines) for secret in (TOKEN, OTHER))


def test_a_token_may_come_from_a_variable() -> None:
    web = Web.model_validate({"token_env": "DRIFTD_TOKEN"}).holding(TOKEN)
    with served(web) as server:
        assert server.ask("/metrics").status == 401
        assert server.ask(WRITE, ACK, token=TOKEN).status == 200
    assert server.told.lines[-1][1]["by"] == "DRIFTD_TOKEN"
    assert TOKEN not in repr(web)
    assert isinstance(web.tokens, SecretStr)


def test_users_are_known_by_their_passwords_and_read_anew(users_file: Path) -> None:
    with served(Web(users_file=users_file)) as server:
        assert server.ask("/metrics").headers["www-authenticate"].startswith('Basic realm="driftd"')
        for _ in range(2):
            assert server.ask(WRITE, ACK, headers=basic("anna", PASSWORD)).status == 200
            assert server.ask(WRITE, ACK, headers=basic("anna", "wrong horse")).status == 401
            assert server.ask(WRITE, ACK, headers=basic("ben", PASSWORD)).status == 401
        users_file.write_text(f"# nobody\nben:{hashed('another one')}\n")
        assert server.ask("/metrics", headers=basic("anna", PASSWORD)).status == 401
        assert server.ask("/metrics", headers=basic("ben", "another one")).status == 200
    assert server.told.lines[0][1]["by"] == "anna"
    assert PASSWORD not in str(server.told.lines)


def test_guessing_passwords_in_masses_gets_429_and_delays_no_token(
    users_file: Path, token_file: Path
) -> None:
    with served(Web(users_file=users_file, token_files=(token_file,))) as server:
        with ThreadPoolExecutor(30) as pool:
            guesses = [pool.submit(server.ask, "/metrics", headers=basic("anna", str(i))) for i in range(30)]
            assert server.ask("/metrics", token=TOKEN).status == 200
            found = {guess.result().status for guess in guesses}
        assert found == {401, 429}
        assert server.ask("/metrics", headers=basic("anna", PASSWORD)).status == 200


def test_right_passwords_are_remembered_within_bounds(
    users_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed_ones: list[str] = []

    def counted(password: str, phc: str) -> bool:
        hashed_ones.append(password)
        return matches(password, phc)

    monkeypatch.setattr(credentials, "matches", counted)
    known = credentials.Credentials(Web(users_file=users_file), Told())
    header = basic("anna", PASSWORD)["authorization"].encode()

    assert asyncio.run(asked(known, header)) == ["anna", "anna", "anna"]
    assert hashed_ones == [PASSWORD]


async def asked(known: credentials.Credentials, header: bytes) -> list[str]:
    return [await known.who(header) for _ in range(3)]


def test_a_hash_is_of_one_password_and_salted() -> None:
    first, second = hashed("a password"), hashed("a password")
    assert first != second
    assert matches("a password", first)
    assert matches("a password", second)
    assert not matches("a Password", first)
    assert not matches("", NOBODY)
    assert not matches("a password", "a password")


@pytest.mark.parametrize(
    "bad", ["anna", "anna:", "anna:secret", ":x", "an na:x", "anna:$scrypt$ln=31,r=8,p=1$"]
)
def test_a_line_that_is_no_user_is_named_by_its_number_only(bad: str, line: str) -> None:
    with pytest.raises(ValueError, match=r"^line 2 is no line") as error:
        users(line + bad)
    assert bad not in str(error.value)
    assert set(users(line + "\n# a comment\n")) == {"anna"}


def test_https_serves_and_the_certificate_is_renewed_while_it_runs(tmp_path: Path) -> None:
    web, trusting = encrypted(tmp_path)
    with served(web) as server:
        assert server.ask("/healthz", tls=trusting).body == b"ok\n"
        _, later = encrypted(tmp_path)
        assert server.ask("/healthz", tls=later).body == b"ok\n"
        with pytest.raises(ssl.SSLError):
            server.ask("/healthz", tls=trusting)
        (tmp_path / "cert.pem").write_text("rubbish")
        assert server.ask("/healthz", tls=later).body == b"ok\n"
        with pytest.raises(OSError, match=r".*"):
            server.ask("/healthz")  # plain HTTP gets no answer
    assert "the new certificate is not used" in [event for event, _ in server.told.lines]


def test_old_tls_is_refused(tmp_path: Path) -> None:
    web, trusting = encrypted(tmp_path)
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2
    with served(web.model_copy(update={"min_version": "1.3"})) as server, pytest.raises(ssl.SSLError):
        server.ask("/healthz", tls=trusting)
    with served(web) as server:
        assert server.ask("/healthz", tls=trusting).status == 200


def test_clients_may_have_to_show_a_certificate(tmp_path: Path) -> None:
    web, trusting = encrypted(tmp_path)
    with served(web.model_copy(update={"client_ca_file": tmp_path / "ca.pem"})) as server:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            server.ask("/healthz", tls=trusting)
        trusting.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
        assert server.ask("/healthz", tls=trusting).status == 200
        assert server.ask(WRITE, ACK, tls=trusting).status == 403  # a certificate alone allows no writing


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_authority_of_clients_is_read_anew_and_the_old_one_is_forgotten(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    web, _ = encrypted(tmp_path)
    old, new = trustme.CA(), trustme.CA()
    old.cert_pem.write_to_path(tmp_path / "clients.pem")
    contexts = [_client(tmp_path, authority, version) for authority in (old, new)]

    with served(web.model_copy(update={"client_ca_file": tmp_path / "clients.pem"})) as server:
        assert [_lets_in(server, context) for context in contexts] == [True, False]
        with _handshake(server, contexts[0]) as earlier:
            session = earlier.session
        new.cert_pem.write_to_path(tmp_path / "clients.pem")
        assert [_lets_in(server, context) for context in contexts] == [False, True]
        assert not _lets_in(server, contexts[0], session)
        (tmp_path / "clients.pem").write_text("rubbish")
        assert [_lets_in(server, context) for context in contexts] == [False, True]
    told = [event for event, _ in server.told.lines]
    assert told == ["certificate renewed", "the new certificate is not used"]


def _client(folder: Path, authority: trustme.CA, version: ssl.TLSVersion) -> ssl.SSLContext:
    """Return a context that trusts the server in the folder and shows a certificate of this authority."""
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.minimum_version = context.maximum_version = version
    authority.issue_cert("client").configure_cert(context)
    return context


def _handshake(
    server: Served, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> ssl.SSLSocket:
    plain = server.connect()
    try:
        return context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)
    except OSError:
        plain.close()
        raise


def _lets_in(server: Served, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> bool:
    """Tell whether a request is answered; TLS 1.3 refuses a client only once its handshake is over."""
    try:
        with _handshake(server, context, session) as client:
            client.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            return client.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False
