from dataclasses import replace
from datetime import timedelta

import pytest

from support.x509 import (
    HOST_ID,
    OTHER_HOST_ID,
    YEAR,
    HostileLeaf,
    build_authority,
    build_host_template,
    build_user_template,
    der_to_pem,
)
from teleport.errors import TeleportError
from teleport.pki.keys import generate_private_key
from teleport.pki.profile import check_certificate
from teleport.pki.templates import Template
from teleport.resources.role import SystemRole

AUTHORITY = build_authority()
KEY = generate_private_key()
TEMPLATE = build_host_template(host_id=HOST_ID, dns_names=("a",), ip_addresses=("10.0.0.1",))
ISSUED = AUTHORITY.issue(TEMPLATE, KEY)


@pytest.mark.parametrize(
    "template", [TEMPLATE, build_user_template(), build_host_template(not_after=TEMPLATE.not_after + 100 * YEAR)]
)
def test_what_was_decided_may_leave(template: Template) -> None:
    check_certificate(AUTHORITY.issue(template, KEY), template, AUTHORITY.signer, KEY.public_key())


def test_fractions_of_a_second_are_no_difference() -> None:
    template = replace(TEMPLATE, not_before=TEMPLATE.not_before + timedelta(microseconds=5))
    check_certificate(AUTHORITY.issue(template, KEY), template, AUTHORITY.signer, KEY.public_key())


@pytest.mark.parametrize(
    ("template", "field"),
    [
        (replace(TEMPLATE, host_id=OTHER_HOST_ID), "subject"),
        (replace(TEMPLATE, role=SystemRole.AUTH), "subject"),
        (replace(TEMPLATE, dns_names=("a", "b")), "dns_names"),
        (replace(TEMPLATE, dns_names=()), "dns_names"),
        (replace(TEMPLATE, ip_addresses=()), "ip_addresses"),
        (replace(TEMPLATE, not_before=TEMPLATE.not_before + timedelta(seconds=1)), "not_before"),
        (replace(TEMPLATE, not_after=TEMPLATE.not_after - timedelta(seconds=1)), "not_after"),
        (build_user_template(), "is_server"),
    ],
)
def test_a_certificate_that_differs_from_its_template_stays(template: Template, field: str) -> None:
    with pytest.raises(TeleportError, match=field):
        check_certificate(ISSUED, template, AUTHORITY.signer, KEY.public_key())


def test_a_certificate_for_another_key_stays() -> None:
    with pytest.raises(TeleportError, match="public_key"):
        check_certificate(ISSUED, TEMPLATE, AUTHORITY.signer, generate_private_key().public_key())


def test_a_certificate_of_another_issuer_stays() -> None:
    with pytest.raises(TeleportError, match="issuer_key_id"):
        check_certificate(ISSUED, TEMPLATE, build_authority().signer, KEY.public_key())
    with pytest.raises(TeleportError, match="issuer, "):
        check_certificate(ISSUED, TEMPLATE, build_authority("other").signer, KEY.public_key())


def test_a_certificate_with_another_serial_number_stays() -> None:
    with pytest.raises(TeleportError, match="serial"):
        check_certificate(replace(ISSUED, serial=1), TEMPLATE, AUTHORITY.signer, KEY.public_key())


def test_a_ca_certificate_stays() -> None:
    der = HostileLeaf(ca=True).sign(AUTHORITY.pair, KEY)
    with pytest.raises(TeleportError, match="must not leave"):
        check_certificate(
            replace(ISSUED, pem=der_to_pem(der, "CERTIFICATE")), TEMPLATE, AUTHORITY.signer, KEY.public_key()
        )
