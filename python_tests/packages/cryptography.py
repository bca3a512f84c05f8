import _cffi_backend
import extensions
from cryptography import x509
from cryptography.hazmat.bindings import _rust
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

print(AESGCM(bytes(16)).encrypt(bytes(12), b"text", b"with").hex())
print(ChaCha20Poly1305(bytes(32)).encrypt(bytes(12), b"text", None).hex())
print(Scrypt(salt=b"salt", length=16, n=2**10, r=8, p=1).derive(b"password").hex())
key = rsa.generate_private_key(65537, 2048)
signature = key.sign(b"text", padding.PKCS1v15(), hashes.SHA256())
key.public_key().verify(signature, b"text", padding.PKCS1v15(), hashes.SHA256())
private = ec.derive_private_key(12345, ec.SECP256R1())
print(
    private.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
print(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ü")]).rfc4514_string())
try:
    x509.load_pem_x509_certificate(b"no certificate")
except ValueError as error:
    print(error)
extensions.show(_rust, _cffi_backend)
