"""Keys and signatures of webhooks: the specification's examples, and receivers that are not ours."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from servers.receiver import OTHER_SECRET, SECRET
from standardwebhooks.webhooks import Webhook

from mdnwatch.sinks.webhook_keys import key_of, signatures

# The pair that the tests of Svix, whose authors wrote the specification, share with its libraries.
PRIVATE = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
SEED = "whsk_" + base64.b64encode(base64.b64decode(PRIVATE[5:])[:32]).decode()

EXAMPLE = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
BODY = '{"name":"Jürgen \\u2026 😀"}'.encode()

NODE = shutil.which("node")
VERIFIER = Path(__file__).with_name("verify_webhook.mjs")


@pytest.mark.parametrize(
    ("secret", "signature"),
    [
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        (PRIVATE, "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="),
        (SEED, "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="),
    ],
)
def test_the_signature_is_that_of_the_example(secret: str, signature: str) -> None:
    assert signatures([key_of(secret)], *EXAMPLE) == signature


def test_the_public_key_is_told_for_receivers() -> None:
    assert (key_of(PRIVATE).public, key_of(SEED).public, key_of(SECRET).public) == (PUBLIC, PUBLIC, None)


def verified_by_node(key: str, header: str, body: bytes, *, identifier: str = "evt_1", at: int = 1_800_000_000) -> bool:
    headers = {"webhook-id": identifier, "webhook-timestamp": str(at), "webhook-signature": header}
    question = json.dumps({"key": key, "headers": headers, "body": body.decode()})
    assert NODE is not None
    done = subprocess.run([NODE, VERIFIER], input=question, check=True, capture_output=True, text=True, timeout=30)
    return bool(json.loads(done.stdout))


@pytest.mark.skipif(NODE is None, reason="needs node (Debian: nodejs)")
@pytest.mark.parametrize(
    ("signing", "verifying", "accepted"),
    [
        ([SECRET], SECRET, True),
        ([SEED], PUBLIC, True),
        ([OTHER_SECRET, SECRET, PRIVATE], SECRET, True),
        ([OTHER_SECRET, SECRET, PRIVATE], PUBLIC, True),
        ([OTHER_SECRET], SECRET, False),
        ([SECRET], PUBLIC, False),
    ],
)
def test_node_verifies_with_whichever_key_it_has(signing: list[str], verifying: str, accepted: bool) -> None:  # noqa: FBT001 - a column
    header = signatures([key_of(secret) for secret in signing], "evt_1", 1_800_000_000, BODY)
    assert verified_by_node(verifying, header, BODY) is accepted
    assert not verified_by_node(verifying, header, BODY + b" ")


def test_the_public_library_finds_its_signature_among_those_of_other_versions() -> None:
    import time  # noqa: PLC0415 - the library looks at the clock

    now = int(time.time())
    header = signatures([key_of(secret) for secret in (PRIVATE, OTHER_SECRET, SECRET)], "evt_1", now, b"{}")
    assert [one.partition(",")[0] for one in header.split(" ")] == ["v1a", "v1", "v1"]
    headers = {"webhook-id": "evt_1", "webhook-timestamp": str(now), "webhook-signature": header}
    assert Webhook(SECRET).verify(b"{}", headers) == {}


@pytest.mark.parametrize(
    ("secret", "told"),
    [
        ("hunter2-hunter2", "is no webhook secret"),
        ("whsec_***", "is no webhook secret"),
        ("whsec_" + base64.b64encode(b"short").decode(), "is no webhook secret"),
        ("whsk_" + base64.b64encode(b"x" * 31).decode(), "is no ed25519 private key"),
        ("whsk_" + base64.b64encode(b"x" * 64).decode(), "is no ed25519 private key"),
        (PUBLIC, "is a public key"),
    ],
)
def test_what_is_no_key_is_refused_without_being_told(secret: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        key_of(secret)
    assert secret[6:] not in str(caught.value)
