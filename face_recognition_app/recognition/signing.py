"""Ed25519 signatures of decisions and access tokens; the key is made in the data directory."""

from __future__ import annotations

import hashlib
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from jwt.algorithms import OKPAlgorithm

from ops.secret import read_or_make

ALGORITHM = "EdDSA"
ISSUER = "face-service"
DECISION_AUDIENCE = "face-service-decision"
ACCESS_AUDIENCE = "face-service-api"


class InvalidToken(Exception):
    pass


@dataclass(frozen=True, slots=True)
class DecisionClaims:
    session: str
    tenant: str
    kind: str
    nonce: str
    outcome: str
    subject: str | None
    liveness: str
    reason: str | None
    models: dict[str, str]


class Signer:
    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        public = key.public_key()
        raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.key_id = hashlib.sha256(raw).hexdigest()[:16]
        self._public = public

    @classmethod
    def load(cls, data_dir: Path) -> Signer:
        pem = read_or_make(data_dir / "keys" / "decision-ed25519.pem", _new_key)
        key = load_pem_private_key(pem, None)
        if not isinstance(key, Ed25519PrivateKey):
            raise InvalidToken("keys/decision-ed25519.pem is not an Ed25519 key")
        return cls(key)

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        key = OKPAlgorithm.to_jwk(self._public, as_dict=True)
        return {"keys": [{**key, "kid": self.key_id, "use": "sig", "alg": ALGORITHM}]}

    def sign_decision(self, claims: DecisionClaims, lifetime_s: int) -> str:
        return self._sign(
            {
                "session": claims.session,
                "sub": claims.session,
                "tenant": claims.tenant,
                "kind": claims.kind,
                "nonce": claims.nonce,
                "outcome": claims.outcome,
                "subject": claims.subject,
                "liveness": claims.liveness,
                "reason": claims.reason,
                "models": claims.models,
            },
            DECISION_AUDIENCE,
            lifetime_s,
        )

    def sign_access(self, tenant_id: int, lifetime_s: int) -> str:
        return self._sign({"sub": str(tenant_id)}, ACCESS_AUDIENCE, lifetime_s)

    def tenant_of_access(self, token: str) -> int:
        """The tenant's primary key. Raises InvalidToken."""
        try:
            claims = jwt.decode(token, self._public, [ALGORITHM], audience=ACCESS_AUDIENCE, issuer=ISSUER)
            return int(claims["sub"])
        except (jwt.PyJWTError, KeyError, ValueError) as error:
            raise InvalidToken("the access token is not valid") from error

    def _sign(self, claims: dict[str, Any], audience: str, lifetime_s: int) -> str:
        now = int(time.time())
        common = {"iss": ISSUER, "aud": audience, "iat": now, "exp": now + lifetime_s, "jti": uuid.uuid4().hex}
        return jwt.encode({**common, **claims}, self._key, ALGORITHM, headers={"kid": self.key_id})


def _new_key() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
