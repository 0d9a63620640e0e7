"""Certificates for TLS tests: two authorities and what they have signed, good and bad. Made by the openssl command."""

import collections
import pathlib
import subprocess

Certificate = collections.namedtuple("Certificate", "cert key ca")

# name: (authority, subject, extension, days that it is valid)
SIGNED = {
    "right": ("ca", "localhost", "subjectAltName=DNS:localhost", 10),
    "address": ("ca", "by address", "subjectAltName=IP:127.0.0.1", 10),
    "wrong_name": ("ca", "elsewhere.example", "subjectAltName=DNS:elsewhere.example", 10),
    "expired": ("ca", "localhost", "subjectAltName=DNS:localhost", -1),
    "impostor": ("other_ca", "localhost", "subjectAltName=DNS:localhost", 10),
    "client": ("ca", "client", "extendedKeyUsage=clientAuth", 10),
    "stranger": ("other_ca", "client", "extendedKeyUsage=clientAuth", 10),
}


def openssl(directory, *words):
    result = subprocess.run(["openssl", *words], cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(words)}: {result.stderr}")


def make_certificates(directory):
    """Everything into an empty folder; any user may read it, for the keys protect nothing."""
    directory.mkdir(mode=0o755)
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for name in ("ca", "other_ca"):
        openssl(directory, "req", "-x509", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.crt",
                "-subj", f"/CN=lockstep e2e {name}", "-days", "10")
    for name, (authority, subject, extension, days) in SIGNED.items():
        openssl(directory, "req", "-new", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.csr",
                "-subj", f"/CN={subject}", "-addext", extension)
        openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.crt", "-CAkey", f"{authority}.key",
                "-CAcreateserial", "-copy_extensions", "copyall", "-days", str(days), "-out", f"{name}.crt")
    for file in directory.iterdir():
        file.chmod(0o644)


class Certificates:
    """`ca` and `other_ca` are files; certs.right, .address, .wrong_name, .expired, .impostor (for servers), .client and
    .stranger (for clients; impostor and stranger are other_ca's) have `cert`, `key` and the `ca` that signed them."""

    def __init__(self, directory: pathlib.Path):
        self.ca, self.other_ca = directory / "ca.crt", directory / "other_ca.crt"
        for name, (authority, *_) in SIGNED.items():
            setattr(self, name, Certificate(directory / f"{name}.crt", directory / f"{name}.key", directory / f"{authority}.crt"))
