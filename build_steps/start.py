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

GLIBC = (0, 0)
"""The oldest GNU C library that every file of the tree can use; `build_steps/binary.py` fills it in. Without a check a
system with an older one would start, and fail where the first such file is loaded."""

glibc = (os.confstr("CS_GNU_LIBC_VERSION") or "").rpartition(" ")[2]  # "glibc 2.36"
if tuple(map(int, glibc.split(".")[:2])) < GLIBC:
    sys.exit(
        f"danube: this system has glibc {glibc}, and this file needs {GLIBC[0]}.{GLIBC[1]}\n"
        "  hint: use the zipapp with Python 3.11 of this system, the container image, or a newer Linux"
    )

if not os.environ.keys() & {"SSL_CERT_FILE", "SSL_CERT_DIR"}:
    for found in filter(os.path.exists, CERTIFICATES):
        os.environ["SSL_CERT_FILE"] = found
        break

sys.argv = sys.argv[1:]
sys.path.insert(0, f"{__file__.rpartition('/')[0]}/site")
# Only this tree has it.
from danube_pkg.cli.main import script  # noqa: E402

script()
