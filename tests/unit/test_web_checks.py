"""[daemon.web]: whatever cannot work is said in one line before anything starts, and no secret in it."""

from pathlib import Path

import pytest
import trustme

from monitor.asking import acknowledge
from monitor.errors import ConfigError, DriftdError
from monitor.loading import load
from monitor.web import Web
from tests.server import TOKEN, encrypted, served
from tests.unit.test_config import MINIMAL

ENVIRON = {"DRIFTD_TOKEN": TOKEN, "DRIFTD_SHORT": "s3cr3t", "DRIFTD_EMPTY": " "}


def configured(folder: Path, web: str) -> Path:
    encrypted(folder)
    (folder / "short").write_text("s3cr3t")
    (folder / "empty").write_text("# nothing\n")
    (folder / "large").write_text(f"{TOKEN}\n" * 2000)
    (folder / "tokens").write_text(f"# two\n{TOKEN} {TOKEN[::-1]}\n")
    path = folder / "config.toml"
    path.write_text(f"[daemon.web]\n{web}\n{MINIMAL}")
    return path


@pytest.mark.parametrize(
    ("web", "says"),
    [
        ('token_files = ["none"]', "token_files[0]: cannot be read (No such file or directory)"),
        ('token_files = ["short"]', "token_files[0]: holds a token that is no ASCII or shorter"),
        ('token_files = ["empty"]', "token_files[0]: holds no token"),
        ('token_files = ["large"]', "token_files[0]: holds more than 65,536 bytes"),
        ('users_file = "large"', "users_file: holds more than 65,536 bytes"),
        ('token_env = "DRIFTD_UNSET"', "token_env: names a variable that is not set"),
        ('token_env = "DRIFTD_SHORT"', "token_env: names a variable that holds a token that is no ASCII"),
        ('token_env = "DRIFTD_EMPTY"', "token_env: names a variable without a token"),
        ('users_file = "short"', "users_file: line 1 is no line as `driftd password NAME` prints it"),
        ('users_file = "empty"', "users_file: holds no user"),
        ('cert_file = "cert.pem"', "cert_file: needs key_file beside it"),
        ('key_file = "cert.pem"', "key_file: needs cert_file beside it"),
        (
            'cert_file = "empty"\nkey_file = "empty"',
            "cert_file: cannot be used: cert_file and key_file are no",
        ),
        (
            'cert_file = "no"\nkey_file = "no"',
            "cert_file: cannot be used: cert_file or key_file does not exist",
        ),
        ('client_ca_file = "cert.pem"', "client_ca_file: needs TLS"),
        (
            'cert_file = "cert.pem"\nkey_file = "key.pem"\nclient_ca_file = "empty"',
            "client_ca_file: cannot be used: client_ca_file holds no certificate",
        ),
        ('min_version = "1.1"', 'min_version: "1.1" is not a choice'),
        ('open = ["writes"]', 'open[0]: "writes" is not a choice'),
    ],
)
def test_what_cannot_work_is_said_in_one_line(tmp_path: Path, web: str, says: str) -> None:
    path = configured(tmp_path, web)
    with pytest.raises(ConfigError) as error:
        load(path, ENVIRON)
    (said,) = error.value.complaints
    assert said.startswith(f"{path}:daemon.web.{says}")
    assert "s3cr3t" not in said


def test_what_can_work_is_taken_with_the_tokens_of_the_variable(tmp_path: Path) -> None:
    keys = (
        'cert_file = "cert.pem"\nkey_file = "key.pem"\ntoken_files = ["tokens"]\ntoken_env = "DRIFTD_TOKEN"'
    )
    web = load(configured(tmp_path, keys), ENVIRON).daemon.web
    assert web.cert_file == tmp_path / "cert.pem"
    assert web.tokens.get_secret_value() == TOKEN
    assert web.protected
    assert TOKEN not in repr(web) + web.model_dump_json()


def test_who_sends_nothing_reads_no_credentials(tmp_path: Path) -> None:
    assert load(configured(tmp_path, 'token_files = ["none"]'), None).daemon.web.protected


@pytest.mark.parametrize(
    ("web", "says"),
    [
        ("", r"^daemon.web.token_files: is needed"),
        ('token_files = ["none"]', r"^daemon.web.token_files\[0\]: cannot be read"),
        ('token_files = ["empty"]', r"^daemon.web.token_files: is needed"),
    ],
)
def test_an_acknowledgement_without_a_token_is_not_sent(tmp_path: Path, web: str, says: str) -> None:
    config = load(configured(tmp_path, web), None)
    with pytest.raises(DriftdError, match=says):
        acknowledge(config, ENVIRON, "ep_1", {"who": "anna", "why": "late"})


def test_an_acknowledgement_goes_to_who_has_the_certificate_itself_not_to_another_of_its_issuer(
    tmp_path: Path,
) -> None:
    authority = trustme.CA().create_child_ca()
    real, other = (authority.issue_cert("127.0.0.1") for _ in range(2))
    for name, issued in (("cert", real), ("other", other)):
        (tmp_path / f"{name}.pem").write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    assert (tmp_path / "cert.pem").read_text().count("BEGIN") > 1

    def asked(served_as: str) -> str:
        web = Web(cert_file=tmp_path / f"{served_as}.pem", key_file=tmp_path / f"{served_as}.key")
        with served(web.holding(TOKEN).model_copy(update={"token_env": "DRIFTD_TOKEN"})) as server:
            keys = 'cert_file = "cert.pem"\nkey_file = "cert.key"\ntoken_env = "DRIFTD_TOKEN"'
            (tmp_path / "config.toml").write_text(
                f'[daemon]\nlisten = "{server.server.address}"\n[daemon.web]\n{keys}\n{MINIMAL}'
            )
            with pytest.raises(DriftdError) as error:
                acknowledge(
                    load(tmp_path / "config.toml", None), ENVIRON, "ep_2", {"who": "anna", "why": "late"}
                )
        return str(error.value)

    assert asked("cert") == "ep_2: no such episode"
    assert "another certificate than daemon.web.cert_file" in asked("other")
