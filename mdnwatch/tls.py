"""What TLS connections to mail servers trust, and what a certificate says of itself."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509


def client_context(ca: Path | None) -> ssl.SSLContext:
    """A context that trusts the authorities in the PEM file `ca`, or the system's. Blocks. Raises OSError."""
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def unverified_context() -> ssl.SSLContext:
    """A context that takes any certificate: to look at one, never to send a secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate: the names it is for, who issued it, and until when it is valid (aware UTC)."""

    names: tuple[str, ...]
    issuer: str
    not_before: datetime
    not_after: datetime


def certificate(der: bytes) -> Certificate | None:
    """What a certificate says; None where it cannot be read."""
    try:
        found = x509.load_der_x509_certificate(der)
        names = _names(found)
    except ValueError:
        return None
    return Certificate(names, found.issuer.rfc4514_string(), found.not_valid_before_utc, found.not_valid_after_utc)


def _names(found: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = [str(address) for address in extension.get_values_for_type(x509.IPAddress)]
    return (*extension.get_values_for_type(x509.DNSName), *addresses)
