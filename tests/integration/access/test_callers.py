"""Who calls, and what each may: by client certificate and by bearer token, over TLS; default deny."""

from pathlib import Path

import grpc
import grpc.aio
import pytest
from wecom_broker import Broker, Tls, errors
from wecom_broker.v1 import token_service_pb2 as pb

from broker.simulator.demo import PARENT
from tests.integration.access.doors import (
    BEARER,
    BY_DNS,
    BY_SPIFFE,
    BY_TOKEN,
    DENIED,
    MAIL,
    ORDERS,
    UNKNOWN,
    door,
    said,
)
from tests.kit.processes.certificates import Authority
from tests.kit.processes.fleet import child, refused, target


async def test_a_spiffe_id_and_a_dns_name_are_known_and_get_what_they_may(tmp_path: Path) -> None:
    async with door(tmp_path, [BY_SPIFFE, BY_DNS]) as tls:
        orders, mail = tls.authority.sign(uri=ORDERS), tls.authority.sign(dns=MAIL)
        async with tls.enter(orders) as replica:
            assert child(1) == (await replica.token(child(1))).corp_id
            assert PARENT.corpid == (await replica.token()).corp_id
            assert (await replica.refresh(child(1))).credential.generation
            assert DENIED == said(await refused(replica.all_shares())), "share.read is not allowed"
        async with tls.enter(mail) as replica:
            assert PARENT.corpid == (await replica.token()).corp_id, "the app's own corp, without its id"
            assert PARENT.corpid == (await replica.token(PARENT.corpid)).corp_id
            denied = await refused(replica.token(child(1)))
            assert DENIED == said(denied), "it is in memory, and not for this caller"
            assert "mail" == denied.metadata["caller"]
            assert "token.get" == denied.metadata["action"]
            watch = replica.tokens.WatchAccessToken(pb.WatchAccessTokenRequest(target=target(child(1))))
            assert DENIED == said(await refused(watch.read()))
            assert DENIED == said(await refused(replica.report(await replica.token())))


async def test_a_certificate_without_a_known_name_is_nobody_and_a_strange_one_gets_no_connection(
    tmp_path: Path,
) -> None:
    async with door(tmp_path, [BY_SPIFFE, BY_DNS]) as tls:
        async with tls.enter(tls.authority.sign(uri="spiffe://example.org/others", dns="x.svc")) as replica:
            assert UNKNOWN == said(await refused(replica.token()))
            assert await replica.serving(), "health is for everybody who can connect"
        strange = Authority("another CA").sign(uri=ORDERS)
        for pair in (strange, None):
            async with tls.enter(pair) as replica:
                assert grpc.StatusCode.UNAVAILABLE == (await refused(replica.token(timeout=5))).code


async def test_bearer_tokens_are_compared_and_get_what_they_may(tmp_path: Path) -> None:
    async with door(tmp_path, [BY_TOKEN]) as tls:
        async with tls.enter(bearer=BEARER) as replica:
            assert child(1) == (await replica.token(child(1))).corp_id
            assert DENIED == said(await refused(replica.all_shares())), "the list is of all children"
            assert DENIED == said(await refused(replica.token(child(2))))
            assert DENIED == said(await refused(replica.token())), (
                "the parent's own token is not among the corps"
            )
            assert DENIED == said(await refused(replica.refresh(child(1))))
        for wrong in (BEARER.upper(), BEARER + "x", "x"):
            async with tls.enter(bearer=wrong) as replica:
                assert UNKNOWN == said(await refused(replica.token(child(1)))), "also for what is in memory"
        async with tls.enter() as replica:
            assert UNKNOWN == said(await refused(replica.token(child(1))))
            assert await replica.serving()


async def test_who_may_see_few_corps_learns_the_field_of_a_malformed_one(tmp_path: Path) -> None:
    async with door(tmp_path, [BY_TOKEN]) as tls, tls.enter(bearer=BEARER) as replica:
        refusal = await refused(replica.token("x" * 1_000_000))

    assert ("INVALID_REQUEST", "target.corp_id") == (refusal.reason, refusal.metadata.get("field"))


async def test_certificates_and_bearer_tokens_may_be_mixed(tmp_path: Path) -> None:
    async with door(tmp_path, [BY_SPIFFE, BY_TOKEN]) as tls:
        async with tls.enter(tls.authority.sign(uri=ORDERS)) as replica:
            assert child(1) == (await replica.token(child(1))).corp_id
        async with tls.enter(tls.authority.sign(dns="gateway.svc"), bearer=BEARER) as replica:
            assert child(1) == (await replica.token(child(1))).corp_id
            assert DENIED == said(await refused(replica.token(child(2))))


async def test_the_client_comes_with_its_certificate_or_its_token(tmp_path: Path) -> None:
    async with door(tmp_path, [BY_SPIFFE]) as tls:
        pair = tls.authority.sign(uri=ORDERS)
        known = Tls(ca=tls.authority.pem, certificate=pair.certificate, private_key=pair.private_key)
        async with Broker(tls.address, tls=known) as client:
            assert child(1) == (await client.access_token("crm", corp=child(1))).corp_id


async def test_the_client_is_told_what_it_may_not(tmp_path: Path) -> None:
    async with door(tmp_path, [BY_TOKEN]) as tls:
        async with Broker(tls.address, tls=Tls(ca=tls.authority.pem), token=BEARER) as client:
            assert child(1) == (await client.access_token("crm", corp=child(1))).corp_id
            with pytest.raises(errors.CallerNotAllowed):
                await client.access_token("crm")
        async with Broker(tls.address, tls=Tls(ca=tls.authority.pem), token="wrong") as client:
            with pytest.raises(errors.Unauthenticated):
                await client.access_token("crm", corp=child(1))
