"""The shapes of a certificate that we write and read (RFC 5280, 4.1), for the library's declarative ASN.1.

The library's own builder and names refuse a common name beyond 64 bytes, and `<host id>.<cluster>` outgrows that
as soon as a cluster has a name of 28 letters. OpenSSL and Go do not mind, and neither must we.
"""

from datetime import UTC, datetime
from typing import Annotated

from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier

V3 = 2
GENERALIZED_TIME_FROM = 2050
"""From this year on a time takes the longer form (RFC 5280, 4.1.2.5)."""

ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2"

Attributes = tuple[tuple[str, str], ...]
"""A name as pairs of object identifier and value, in order."""


@asn1.sequence
class AlgorithmIdentifier:
    """Which algorithm; the parameters of those in use here are absent or NULL."""

    algorithm: ObjectIdentifier
    parameters: asn1.Null | None = None


@asn1.sequence
class AttributeTypeAndValue:
    """One attribute of a name."""

    type: ObjectIdentifier
    value: str | asn1.PrintableString


@asn1.sequence
class Validity:
    """From when and until when, both included."""

    not_before: asn1.UTCTime | asn1.GeneralizedTime
    not_after: asn1.UTCTime | asn1.GeneralizedTime


@asn1.sequence
class Extension:
    """One extension, its value still encoded."""

    id: ObjectIdentifier
    critical: Annotated[bool, asn1.Default(False)]
    value: bytes


Name = list[asn1.SetOf[AttributeTypeAndValue]]


@asn1.sequence
class TbsCertificate:
    """What is signed; the unique identifiers of version 2 are nobody's and refused."""

    version: Annotated[int, asn1.Explicit(0)]
    serial_number: int
    signature: AlgorithmIdentifier
    issuer: list[asn1.SetOf[AttributeTypeAndValue]]
    validity: Validity
    subject: list[asn1.SetOf[AttributeTypeAndValue]]
    public_key: asn1.TLV
    extensions: Annotated[list[Extension], asn1.Explicit(3)]


@asn1.sequence
class AuthorityKeyIdentifier:
    """Which key signed (RFC 5280, 4.2.1.1); the other two ways to say it are not used."""

    key_identifier: Annotated[bytes, asn1.Implicit(0)]


@asn1.sequence
class Certificate:
    """What is signed, and the signature."""

    tbs: asn1.TLV
    algorithm: AlgorithmIdentifier
    signature: asn1.BitString


def build_name(attributes: Attributes) -> Name:
    """Return the name with each attribute in a set of its own."""
    return [asn1.SetOf([AttributeTypeAndValue(type=ObjectIdentifier(oid), value=text)]) for oid, text in attributes]


def parse_name(name: Name) -> Attributes:
    """Return the attributes in order, whatever sets they stand in."""
    return tuple(
        (attribute.type.dotted_string, _text(attribute.value)) for part in name for attribute in part.as_list()
    )


def _text(value: str | asn1.PrintableString) -> str:
    return value if isinstance(value, str) else value.as_str()


def build_time(moment: datetime) -> asn1.UTCTime | asn1.GeneralizedTime:
    """Return the time in the form that its year asks for; certificates know whole seconds only."""
    whole = moment.astimezone(UTC).replace(microsecond=0)
    return asn1.UTCTime(whole) if whole.year < GENERALIZED_TIME_FROM else asn1.GeneralizedTime(whole)
