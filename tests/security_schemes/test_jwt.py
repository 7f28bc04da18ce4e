"""Tokens: made, checked, asked of a request."""

import base64
import dataclasses
import json
import sys
import time
from typing import TypedDict

import jwt as pyjwt
import msgspec
import pydantic
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from lamella.datastructures import Secret
from lamella.exceptions import HTTPException, UsageError
from lamella.security import JWT, JWTBearer, OAuth2PasswordBearer, OpenIdConnect, SecurityScopes
from tests.security_schemes.asking import ask, authorized, over_websocket, request_of

SECRET = "s" * 64
NOW = 1_700_000_000
KEYS = {
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}
KEYS["PS384"] = KEYS["RS256"]
INVALID = (401, "Invalid token", 'Bearer error="invalid_token"')
EXPIRED = (401, "Token expired", 'Bearer error="invalid_token"')


def private_pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def signed(claims, key=SECRET, algorithm="HS256", **more):
    """A token of any claims at all; good for an hour if they do not say so."""
    payload = json.dumps({"exp": time.time() + 3600} | claims).encode()
    return pyjwt.PyJWS().encode(payload, key, algorithm, **more)


def asked(token, *scopes, **options):
    """The value of a JWTBearer for a token."""
    bearer = JWTBearer(options.pop("jwt", None) or JWT(SECRET), **options)
    return ask(bearer, authorized(f"Bearer {token}"), SecurityScopes(list(scopes)))


# -- made ------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    """Make tokens at one time."""
    monkeypatch.setattr("lamella.security.jwt.time.time", lambda: NOW + 0.7)


def said(token):
    """The claims of a token, unchecked."""
    return pyjwt.decode(token, options={"verify_signature": False})


def test_a_subject_is_enough(clock):
    assert {"sub": "alice", "iat": NOW, "exp": NOW + 900} == said(JWT(SECRET).encode("alice"))


def test_a_token_says_who_made_it_for_whom_for_how_long_and_for_what(clock):
    jwt = JWT(SECRET, issuer="me", audience=("a", "b"), lifetime=60)
    assert {
        "sub": "alice",
        "role": "admin",
        "scope": "read write",
        "iat": NOW,
        "exp": NOW + 30,
        "iss": "me",
        "aud": ["a", "b"],
    } == said(jwt.encode({"sub": "alice", "role": "admin"}, scopes=["read", "write"], lifetime=30))
    assert NOW + 60 == said(jwt.encode("alice"))["exp"]
    assert "a" == said(JWT(SECRET, audience="a").encode("alice"))["aud"]


class User(msgspec.Struct):
    sub: str
    roles: list[str] = []


@dataclasses.dataclass
class Person:
    sub: str


class Named(TypedDict):
    sub: str


class Model(pydantic.BaseModel):
    sub: str


@pytest.mark.parametrize("claims", [User("alice", ["admin"]), Person("alice"), {"sub": "alice"}])
def test_claims_may_be_of_any_kind_that_has_names(claims):
    assert "alice" == JWT(SECRET).decode(JWT(SECRET).encode(claims))["sub"]


def test_the_claims_given_are_left_as_they_were():
    claims = {"sub": "alice"}
    JWT(SECRET).encode(claims, scopes=["a"])
    assert {"sub": "alice"} == claims


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"sub": 7}, r"'sub' to be a str .*got 7; write str"),
        ({"sub": None}, "'sub' to be a str"),
        ({"exp": 1}, "no claim 'exp'"),
        ({"iat": 1}, "no claim 'iat'"),
        ({"iss": "x"}, "no claim 'iss'"),
        ({"aud": "x"}, "no claim 'aud'"),
        (["alice"], "got list"),
        (7, "got int"),
    ],
)
def test_claims_that_contradict_are_refused(claims, words):
    with pytest.raises(UsageError, match=words):
        JWT(SECRET).encode(claims)


