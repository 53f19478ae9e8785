"""A listener that nobody may connect to, and an environment that sends everybody there."""

import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

#: What is in the way of every secret that a cloud's machine offers its programs.
PLANTED_KEY = "AKIAPLANTEDAMBIENTKEY"


class Tripwire:
    """Counts connections, and keeps the first bytes of each. It never answers.

    Attributes:
        heard: what each connection began with.
    """

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.heard: list[bytes] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    self.heard.append(connection.recv(4096))
                except TimeoutError:
                    self.heard.append(b"")


def ambient(url: str, folder: Path) -> dict[str, str]:
    """The variables of a machine with a role: each names the tripwire, or a planted secret.

    Args:
        url: the tripwire's.
        folder: for the files that some of them name.
    """
    token, profile = folder / "token", folder / "aws"
    token.write_text("planted.token")
    profile.write_text(
        f"[default]\naws_access_key_id = {PLANTED_KEY}\naws_secret_access_key = planted\n"
        f"endpoint_url = {url}\n"
    )
    google = folder / "google.json"
    google.write_text(
        '{"type": "service_account", "client_email": "a@b", "private_key_id": "x", '
        f'"private_key": "planted", "token_uri": "{url}/token", "gcs_base_url": "{url}"}}'
    )
    address = url.removeprefix("http://")
    return {
        "AWS_ACCESS_KEY_ID": PLANTED_KEY,
        "AWS_SECRET_ACCESS_KEY": "planted",
        "AWS_SESSION_TOKEN": "planted-session",
        "AWS_PROFILE": "default",
        "AWS_CONFIG_FILE": str(profile),
        "AWS_SHARED_CREDENTIALS_FILE": str(profile),
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/planted",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/container",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "planted",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": url,
        "AWS_METADATA_ENDPOINT": url,
        "AWS_ENDPOINT": url,
        "AWS_ENDPOINT_URL": url,
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_ENDPOINT_URL_STS": url,
        "AWS_ALLOW_HTTP": "true",
        "AZURE_STORAGE_ACCOUNT_NAME": "planted",
        "AZURE_STORAGE_ACCOUNT_KEY": "cGxhbnRlZA==",
        "AZURE_STORAGE_ENDPOINT": url,
        "AZURE_MSI_ENDPOINT": url,
        "AZURE_FEDERATED_TOKEN_FILE": str(token),
        "AZURE_AUTHORITY_HOST": url,
        "IDENTITY_ENDPOINT": url,
        "IDENTITY_HEADER": "planted",
        "MSI_ENDPOINT": url,
        "GOOGLE_APPLICATION_CREDENTIALS": str(google),
        "GOOGLE_SERVICE_ACCOUNT": str(google),
        "GOOGLE_BASE_URL": url,
        "GCE_METADATA_HOST": address,
        "GCE_METADATA_IP": address,
        "GCE_METADATA_ROOT": address,
    }
