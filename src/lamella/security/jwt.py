"""JSON Web Tokens, on pyjwt: made, checked, and asked of a request.

Floor 6. pyjwt is imported when a ``JWT`` is made, so that the other schemes do without it.

Source: RFC 7519; RFC 8725 for what is refused; RFC 6750 for the answers.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

import msgspec

from lamella.datastructures import Secret
from lamella.exceptions import HTTPException, UsageError
from lamella.injection.decode import Invalid, object_decoder
from lamella.params import SecurityScopes
from lamella.requests import HTTPConnection
from lamella.security.base import SecurityBase, bearer_token, quoted, scheme_model

__all__ = ["JWT", "JWTBearer"]

# RFC 7518 section 3.2: a key of the size of the hash, in bytes.
_SECRET_SIZES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
# Section 3.3, in bits. That ES256 and the like have a curve each, section 3.4, pyjwt looks after.
_RSA_SIZE: Final = 2048
_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_ALGORITHMS: Final = (*_SECRET_SIZES, *_RSA, "ES256", "ES384", "ES512", "EdDSA")

_SET_HERE: Final = ("aud", "exp", "iat", "iss")


class _Keys(NamedTuple):
    """The loaded keys; signing is None where there is a public key only."""

    signing: Any
    verifying: Any


class JWT:
    """Makes tokens, and checks them, with one key and one algorithm.

    The algorithm is this one and never the one that a token names.

    Args:
        key: the secret for HS256, HS384 and HS512, at least 32, 48 or 64 bytes; for the others a
            key as PEM text or as an object of ``cryptography``. A public one can only check.
        algorithm: HS256, HS384, HS512, RS256 to PS512, ES256, ES384, ES512 or EdDSA.
        issuer: who makes the tokens; one of another issuer, or of none, is refused.
        audience: whom they are for, one or several; one that is for none of these is refused.
        lifetime: seconds for which a new token is good.
        leeway: seconds by which clocks may differ.

    Raises:
        UsageError: an algorithm that is not one of these, a key that is not one for it or too
            short, or a time that is not positive.
        ImportError: pyjwt is not installed, or cryptography, for other algorithms than HS*.
    """

    def __init__(
        self,
        key: Any,
        *,
        algorithm: str = "HS256",
        issuer: str | None = None,
        audience: str | Sequence[str] | None = None,
        lifetime: float = 900,
        leeway: float = 0,
    ) -> None:
        self._pyjwt = _import_pyjwt()
        if isinstance(key, Secret):
            key = str(key)
        self._keys = _load_keys(self._pyjwt, key, algorithm)
        if not lifetime > 0 or not leeway >= 0:
            raise UsageError(
                "Expected a lifetime over 0 and a leeway of at least 0 seconds, got"
                f" {lifetime!r} and {leeway!r}."
            )
        self.algorithm = algorithm
        self.issuer = issuer
        self.audience = audience if audience is None or isinstance(audience, str) else [*audience]
        self.lifetime = lifetime
        self.leeway = leeway

    def encode(
        self, claims: Any, *, scopes: Sequence[str] = (), lifetime: float | None = None
    ) -> str:
        """Make a token.

        Args:
            claims: the subject, a str; or what the token says: a mapping, a Struct or a dataclass.
                ``exp``, ``iat``, ``iss`` and ``aud`` are added.
            scopes: what it is for; they become the claim ``scope`` (RFC 8693 section 4.2).
            lifetime: seconds for which it is good, the ``lifetime`` of this object without it.

        Raises:
            UsageError: there is a public key only, ``lifetime`` is not positive, a claim that is
                added is there already, or ``sub`` is not a str.
        """
        if self._keys.signing is None:
            raise UsageError("Expected a private key to make a token with, got a public key.")
        seconds = self.lifetime if lifetime is None else lifetime
        if not seconds > 0:
            raise UsageError(f"Expected a lifetime over 0 seconds, got {lifetime!r}.")
        payload = _payload(claims)
        if scopes:
            payload["scope"] = " ".join(scopes)
        now = time.time()
        payload |= {"iat": int(now), "exp": int(now + seconds)}
        if self.issuer is not None:
            payload["iss"] = self.issuer
        if self.audience is not None:
            payload["aud"] = self.audience
        token = self._pyjwt.encode(payload, self._keys.signing, algorithm=self.algorithm)
        return cast("str", token)

    def decode(self, token: str) -> dict[str, Any]:
        """Check a token: signature, times, issuer, audience.

        Returns:
            Its claims.

        Raises:
            jwt.InvalidTokenError: it is not a token of this algorithm and key, says no ``exp`` or
                is expired, or has another issuer or audience. Any text is safe to ask about.
        """
        pyjwt = self._pyjwt
        try:
            claims = pyjwt.decode(
                token,
                self._keys.verifying,
                algorithms=[self.algorithm],
                issuer=self.issuer,
                audience=self.audience,
                leeway=self.leeway,
                options={"require": ["exp"]},
            )
        except pyjwt.InvalidTokenError:
            raise
        except Exception as exc:
            # The key was loaded and tried; what fails here is the token, in a way not foreseen.
            raise pyjwt.InvalidTokenError(f"{type(exc).__name__} while decoding") from exc
        return cast("dict[str, Any]", claims)


class JWTBearer(SecurityBase):
    """A bearer token that is a JWT, checked; the value is its claims.

    No token: 401 "Not authenticated", or None without ``auto_error``. A token that is not good:
    401 and ``invalid_token``, in any case. One without a scope that ``Security(..., scopes=[...])``
    asks for: 403 and ``insufficient_scope``.

    Args:
        jwt: what checks the tokens.
        claims_type: what the claims are made into: a Struct, a dataclass, a TypedDict, a pydantic
            model. Other claims than it has are left out.
        scheme: another scheme for the OpenAPI document, such as an ``OAuth2PasswordBearer``, whose
            login form its pages then have. The token is read from ``Authorization`` all the same.
        scheme_name: see ``SecurityBase``; that of ``scheme``, or ``JWTBearer``, without it.
        description: for the OpenAPI document.
        auto_error: see ``SecurityBase``.
        scope_claim: where the scopes are: text with blanks between them, or a list.
    """

    def __init__(
        self,
        jwt: JWT,
        claims_type: Any = dict,
        *,
        scheme: SecurityBase | None = None,
        scheme_name: str | None = None,
        description: str | None = None,
        auto_error: bool = True,
        scope_claim: str = "scope",
    ) -> None:
        self.jwt = jwt
        self.model = scheme_model("http", description, scheme="bearer", bearerFormat="JWT")
        self.scheme_name = scheme_name or type(self).__name__
        if scheme is not None:
            self.model = scheme.model | ({"description": description} if description else {})
            self.scheme_name = scheme_name or scheme.scheme_name
        self.auto_error = auto_error
        self.scope_claim = scope_claim
        self._convert = None if claims_type is dict else object_decoder(claims_type)

    async def __call__(
        self, request: HTTPConnection[Any], security_scopes: SecurityScopes | None = None
    ) -> Any:
        """Read and check the token of a request."""
        token = bearer_token(request)
        if not token:
            return self._given(None)
        return self.claims_of(token, security_scopes.scopes if security_scopes else ())

    def claims_of(self, token: str, scopes: Collection[str] = ()) -> Any:
        """Check a token that came by another way, such as a cookie.

        Args:
            token: the text of it.
            scopes: those that it has to be for.

        Raises:
            HTTPException: it is not good (401), or not for all of the scopes (403).
        """
        try:
            claims = self.jwt.decode(token)
            value = claims if self._convert is None else self._convert(claims)
        except (self.jwt._pyjwt.InvalidTokenError, Invalid) as exc:
            raise self.make_invalid_token_error(exc) from exc
        if not _granted(claims.get(self.scope_claim)).issuperset(scopes):
            raise self.make_insufficient_scope_error(scopes)
        return value

    def make_invalid_token_error(self, exc: Exception) -> HTTPException:
        """The answer to a token that is not good; override it for another one."""
        is_expired = isinstance(exc, self.jwt._pyjwt.ExpiredSignatureError)
        return HTTPException(
            401,
            "Token expired" if is_expired else "Invalid token",
            {"WWW-Authenticate": 'Bearer error="invalid_token"'},
        )

    def make_insufficient_scope_error(self, scopes: Collection[str]) -> HTTPException:
        """The answer to a token that is not for all of the scopes; override it for another one."""
        challenge = 'Bearer error="insufficient_scope"'
        names = " ".join(scopes)
        # RFC 6749 section 3.3 has no others, and a header could not say them.
        if names.isascii() and names.isprintable():
            challenge += f", scope={quoted(names)}"
        return HTTPException(403, "Not enough permissions", {"WWW-Authenticate": challenge})


def _import_pyjwt() -> Any:
    try:
        import jwt as pyjwt
    except ModuleNotFoundError as exc:
        if exc.name != "jwt":  # installed, but something that it needs is not
            raise
        raise ImportError(
            'lamella.security.JWT needs pyjwt; install it with: pip install "lamella[jwt]"'
        ) from None
    return pyjwt


def _load_keys(pyjwt: Any, key: Any, algorithm: str) -> _Keys:
    """Load a key, which is done once, and refuse what is no key for the algorithm."""
    if algorithm not in _ALGORITHMS:
        raise UsageError(
            f"Expected an algorithm that signs, one of {', '.join(_ALGORITHMS)}, got {algorithm!r}."
        )
    try:
        method = pyjwt.get_algorithm_by_name(algorithm)
    except NotImplementedError:
        raise ImportError(
            f"{algorithm} needs cryptography; install it with: pip install cryptography"
        ) from None
    try:
        loaded = method.prepare_key(key)
    except Exception as exc:
        # Without the key: errors are logged.
        raise UsageError(
            f"Expected a key for {algorithm}, got a {type(key).__name__} that is none: {exc}"
        ) from exc
    _check_strength(loaded, algorithm)
    if algorithm in _SECRET_SIZES:
        return _Keys(loaded, loaded)
    if hasattr(loaded, "public_key"):
        return _Keys(loaded, loaded.public_key())
    return _Keys(None, loaded)


def _check_strength(key: Any, algorithm: str) -> None:
    size = _SECRET_SIZES.get(algorithm)
    if size and len(key) < size:
        raise UsageError(
            f"Expected a secret of at least {size} bytes for {algorithm} (RFC 7518 section 3.2),"
            f" got {len(key)}; make one with"
            f' `python -c "import secrets; print(secrets.token_urlsafe({size}))"`.'
        )
    if algorithm in _RSA and key.key_size < _RSA_SIZE:
        raise UsageError(f"Expected an RSA key of at least {_RSA_SIZE} bits, got {key.key_size}.")


def _payload(claims: Any) -> dict[str, Any]:
    """The claims as a new dict of what JSON knows."""
    if isinstance(claims, str):
        return {"sub": claims}
    if isinstance(claims, Mapping):
        claims = dict(cast("Mapping[str, Any]", claims))
    payload = cast("dict[str, Any]", msgspec.to_builtins(claims))
    if not isinstance(payload, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError(
            f"Expected a subject, a mapping or a Struct as claims, got {type(claims).__name__}."
        )
    for name in _SET_HERE:
        if name in payload:
            raise UsageError(
                f"Expected no claim {name!r}, which the JWT adds; say lifetime=... to encode, or"
                " issuer=... and audience=... to the JWT."
            )
    if not isinstance(payload.get("sub", ""), str):
        raise UsageError(
            f"Expected the claim 'sub' to be a str (RFC 7519 section 4.1.2), got"
            f" {payload['sub']!r}; write str(...)."
        )
    return payload


def _granted(claim: Any) -> set[Any]:
    """The scopes that a claim names; none if it is neither text nor a list."""
    if isinstance(claim, str):
        return set(claim.split())
    if isinstance(claim, list):
        names: list[Any] = claim  # pyright: ignore[reportUnknownVariableType]
        return {name for name in names if isinstance(name, str)}
    return set()