@pytest.mark.parametrize("lifetime", [0, -1, float("nan")])
def test_a_token_that_is_never_good_is_refused(lifetime):
    with pytest.raises(UsageError, match="lifetime over 0"):
        JWT(SECRET, lifetime=lifetime)
    with pytest.raises(UsageError, match="lifetime over 0"):
        JWT(SECRET).encode("alice", lifetime=lifetime)
    with pytest.raises(UsageError, match="leeway"):
        JWT(SECRET, leeway=-1)


# -- keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_private_key_makes_what_its_public_key_checks(algorithm):
    key = KEYS[algorithm]
    for private in (key, private_pem(key), private_pem(key).encode()):
        jwt = JWT(private, algorithm=algorithm)
        token = jwt.encode("alice")
        assert "alice" == jwt.decode(token)["sub"]
        assert "alice" == JWT(public_pem(key), algorithm=algorithm).decode(token)["sub"]


def test_a_public_key_makes_no_token():
    with pytest.raises(UsageError, match="private key to make a token with"):
        JWT(public_pem(KEYS["RS256"]), algorithm="RS256").encode("alice")


@pytest.mark.parametrize(("algorithm", "size"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_has_at_least_the_size_of_the_hash(algorithm, size):
    for enough in ("x" * size, b"x" * size, Secret("x" * size), "é" * (size // 2)):
        jwt = JWT(enough, algorithm=algorithm)
        assert "alice" == jwt.decode(jwt.encode("alice"))["sub"]
    for short in ("x" * (size - 1), b"x" * (size - 1), Secret("x" * (size - 1)), "x"):
        with pytest.raises(UsageError, match=f"at least {size} bytes for {algorithm}") as caught:
            JWT(short, algorithm=algorithm)
        assert "xx" not in str(caught.value)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, "HS1", "hs256", "ES256K"])
def test_an_algorithm_that_does_not_sign_is_refused(algorithm):
    with pytest.raises(UsageError, match="Expected an algorithm that signs"):
        JWT(SECRET, algorithm=algorithm)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("of", ["RS256", "ES256", "EdDSA"])
def test_a_key_pair_is_no_secret(algorithm, of):
    """A public key as the secret would let everybody sign."""
    key = KEYS[of]
    for wrong in (
        key,
        key.public_key(),
        public_pem(key),
        public_pem(key).encode(),
        private_pem(key),
    ):
        with pytest.raises(UsageError, match=f"a key for {algorithm}"):
            JWT(wrong, algorithm=algorithm)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
@pytest.mark.parametrize("key", [SECRET, b"", "", None, 7, object(), "-----BEGIN PUBLIC KEY-----"])
def test_what_is_no_key_is_refused(algorithm, key):
    with pytest.raises(UsageError, match=f"a key for {algorithm}"):
        JWT(key, algorithm=algorithm)


@pytest.mark.parametrize("key", ["", b"", None, 7])
def test_what_is_no_secret_is_refused(key):
    with pytest.raises(UsageError, match="HS256"):
        JWT(key)


@pytest.mark.parametrize(
    ("algorithm", "of"),
    [
        ("RS256", "ES256"),
        ("ES256", "RS256"),
        ("EdDSA", "RS256"),
        ("ES256", "ES384"),
        ("ES512", "ES256"),
    ],
)
def test_a_key_of_another_algorithm_is_refused(algorithm, of):
    for key in (KEYS[of], private_pem(KEYS[of]), public_pem(KEYS[of])):
        with pytest.raises(UsageError, match=algorithm):
            JWT(key, algorithm=algorithm)


def test_a_short_rsa_key_is_refused():
    with pytest.raises(UsageError, match="RSA key of at least 2048 bits, got 1024"):
        JWT(rsa.generate_private_key(65537, 1024), algorithm="RS256")


def test_the_key_is_not_in_what_is_logged():
    jwt = JWT(SECRET)
    assert SECRET not in repr(jwt) + str(JWTBearer(jwt))
    with pytest.raises(UsageError) as caught:
        JWT("wonderland", algorithm="RS256")
    assert "wonderland" not in str(caught.value)


def test_without_pyjwt_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(ImportError, match=r'pip install "lamella\[jwt\]"'):
        JWT(SECRET)


def test_a_pyjwt_that_cannot_be_imported_says_why(tmp_path, monkeypatch):
    """To install what is there would not help."""
    (tmp_path / "jwt.py").write_text("import of_which_there_is_none")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "jwt")
    with pytest.raises(ModuleNotFoundError, match="of_which_there_is_none"):
        JWT(SECRET)


def test_without_cryptography_it_says_what_to_install(monkeypatch):
    def missing(name):
        raise NotImplementedError

    monkeypatch.setattr(pyjwt, "get_algorithm_by_name", missing)
    with pytest.raises(ImportError, match="RS256 needs cryptography"):
        JWT(KEYS["RS256"], algorithm="RS256")


# -- checked ---------------------------------------------------------------------------------------


def unsigned(header, claims, signature=""):
    """A token put together by hand."""
    parts = [json.dumps(part).encode() for part in (header, claims)]
    return ".".join(
        [*(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), signature]
    )


GOOD = signed({"sub": "alice"})
HEADER, PAYLOAD, SIGNATURE = GOOD.split(".")
BAD = {
    "nothing": "",
    "one part": "a",
    "two parts": f"{HEADER}.{PAYLOAD}",
    "four parts": f"{GOOD}.a",
    "no signature": f"{HEADER}.{PAYLOAD}.",
    "another signature": f"{HEADER}.{PAYLOAD}.{SIGNATURE[::-1]}",
    "another payload": f"{HEADER}.{signed({'sub': 'eve'}, 'e' * 64).split('.')[1]}.{SIGNATURE}",
    "another secret": signed({"sub": "alice"}, "e" * 64),
    "another hash": signed({"sub": "alice"}, algorithm="HS512"),
    "no algorithm": unsigned({"typ": "JWT"}, {"sub": "alice"}, SIGNATURE),
    "algorithm none": pyjwt.encode({"sub": "alice", "exp": 9e9}, None, "none"),
    "algorithm nOnE": unsigned({"alg": "nOnE"}, {"exp": 9e9}),
    "algorithm of a list": unsigned({"alg": ["HS256"]}, {"exp": 9e9}, SIGNATURE),
    "algorithm of a dict": unsigned({"alg": {}}, {"exp": 9e9}, SIGNATURE),
    "header of a list": unsigned([], {"exp": 9e9}, SIGNATURE),
    "header nested": base64.urlsafe_b64encode(b"[" * 99_999).decode() + ".a.a",
    "header nested in names": base64.urlsafe_b64encode(b'{"a":' * 90_000).decode() + ".a.a",
    "header not UTF-8": "_w.a.a",
    "header critical": signed({"sub": "a"}, headers={"crit": ["own"], "own": 1}),
    "payload detached": signed({"sub": "a"}, headers={"b64": False}),
    "no JSON": pyjwt.PyJWS().encode(b"{", SECRET, "HS256"),
    "a list": pyjwt.PyJWS().encode(b"[]", SECRET, "HS256"),
    "nested": pyjwt.PyJWS().encode(b"[" * 100_000, SECRET, "HS256"),
    "not UTF-8": pyjwt.PyJWS().encode(b"\xff", SECRET, "HS256"),
    "no expiry": pyjwt.encode({"sub": "alice"}, SECRET, "HS256"),
    "expiry of None": signed({"exp": None}),
    "expiry of text": signed({"exp": "soon"}),
    "expiry of a list": signed({"exp": [9e9]}),
    "expiry without end": signed({"exp": float("inf")}),
    "expiry not a number": signed({"exp": float("nan")}),
    "expiry too long": pyjwt.PyJWS().encode(b'{"exp":%s}' % (b"9" * 5000), SECRET, "HS256"),
    "not yet": signed({"nbf": time.time() + 3600}),
    "made in the future": signed({"iat": time.time() + 3600}),
    "subject of a number": signed({"sub": 7}),
    "for somebody": signed({"aud": "other"}),
    "oversized": GOOD + "A" * 1_000_000,
    "dots": "." * 100_000,
    "blanks": "a b c",
    "beyond ASCII": "\xff.\xff.\xff",
    "half a pair": "\ud800",
}


@pytest.mark.parametrize("token", BAD.values(), ids=list(BAD))
def test_a_bad_token_is_an_invalid_token(token):
    """And never another error; the text is the client's."""
    with pytest.raises(pyjwt.InvalidTokenError):
        JWT(SECRET).decode(token)
    with pytest.raises(HTTPException) as caught:
        JWTBearer(JWT(SECRET)).claims_of(token)
    assert 401 == caught.value.status_code


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_public_key_is_never_taken_for_the_secret(algorithm):
    """The token is signed with what everybody knows."""
    key = KEYS["RS256"]
    pem = public_pem(key).encode()
    body = b".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": algorithm, "typ": "JWT"}, {"sub": "eve", "exp": 9e9})
    )
    method = pyjwt.get_algorithm_by_name(algorithm)
    forged = body + b"." + base64.urlsafe_b64encode(method.sign(body, pem)).rstrip(b"=")
    with pytest.raises(pyjwt.InvalidAlgorithmError):
        JWT(pem, algorithm="RS256").decode(forged.decode())


