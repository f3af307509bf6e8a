"""How stages encrypt on a processor that has no instructions for AES, as most Raspberry Pis: with ChaCha20, which is faster there.

Python's ssl module cannot choose the ciphers of TLS 1.3 (``set_ciphers`` is for those before), OpenSSL's own configuration can.
A stage that listens then follows a caller who asks for ChaCha20 first (see ``tls``).
"""

import os
from pathlib import Path

from edgekit.runtime.machine.processor import instructions
from edgekit.runtime.machine.sources import Here

__all__ = ["environment"]

CONFIGURATION = """\
openssl_conf = edgekit
[edgekit]
ssl_conf = contexts
[contexts]
system_default = preferred
[preferred]
Ciphersuites = TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256
"""


def environment(folder: Path, here: Here | None = None) -> dict[str, str]:
    """What the environment of a stage process lacks; its file is kept in ``folder``. Nothing where OpenSSL has been configured."""
    known = instructions(here or Here())
    if not known or "aes" in known or "OPENSSL_CONF" in os.environ:
        return {}
    path = folder / "openssl.cnf"
    path.write_text(CONFIGURATION)
    return {"OPENSSL_CONF": str(path)}
