"""API keys with their roles, compared in constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path

from lsr.errors import LsrError

SHORTEST = 16
"""Characters of a key, at least."""
MAKE_ONE = 'python3 -c "import secrets; print(secrets.token_urlsafe(32))"'


class Role(IntEnum):
    """Permissions of a key; each includes those before it."""

    NONE = 0
    READ = 1
    WRITE = 2
    ADMIN = 3


class Keys:
    """The keys of a server. They are held as digests, and never shown."""

    def __init__(self, keys: Sequence[tuple[Role, str]]) -> None:
        self._digests = [(role, _digest(key.encode())) for role, key in keys]

    def __len__(self) -> int:
        return len(self._digests)

    @classmethod
    def load(cls, path: Path) -> Keys:
        """Read a file of keys: in each line a role, read, write or admin, and a key; `#` begins a comment.

        Raises LsrError naming the line at fault, but not the key.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise LsrError(f"{path}: not UTF-8 ({error.reason}); write a role and a key in each line") from error
        except OSError as error:
            raise LsrError(f"{path}: can't be read ({error.strerror or error})") from error
        keys = []
        for number, line in enumerate(lines, start=1):
            parts = line.partition("#")[0].split()
            if parts:
                keys.append(_parsed(parts, f"{path}, line {number}"))
        if not keys:
            raise LsrError(f"{path}: there is no key in it; write lines such as 'read KEY', a key made by {MAKE_ONE}")
        return cls(keys)

    def role_of(self, key: bytes) -> Role:
        """Return the role of a key, the highest where it is there twice; NONE for an unknown one.

        All keys are compared, so that the time says nothing about them.
        """
        given, found = _digest(key), Role.NONE
        for role, digest in self._digests:
            if hmac.compare_digest(digest, given):
                found = max(found, role)
        return found


def _parsed(parts: Sequence[str], where: str) -> tuple[Role, str]:
    names = [role.name.lower() for role in Role if role]
    if len(parts) != 2 or parts[0] not in names:
        raise LsrError(
            f"{where}: not a role and a key; write {', '.join(names[:-1])} or {names[-1]}, a space, and a key"
        )
    if len(parts[1]) < SHORTEST:
        raise LsrError(f"{where}: a key of {len(parts[1])} characters; the least is {SHORTEST}: make one by {MAKE_ONE}")
    return Role[parts[0].upper()], parts[1]


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def key_of(authorization: bytes | None, api_key: bytes | None) -> bytes | None:
    """Return the key that a request's headers give: X-API-Key, a bearer token, or the password that a browser asks for.

    Return None where there is none.
    """
    if api_key is not None:
        return api_key.strip()
    if authorization is None:
        return None
    scheme, _, value = authorization.partition(b" ")
    match scheme.lower():
        case b"bearer":
            return value.strip()
        case b"basic":
            try:
                return base64.b64decode(value.strip(), validate=True).partition(b":")[2]
            except binascii.Error:
                return b""
    return b""