def test_the_last_second_counts_and_the_leeway_is_added():
    late = signed({"exp": time.time() - 10})
    with pytest.raises(pyjwt.ExpiredSignatureError):
        JWT(SECRET).decode(late)
    assert JWT(SECRET, leeway=3600).decode(late)


@pytest.mark.parametrize(
    ("options", "claims", "good"),
    [
        ({"issuer": "me"}, {"iss": "me"}, True),
        ({"issuer": "me"}, {"iss": "mee"}, False),
        ({"issuer": "me"}, {"iss": "m"}, False),
        ({"issuer": "me"}, {"iss": ["me"]}, False),
        ({"issuer": "me"}, {}, False),
        ({}, {"iss": "me"}, True),
        ({"audience": "a"}, {"aud": "a"}, True),
        ({"audience": "a"}, {"aud": ["b", "a"]}, True),
        ({"audience": "a"}, {"aud": "ab"}, False),
        ({"audience": "a"}, {"aud": []}, False),
        ({"audience": "a"}, {"aud": {"a": 1}}, False),
        ({"audience": "a"}, {"aud": [7, "a"]}, False),
        ({"audience": "a"}, {}, False),
        ({"audience": ["a", "b"]}, {"aud": "b"}, True),
        ({"audience": ["a", "b"]}, {"aud": "c"}, False),
    ],
)
def test_a_token_is_for_whom_it_says(options, claims, good):
    value = asked(signed(claims), jwt=JWT(SECRET, **options))
    assert value == INVALID if not good else claims.items() <= value.items()


