"""The first module of the released program, beside `python/` and `site/`: runs the command line.

The stub calls it with the path of the released file and the words of the command line. Python is isolated (`-I -S`): no
variable and no package of the user changes what is imported.
"""

import os
import sys

CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
)
"""Where distributions keep the authorities that the machine trusts. The OpenSSL in `python/lib` knows the place of the
distribution that it is from only."""

if not os.environ.keys() & {"SSL_CERT_FILE", "SSL_CERT_DIR"}:
    for found in filter(os.path.exists, CERTIFICATES):
        os.environ["SSL_CERT_FILE"] = found
        break

sys.argv = sys.argv[1:]
sys.path.insert(0, f"{__file__.rpartition('/')[0]}/site")
# Only this tree has it.
from danube_pkg.cli.main import script  # noqa: E402

script()
