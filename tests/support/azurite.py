"""Azure's storage on this machine, where `make tools` has installed its emulator."""

import base64
import hmac
import os
import secrets
import shutil
import ssl
import urllib.request
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING

from servers.certificates import Certificate, make_certificate
from servers.process import HOST, Server, ServerDiedError, status_of

if TYPE_CHECKING:
    from obstore.store import AzureStore


class Azurite(Server):
    """Azure's Blob Storage, as Microsoft emulates it, with one account, made up for this run.

    It is Azure's by its host, and speaks TLS: `endpoint` names the account as Azure does, and
    whoever reaches it connects to `address`.

    Attributes:
        certificate: of its one port, for 127.0.0.1 and for the account's host.
    """

    name = "azurite"
    #: Where `make tools` installs it.
    program = Path(__file__).parents[2] / ".tools/node_modules/azurite/dist/src/blob/main.js"

    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        [self.port] = self.take_ports(1)
        self.account = f"test{secrets.token_hex(6)}"
        self.account_key = base64.b64encode(secrets.token_bytes(64)).decode()
        self.host = f"{self.account}.blob.core.windows.net"
        self.certificate: Certificate = make_certificate(self.folder, self.host)

    @classmethod
    def missing(cls) -> str | None:
        """Why it cannot be started, and what would change that; None where it can."""
        if shutil.which("node") is None:
            return "Azurite needs Node: install Node 20 or newer with npm, then run `make tools`"
        return None if cls.program.exists() else "Azurite is not installed: run `make tools`"

    @property
    def address(self) -> str:
        return f"https://{HOST}:{self.port}"

    @property
    def endpoint(self) -> str:
        """What `TRUSTED_ENDPOINTS` names: Azure's host, at a port that is not Azure's."""
        return f"https://{self.host}:{self.port}"

    def url(self, container: str, path: str = "") -> str:
        """Address of an object or a glob, as a table's ``url_pattern`` has it."""
        return f"{self.endpoint}/{container}/{path}"

    def container(self, name: str | None = None) -> str:
        """Make a container (a new name if none is given) and give its name."""
        name = name or f"test-{secrets.token_hex(6)}"
        sent = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
        told = [*(f"{header}:{value}" for header, value in sent.items())]
        told += [f"/{self.account}/{name}", "restype:container"]
        text = "PUT" + "\n" * 12 + "\n".join(told)
        digest = hmac.digest(base64.b64decode(self.account_key), text.encode(), "sha256")
        sent["Authorization"] = f"SharedKey {self.account}:{base64.b64encode(digest).decode()}"
        request = urllib.request.Request(
            f"{self.address}/{name}?restype=container",
            method="PUT",
            headers={**sent, "Host": f"{self.host}:{self.port}"},
        )
        made = status_of(request, self._trust())
        if made != 201:
            raise ServerDiedError(f"Azurite answered {made} when asked for a container")
        return name

    def client(self, container: str) -> "AzureStore":
        """A client of obstore's, for what a test puts there."""
        from obstore.store import AzureStore

        return AzureStore(
            container,
            account_name=self.account,
            account_key=self.account_key,
            endpoint=f"http://{self.host}:{self.port}",
            client_options={
                "allow_http": True,
                "allow_invalid_certificates": True,
                "proxy_url": self.address,
                "proxy_excludes": "",
            },
        )

    def prepare(self) -> None:
        (self.folder / "data").mkdir(exist_ok=True)

    def environment(self) -> dict[str, str]:
        return {**os.environ, "AZURITE_ACCOUNTS": f"{self.account}:{self.account_key}"}

    def command(self) -> list[str]:
        return [
            *(shutil.which("node") or "node", str(self.program), "--disableTelemetry"),
            *("--blobHost", HOST, "--blobPort", str(self.port), "--skipApiVersionCheck"),
            *("--location", str(self.folder / "data"), "--silent"),
            *("--cert", str(self.certificate.identity), "--key", str(self.certificate.identity)),
        ]

    def answers(self) -> bool:
        return status_of(self.address, self._trust()) is not None

    def _trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.certificate.authority)