# -- asked of a request ----------------------------------------------------------------------------


def test_the_claims_are_the_value():
    assert "alice" == asked(GOOD)["sub"]
    websocket = over_websocket(authorized(f"Bearer {GOOD}"))
    assert "alice" == ask(JWTBearer(JWT(SECRET)), websocket)["sub"]


def test_no_token_is_not_an_invalid_one():
    bearer = JWTBearer(JWT(SECRET))
    assert (401, "Not authenticated", "Bearer") == ask(bearer, request_of())
    assert (401, "Not authenticated", "Bearer") == ask(bearer, authorized("Bearer "))
    assert (401, "Not authenticated", "Bearer") == ask(bearer, authorized("Basic a"))
    assert ask(JWTBearer(JWT(SECRET), auto_error=False), request_of()) is None


@pytest.mark.parametrize("auto_error", [True, False])
def test_a_bad_token_is_refused_in_any_case(auto_error):
    """A client whose token has expired has to hear of it."""
    assert INVALID == asked("a.b.c", auto_error=auto_error)
    assert EXPIRED == asked(signed({"exp": 1}), auto_error=auto_error)


@pytest.mark.parametrize(
    ("claim", "scopes", "missing"),
    [
        ("read write", [], False),
        ("read write", ["read"], False),
        ("read write", ["write", "read"], False),
        ("read", ["read", "write"], True),
        ("reader", ["read"], True),
        ("", ["read"], True),
        (None, ["read"], True),
        (["read", 7, [], {}], ["read"], False),
        (["read write"], ["read"], True),
        ({"read": 1}, ["read"], True),
        (7, ["read"], True),
        (None, [], False),
    ],
)
def test_a_token_without_a_scope_that_is_asked_for_is_not_enough(claim, scopes, missing):
    value = asked(signed({"sub": "alice", "scope": claim}), *scopes)
    challenge = f'Bearer error="insufficient_scope", scope="{" ".join(scopes)}"'
    expected = (403, "Not enough permissions", challenge) if missing else claim
    assert expected == (value if missing else value["scope"])


