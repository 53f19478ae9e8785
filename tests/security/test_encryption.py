"""A stored secret opens in its own row, with its own key, and nowhere else."""

import base64
from dataclasses import replace
from uuid import UUID

import pytest

from stocktake.errors import CredentialUnavailableError
from stocktake.security.encryption import AccessPair, Keyring, make_secret_key

OLD, NEW = make_secret_key("old"), make_secret_key("new")
ROW, OTHER_ROW = UUID(int=1), UUID(int=2)
PAIR = AccessPair(access_key="AK", access_secret="SK")
SEALED = Keyring([OLD]).seal(PAIR, project_id=1, credential_id=ROW)


def test_it_opens_in_its_row_also_once_another_key_encrypts() -> None:
    for keys in ([OLD], [NEW, OLD]):
        assert Keyring(keys).open(SEALED, project_id=1, credential_id=ROW) == PAIR


@pytest.mark.parametrize(("project", "row"), [(2, ROW), (1, OTHER_ROW)])
def test_it_does_not_open_in_another_row_or_project(project: int, row: UUID) -> None:
    with pytest.raises(CredentialUnavailableError):
        Keyring([OLD]).open(SEALED, project_id=project, credential_id=row)


def test_it_does_not_open_with_another_key_nor_under_its_name() -> None:
    with pytest.raises(CredentialUnavailableError):
        Keyring([NEW]).open(SEALED, project_id=1, credential_id=ROW)
    namesake = make_secret_key("old")
    with pytest.raises(CredentialUnavailableError):
        Keyring([namesake]).open(SEALED, project_id=1, credential_id=ROW)


def test_a_changed_bit_is_noticed() -> None:
    for at in range(len(SEALED.ciphertext)):
        changed = bytearray(SEALED.ciphertext)
        changed[at] ^= 1
        with pytest.raises(CredentialUnavailableError):
            Keyring([OLD]).open(
                replace(SEALED, ciphertext=bytes(changed)), project_id=1, credential_id=ROW
            )


def test_a_list_of_keys_that_is_not_quite_right_is_refused_and_not_repeated() -> None:
    body, other = OLD.partition(":")[2], NEW.partition(":")[2]
    short = "old:" + base64.urlsafe_b64encode(bytes(31)).decode()
    long = "old:" + base64.urlsafe_b64encode(bytes(33)).decode()
    joined = [f"{OLD}{between}{NEW}" for between in ("", " ", "\n", ";", ":", "\u00a0")]
    spoilt = [short, long, body, f":{body}", f"old:{body[:-1]}", f"old:{body[:9]}!{body[9:]}"]
    for entry in [*joined, *spoilt]:
        with pytest.raises(ValueError, match="entry 2 of 2: expected key_id:base64url") as refused:
            Keyring([make_secret_key("first"), entry])
        assert body[:8] not in str(refused.value)
        assert other[:8] not in str(refused.value)


def test_two_keys_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="entry 3 of 3: an entry before it has the same key_id"):
        Keyring([OLD, NEW, make_secret_key("old")])


def test_the_same_pair_is_never_encrypted_alike() -> None:
    again = Keyring([OLD]).seal(PAIR, project_id=1, credential_id=ROW)
    assert again.ciphertext != SEALED.ciphertext
    assert b"SK" not in again.ciphertext
    assert "SK" not in repr(PAIR)
