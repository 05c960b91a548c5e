"""Asks a control plane for its status, from Python.

Shows what any gRPC client in another language has to do: check the server against the operator token before the token
is sent. See README.md beside this file.
"""

import hashlib
import hmac
import socket
import ssl
import sys

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from palyra.controlplane.v1 import control_plane_pb2, control_plane_pb2_grpc

CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def pinned_hash(token: str) -> bytes:
    """The last part of `palyra1_<id>_<secret>_<ca>`: SHA-256 of the public key (SPKI) of the cluster's root."""
    prefix, _token_id, _secret, ca = token.split("_")
    if prefix != "palyra1" or len(ca) != 52:
        raise SystemExit("this is no operator token")
    bits = "".join(format(CROCKFORD.index(character), "05b") for character in ca)
    if bits[256:] != "0000":
        raise SystemExit("this is no operator token")
    return int(bits[:256], 2).to_bytes(32, "big")


def server_chain(host: str, port: int) -> list[x509.Certificate]:
    """What the server shows, leaf first. Nothing of it is believed yet, and nothing is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((host, port), timeout=10) as tcp, context.wrap_socket(tcp) as tls:
        if sys.version_info >= (3, 13):
            chain = tls.get_unverified_chain()
        else:  # Python 3.10 to 3.12 have it under a private name.
            chain = [ssl.PEM_cert_to_DER_cert(shown.public_bytes()) for shown in tls._sslobj.get_unverified_chain()]
    return [x509.load_der_x509_certificate(der) for der in chain]


def has_key(certificate: x509.Certificate, pin: bytes) -> bool:
    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hmac.compare_digest(hashlib.sha256(spki).digest(), pin)


def trust_domain(leaf: x509.Certificate) -> str:
    """The trust domain in the leaf's one URI, `spiffe://<trust domain>/control-plane`."""
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    start, end = "spiffe://", "/control-plane"
    if len(uris) != 1 or not uris[0].startswith(start) or not uris[0].endswith(end):
        raise SystemExit("the server is not a control plane")
    return uris[0][len(start) : -len(end)]


def open_channel(host: str, port: int, token: str) -> grpc.Channel:
    chain = server_chain(host, port)
    root = next((shown for shown in chain if has_key(shown, pinned_hash(token))), None)
    if root is None:
        raise SystemExit("false server: its chain does not hold the key that the token names")
    # gRPC now does the rest: the leaf must lead to this one root and carry the control plane's own name.
    credentials = grpc.ssl_channel_credentials(root_certificates=root.public_bytes(Encoding.PEM))
    name = f"control-plane.{trust_domain(chain[0])}"
    return grpc.secure_channel(f"{host}:{port}", credentials, [("grpc.ssl_target_name_override", name)])


def main() -> None:
    host, port, token_file = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    with open(token_file, encoding="ascii") as file:
        token = file.read().strip()
    with open_channel(host, port, token) as channel:
        stub = control_plane_pb2_grpc.ControlPlaneStub(channel)
        status = stub.GetStatus(
            control_plane_pb2.GetStatusRequest(),
            metadata=[("authorization", f"Bearer {token}")],
            timeout=10,
        )
    print(f"{status.trust_domain}, version {status.version}: you are {status.caller} ({status.caller_role})")


if __name__ == "__main__":
    main()