def test_the_scopes_may_have_another_claim():
    token = signed({"scp": ["read"], "scope": "write"})
    assert asked(token, "read", scope_claim="scp")["scp"]
    assert 403 == asked(token, "write", scope_claim="scp")[0]


@pytest.mark.parametrize(
    ("scope", "told"), [('a"b', r', scope="a\"b"'), ("密", ""), ("a\r\nb", "")]
)
def test_a_scope_of_any_name_makes_an_answer_that_can_be_sent(scope, told):
    answer = (403, "Not enough permissions", f'Bearer error="insufficient_scope"{told}')
    assert answer == asked(GOOD, scope)


def test_claims_become_the_type_that_is_asked_for():
    token = signed({"sub": "alice", "roles": ["admin"]})
    assert User("alice", ["admin"]) == asked(token, claims_type=User)
    assert Person("alice") == asked(token, claims_type=Person)
    assert {"sub": "alice"} == asked(token, claims_type=Named)
    assert Model(sub="alice") == asked(token, claims_type=Model)


@pytest.mark.parametrize("claims", [{}, {"sub": "alice", "roles": "admin"}])
def test_claims_that_do_not_fit_are_an_invalid_token(claims):
    assert INVALID == asked(signed(claims), claims_type=User)


def test_the_document_says_bearer_or_what_another_scheme_says():
    jwt = JWT(SECRET)
    plain = JWTBearer(jwt, description="Words.")
    model = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "Words."}
    assert (model, "JWTBearer") == (plain.model, plain.scheme_name)
    form = OAuth2PasswordBearer("token", description="Old.")
    login = JWTBearer(jwt, scheme=form)
    assert (form.model, "OAuth2PasswordBearer") == (login.model, login.scheme_name)
    named = JWTBearer(
        jwt, scheme=OpenIdConnect(openIdConnectUrl="/o"), scheme_name="n", description="d"
    )
    assert {"type": "openIdConnect", "openIdConnectUrl": "/o", "description": "d"} == named.model
    assert "n" == named.scheme_name
    assert "Old." == JWTBearer(jwt, scheme=form).model["description"]


def test_the_answers_can_be_overridden():
    class Own(JWTBearer):
        def make_invalid_token_error(self, exc):
            return HTTPException(418, type(exc).__name__, {"WWW-Authenticate": "Tea"})

        def make_insufficient_scope_error(self, scopes):
            return HTTPException(418, [*scopes], {"WWW-Authenticate": "Tea"})

    bearer = Own(JWT(SECRET))
    assert (418, "DecodeError", "Tea") == ask(bearer, authorized("Bearer a"))
    needed = SecurityScopes(["a"])
    assert (418, ["a"], "Tea") == ask(bearer, authorized(f"Bearer {GOOD}"), needed)
