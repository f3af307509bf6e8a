"""The private authority of a release, whose certificates tell its machines from all others.

.authority/<release>/key.pem              readable to its owner alone
.authority/<release>/certificate.pem

Each release has its own, so that a certificate that got into wrong hands is of no use after the next deployment. What is issued
holds for a year, from a day before now, as clocks may differ.
"""

import datetime
import shutil
from functools import cache
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edgekit.errors import FormatError
from edgekit.runtime.links.link_probe import ECHO, PLAN
from edgekit.runtime.links.tls import Keys, host_name, named

__all__ = ["ECHO", "Authority", "Keys", "of_probes"]

FOLDER = ".authority"
EARLY = datetime.timedelta(days=1)
VALID = datetime.timedelta(days=365)
VALID_ITSELF = datetime.timedelta(days=3650)


class Authority:
    """Issues certificates to the machines of one cluster."""

    def __init__(self, cluster: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate):
        self._cluster, self._key, self._certificate = cluster, key, certificate

    @classmethod
    def fresh(cls, cluster: str) -> Self:
        """A new one, that lives as long as this process."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"edgekit {cluster}"[:64])])
        builder = _begun(name, name, key, VALID_ITSELF).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
        return cls(cluster, key, builder.sign(key, hashes.SHA256()))

    def keep(self, home: Path, release: str) -> None:
        """Write it down."""
        folder = home / FOLDER / release
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "key.pem").touch(mode=0o600)
        (folder / "key.pem").write_text(_pem(self._key))
        (folder / "certificate.pem").write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    @classmethod
    def kept(cls, cluster: str, home: Path, release: str) -> Self:
        """The one that was written down.

        Raises:
            FormatError: it was not, or cannot be read any more.
        """
        folder = home / FOLDER / release
        try:
            key = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), None)
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            return cls(cluster, key, x509.load_pem_x509_certificate((folder / "certificate.pem").read_bytes()))
        except (OSError, ValueError, TypeError, AssertionError) as error:
            raise FormatError(f"{folder} is damaged ({error}); run edgekit stop, then deploy again") from error

    @staticmethod
    def forget(home: Path, but: str = "") -> None:
        """Remove those under ``home`` but that of one release: what they have issued is of no use any more."""
        for folder in (home / FOLDER).glob("*"):
            if folder.name != but:
                shutil.rmtree(folder, ignore_errors=True)
        if not but:
            shutil.rmtree(home / FOLDER, ignore_errors=True)

    @property
    def due(self) -> bool:
        """Whether two thirds of the time are over for which its certificates hold that came with the deployment."""
        return datetime.datetime.now(datetime.UTC) > self._certificate.not_valid_before_utc + EARLY + VALID * 2 / 3

    def issue(self, device: str) -> Keys:
        """A certificate for a machine, or for the client, with its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = named(self._cluster, device)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device[:64])])
        builder = _begun(subject, self._certificate.subject, key, VALID)
        alternatives = x509.UniformResourceIdentifier(name), x509.DNSName(host_name(name))
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        both = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = builder.add_extension(both, critical=False).add_extension(x509.BasicConstraints(False, None), critical=True)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        made = builder.add_extension(issuer, critical=False).sign(self._key, hashes.SHA256())
        pem, authority = (each.public_bytes(serialization.Encoding.PEM).decode() for each in (made, self._certificate))
        begin, end = made.not_valid_before_utc.timestamp(), made.not_valid_after_utc.timestamp()
        return Keys(name, pem, _pem(key), authority, begin, end)


@cache
def of_probes() -> Authority:
    """Vouches for echoes and those who dial them, for as long as this process lives: what is measured is encrypted as a pipeline is."""
    return Authority.fresh(PLAN)


def _begun(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, valid: datetime.timedelta) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - EARLY).not_valid_after(now + valid)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
