"""What an environment may say, and what it is told."""

import os
from pathlib import Path

import pytest

from stocktake.settings import SettingsError, read_settings


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.startswith("STOCKTAKE_")]:
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("STOCKTAKE_SECRET_KEY", "did you mean STOCKTAKE_SECRET_KEYS?"),
        ("STOCKTAKE_BROKER_ULR", "did you mean STOCKTAKE_BROKER_URL?"),
        ("STOCKTAKE_RETAIN_JOB_DAYS_FILE", "did you mean STOCKTAKE_RETAIN_JOBS_DAYS?"),
        ("STOCKTAKE_QQQQ", ".env.example lists them all."),
    ],
)
def test_a_name_that_is_none_is_told(name: str, told: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv(name, "x")
    with pytest.raises(SettingsError) as refused:
        read_settings()
    assert str(refused.value) == f"{name} is no setting; {told}"


@pytest.mark.parametrize("name", ["URL", "API_KEY", "PROJECT_ID", "READY_FILE", "ACCESS_SECRET"])
def test_names_of_the_command_line_are_none_of_the_service(
    name: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv(f"STOCKTAKE_{name}", "x")
    read_settings()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("LOG_LEVEL", "INFOO", "did you mean INFO?"),
        ("LOG_LEVEL", "loud", "expected CRITICAL, DEBUG, ERROR, FATAL, INFO, WARN, WARNING"),
        ("ALLOWED_URL_SCHEMES", "https,htps", '"htps" is no scheme; did you mean https?'),
        ("BROKER_URL", "localhost:6379", "it must begin with redis:// or rediss://."),
        ("BROKER_URL", "amqp://x:hush@y", "it must begin with redis:// or rediss://."),
        ("DATABASE_URL", "postgres://x:hush@y", "begin with sqlite:/// or postgresql+psycopg://."),
        ("PORT", "tcp://10.0.0.1:80", "found 'tcp://10.0.0.1:80'."),
        ("PORT", "0x50", "found '0x50'."),
        ("PORT", "70000", "found '70000'."),
        ("LOG_JSON", "perhaps", "found 'perhaps'."),
    ],
)
def test_a_value_that_is_none_is_told(
    name: str, value: str, told: str, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv(f"STOCKTAKE_{name}", value)
    with pytest.raises(SettingsError) as refused:
        read_settings()
    assert str(refused.value).startswith(f"STOCKTAKE_{name}: ")
    assert told in str(refused.value)
    assert "hush" not in str(refused.value)


def test_a_blank_one_is_not_set(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("STOCKTAKE_METRICS_TOKEN", "")
    environment.setenv("STOCKTAKE_METRICS_TOKEN_FILE", "")
    environment.setenv("STOCKTAKE_PORT", "")
    settings = read_settings()
    assert (settings.metrics_token, settings.port) == (None, 8000)


def test_a_value_is_read_from_the_file_that_is_named(
    tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    for name, text in (("SECRET_KEYS", "k1:a,k2:b\n"), ("PORT", "8001\n")):
        (tmp_path / name).write_text(text)
        environment.setenv(f"STOCKTAKE_{name}_FILE", str(tmp_path / name))
    environment.setenv("STOCKTAKE_PORT", "")
    settings = read_settings()
    assert [key.get_secret_value() for key in settings.secret_keys] == ["k1:a", "k2:b"]
    assert settings.port == 8001


def test_a_file_that_is_not_there_is_told(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("STOCKTAKE_SECRET_KEYS_FILE", "/run/secrets/none")
    with pytest.raises(SettingsError, match="'/run/secrets/none' cannot be read: No such file"):
        read_settings()


def test_both_are_refused(tmp_path: Path, environment: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("hush")
    environment.setenv("STOCKTAKE_METRICS_TOKEN", "hush")
    environment.setenv("STOCKTAKE_METRICS_TOKEN_FILE", str(tmp_path / "token"))
    with pytest.raises(SettingsError, match="are both set: take one of them out"):
        read_settings()
