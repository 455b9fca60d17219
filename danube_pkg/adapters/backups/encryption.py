"""Encryption of backups in the format age (https://age-encryption.org/v1), by the library pyrage.

A backup for recipients is an age file. A passphrase protects a new identity, to which the backup is encrypted: a line
`danube-backup/1 passphrase IDENTITY` with the encrypted identity in base64, then the age file. So both are streams,
and both can be opened with the program `age` alone (docs/maintenance.md).
"""

import base64
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

import pyrage

from danube_pkg.core.errors import Invalid, Permanent
from danube_pkg.kit.records import Record

AGE = b"age-encryption.org/v1"
PASSPHRASE = b"danube-backup/1 passphrase "
GZIP = b"\x1f\x8b"
MAX_LINE = 4096
"""The line with an encrypted identity has about 600 bytes."""


class Openers(Record):
    """What opens an encrypted backup: files, "" for none."""

    identity_file: str = ""
    passphrase_file: str = ""


@contextmanager
def encrypted(out: BinaryIO, recipients: Sequence[str], passphrase_file: str) -> Iterator[tuple[BinaryIO, Any]]:
    """A stream that encrypts into `out`, and an identity that opens the result, to verify it. Raises Invalid."""
    check = pyrage.x25519.Identity.generate()
    known = [_recipient(one) for one in recipients]
    if passphrase_file:
        sealed = pyrage.passphrase.encrypt(str(check).encode() + b"\n", _passphrase(passphrase_file))
        out.write(PASSPHRASE + base64.b64encode(sealed) + b"\n")
    known.append(check.to_public())  # in memory only, unless the passphrase protects it
    with _through(lambda reader: pyrage.encrypt_io(reader, out, known)) as writer:
        yield writer, check


@contextmanager
def decrypted(source: BinaryIO, openers: Openers, check: Any = None) -> Iterator[IO[bytes]]:
    """The archive in a backup. check: the identity of `encrypted`. Raises Invalid, Permanent."""
    begin = source.read(len(PASSPHRASE))
    if begin.startswith(GZIP):
        source.seek(0)
        yield source
        return
    if begin == PASSPHRASE:
        line = source.readline(MAX_LINE)
        identities = [check] if check is not None else [_unsealed(line, openers)]
    elif begin.startswith(AGE):
        source.seek(0)
        identities = [check] if check is not None else _identities(openers)
    else:
        raise Permanent(
            "backup-damaged", "this is not a backup of Danube", hint="use another file: danube restore FILE"
        )
    with _from(lambda writer: pyrage.decrypt_io(source, writer, identities)) as reader:
        yield reader


def _recipient(text: str) -> Any:
    try:
        is_ssh = text.startswith("ssh-")
        return pyrage.ssh.Recipient.from_str(text) if is_ssh else pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise Invalid(
            "recipient-invalid",
            f"{text!r} is not a recipient of age",
            cause=str(error),
            hint="a recipient is age1… (made by: age-keygen) or an SSH public key",
        ) from error


def _identities(openers: Openers) -> list[Any]:
    if not openers.identity_file:
        raise Invalid(
            "backup-encrypted",
            "this backup is encrypted to a recipient",
            hint="name the file with its identity: danube restore FILE --data DIR --identity-file FILE",
        )
    data = _content(openers.identity_file)
    try:
        if b"PRIVATE KEY" in data:
            return [pyrage.ssh.Identity.from_buffer(data)]
        lines = [line.strip() for line in data.decode().splitlines()]
        found = [pyrage.x25519.Identity.from_str(line) for line in lines if line.startswith("AGE-SECRET-KEY-")]
    except (pyrage.IdentityError, ValueError) as error:
        raise _no_identity(openers.identity_file, str(error)) from error
    if not found:
        raise _no_identity(openers.identity_file, "it has no line that begins with AGE-SECRET-KEY-")
    return found


def _no_identity(path: str, cause: str) -> Invalid:
    hint = "name a file of age-keygen, or an SSH private key without a passphrase"
    return Invalid("identity-invalid", f"{path} has no identity of age", cause=cause, hint=hint)


def _unsealed(line: bytes, openers: Openers) -> Any:
    if not openers.passphrase_file:
        raise Invalid(
            "backup-encrypted",
            "this backup is encrypted with a passphrase",
            hint="write it into a file: danube restore FILE --data DIR --passphrase-file FILE",
        )
    try:
        opened = pyrage.passphrase.decrypt(base64.b64decode(line), _passphrase(openers.passphrase_file))
        return pyrage.x25519.Identity.from_str(opened.decode().strip())
    except (pyrage.DecryptError, pyrage.IdentityError, ValueError) as error:
        raise _not_opened(error) from error


def _passphrase(path: str) -> str:
    text = _content(path).decode(errors="replace").rstrip("\r\n")
    if not text:
        raise Invalid("passphrase-empty", f"{path} is empty", hint=f"head -c 24 /dev/urandom | base64 > {path}")
    return text


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Invalid("file-unreadable", f"{path} cannot be read: {error.strerror}", hint=f"ls -l {path}") from error


def _not_opened(error: Exception) -> Permanent:
    return Permanent(
        "backup-not-opened",
        "the backup cannot be decrypted",
        cause=str(error),
        hint="name the identity or the passphrase that it was encrypted to; a damaged file cannot be decrypted either",
    )


class _Work(threading.Thread):
    """Runs a function of pyrage, which reads and writes by itself, beside the stream that it is joined with."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(name="backup encryption", daemon=True)
        self._work = work
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - raised again where the stream is used
            self.error = error


@contextmanager
def _through(work: Callable[[BinaryIO], None]) -> Iterator[BinaryIO]:
    """A stream whose content `work` reads."""
    read, write = os.pipe()
    reader, writer = os.fdopen(read, "rb"), os.fdopen(write, "wb")

    def run() -> None:
        with reader:
            work(reader)

    thread = _Work(run)
    try:
        with writer:
            yield writer
    except BrokenPipeError:
        thread.join()
        if thread.error is None:
            raise
    thread.join()
    if thread.error is not None:
        raise thread.error


@contextmanager
def _from(work: Callable[[BinaryIO], None]) -> Iterator[BinaryIO]:
    """A stream that `work` writes."""
    read, write = os.pipe()
    reader, writer = os.fdopen(read, "rb"), os.fdopen(write, "wb")

    def run() -> None:
        with writer:
            work(writer)

    thread = _Work(run)
    try:
        yield reader
    except BaseException:
        reader.close()
        thread.join()
        if isinstance(thread.error, pyrage.DecryptError):  # what was read before it is not the cause
            raise _not_opened(thread.error) from thread.error
        raise
    reader.close()
    thread.join()
    if isinstance(thread.error, pyrage.DecryptError):
        raise _not_opened(thread.error) from thread.error
