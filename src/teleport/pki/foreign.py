"""What the cryptography library raises when it is fed garbage, as one tuple to catch where it is called."""

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

FOREIGN_ERRORS: tuple[type[Exception], ...] = (
    ValueError,
    TypeError,
    OverflowError,
    NotImplementedError,  # compressed points
    InvalidSignature,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
