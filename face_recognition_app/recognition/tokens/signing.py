"""Ed25519 signatures of decisions, receipts and access tokens.

The times in a decision token are by the machine's clock, since others verify it, by their own clocks. Only the service
verifies an access token: its life is by the clock that all processes agree on.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import jwt
from jwt.algorithms import OKPAlgorithm
from jwt.types import Options

from database import clock
from recognition.tokens.receipts import ErasureReceipt
from recognition.tokens.signing_keys import SigningKeys, make_signing_key
from tenants.scopes import Scope, in_order, read_scopes

ALGORITHM = "EdDSA"
ISSUER = "face-service"
DECISION_AUDIENCE = "face-service-decision"
ACCESS_AUDIENCE = "face-service-api"
ERASURE_AUDIENCE = "face-service-erasure"
LEEWAY_S = 60
"""Seconds by which a verifier's clock may differ from the signer's; docs/protocol.md tells verifiers to allow it."""
_TIMES_ARE_CHECKED_HERE: Options = {
    "require": ["iat", "exp"],
    "verify_iat": False,
    "verify_exp": False,
    "verify_nbf": False,
}


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
    models: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """The tenant's primary key, the id of the API key that the token was made from, and its scopes."""

    tenant: int
    key: uuid.UUID
    scopes: frozenset[Scope]


class Signer:
    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys

    @classmethod
    def load(cls, data_dir: Path) -> Signer:
        return cls(SigningKeys(make_signing_key(data_dir)))

    @property
    def key_id(self) -> str:
        """The id of the key that signs now."""
        return self._keys.current().key_id

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The JSON Web Key Set of every key that verifies now, the signing key first."""
        public = self._keys.current().public_keys()
        common = {"use": "sig", "alg": ALGORITHM}
        return {
            "keys": [
                {**OKPAlgorithm.to_jwk(key, as_dict=True), "kid": key_id, **common} for key_id, key in public.items()
            ]
        }

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
            time.time(),  # noqa: TID251 - others compare it with their own clocks
        )

    def sign_access(self, claims: AccessClaims, lifetime_s: int) -> str:
        """Call it where queries may be made: its life is measured by the common clock."""
        content = {"sub": str(claims.tenant), "key": str(claims.key), "scope": " ".join(in_order(claims.scopes))}
        return self._sign(content, ACCESS_AUDIENCE, lifetime_s, clock.now().timestamp())

    def sign_receipt(self, receipt: ErasureReceipt) -> str:
        """The receipt as a JWS. It has no end: who keeps it keeps the public key from the JWKS with it."""
        keys, now = self._keys.current(), int(time.time())  # noqa: TID251 - others compare it with their own clocks
        common = {"iss": ISSUER, "aud": ERASURE_AUDIENCE, "iat": now, "jti": uuid.uuid4().hex}
        return jwt.encode({**common, **asdict(receipt)}, keys.private, ALGORITHM, headers={"kid": keys.key_id})

    def read_access(self, token: str) -> AccessClaims:
        """Raises InvalidToken. Call it where queries may be made, likewise."""
        try:
            claims = self._read(token, ACCESS_AUDIENCE, clock.now().timestamp())
            scopes = read_scopes(claims["scope"].split())
            return AccessClaims(int(claims["sub"]), uuid.UUID(claims["key"]), scopes)
        except (jwt.PyJWTError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise InvalidToken("the access token is not valid") from error

    def read_decision(self, token: str, max_age_s: int) -> DecisionClaims:
        """Claims of a decision that was signed at most `max_age_s` seconds ago. Raises InvalidToken."""
        now_s = time.time()  # noqa: TID251 - as it was signed
        try:
            claims = self._read(token, DECISION_AUDIENCE, now_s)
            if claims["iat"] + max_age_s < now_s:
                raise InvalidToken("the decision token is too old")
            return DecisionClaims(**{field.name: claims[field.name] for field in fields(DecisionClaims)})
        except (jwt.PyJWTError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise InvalidToken("the decision token is not valid") from error

    def _read(self, token: str, audience: str, now_s: float) -> dict[str, Any]:
        """All claims, checked, its life by the clock of `now_s`. Raises InvalidToken, PyJWTError or KeyError."""
        key = self._keys.current().public_keys()[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(token, key, [ALGORITHM], audience=audience, issuer=ISSUER, options=_TIMES_ARE_CHECKED_HERE)
        if not claims["iat"] - LEEWAY_S <= now_s < claims["exp"] + LEEWAY_S:
            raise InvalidToken("the token has expired, or is from the future")
        return claims

    def _sign(self, claims: dict[str, Any], audience: str, lifetime_s: int, now_s: float) -> str:
        keys = self._keys.current()
        now = int(now_s)
        common = {"iss": ISSUER, "aud": audience, "iat": now, "exp": now + lifetime_s, "jti": uuid.uuid4().hex}
        return jwt.encode({**common, **claims}, keys.private, ALGORITHM, headers={"kid": keys.key_id})
