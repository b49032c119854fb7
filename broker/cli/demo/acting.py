"""The second half of `demo`: what services do on behalf of a corp."""

from urllib.parse import urlencode

import aiohttp
import click
from wecom_broker import Broker, Signature, UserKind

from broker.cli.demo.playground import APP, Playground
from broker.cli.demo.steps import expect, say
from broker.simulator.demo import PARENT

PAGE = "https://crm.example.com/orders/4711?tab=payments"
MEMBER = "lisi"


async def walk(running: Playground, broker: Broker, child: str) -> None:
    """Sign a page, log a visitor and a mini-program user in, and call WeCom: all as the child."""
    say(f"6. A page of {child} needs wx.config and wx.agentConfig signatures")
    signed = await broker.sign_page(APP, PAGE + "#/details", corp=child)
    agent = signed.agent_config
    click.echo(f"   config       {signed.config.signature}  nonce {signed.config.nonce_str[:8]}…")
    click.echo(f"   agentConfig  {agent.signature}  agent {agent.agent_id}")
    for kind, signature in (("corp", signed.config), ("agent", agent)):
        verdict = await checked(running, kind, signature, agent.agent_id, PAGE)
        click.echo(f"   WeCom's page says of the {kind} signature: {verdict}")
        expect("OK" in verdict, f"WeCom takes the {kind} signature")

    say(f"7. A member of {child} follows the link of the app, which names the parent {PARENT.corpid}")
    link = await broker.authorize_url(APP, "https://crm.example.com/signed-in")
    click.echo(f"   {link.url[:100]}…")
    user = await broker.user_from_code(APP, running.world.people.login_code(child, MEMBER))
    click.echo(f"   the code belongs to {user.user_id} of {user.corp_id}")
    expected = (child, MEMBER, UserKind.CHILD_MEMBER)
    expect(expected == (user.corp_id, user.user_id, user.kind), "the child's member is known as such")

    say("8. The same member opens the mini-program; the session_key stays in the broker")
    session = await broker.mini_program_login(APP, running.world.people.js_code(child, MEMBER))
    click.echo(f"   session {session.session_id[:4]}… of {session.user_id} in {session.corp_id}")
    data, iv = running.world.people.encrypt_data(child, MEMBER, {"phoneNumber": "13800000000"})
    plaintext = await broker.decrypt_data(session, data, iv)
    click.echo(f"   decrypted: {plaintext.decode()}")
    expect(
        session.converted and b"13800000000" in plaintext, "the child's session decrypts what the child sent"
    )

    say("9. Reading the member: with the parent's token WeCom refuses, with the child's it answers")
    for corp in ("", child):
        answer = await broker.call(APP, "/cgi-bin/user/get", corp=corp, query={"userid": MEMBER})
        found = answer.json().get("name", "") if answer.errcode == 0 else "refused"
        click.echo(f"   as {corp or PARENT.corpid:24} errcode {answer.errcode}  {found}")
        expect((answer.errcode == 0) == bool(corp), "only the child's token reads the child's member")


async def checked(running: Playground, kind: str, signature: Signature, agent_id: int, url: str) -> str:
    """Have the simulated WeCom recompute a signature, as its page does in a browser; return its verdict."""
    query = {
        "corp": signature.corp_id,
        "agentid": agent_id,
        "timestamp": signature.timestamp,
        "nonceStr": signature.nonce_str,
        "signature": signature.signature,
        "kind": kind,
        "url": url,
    }
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{running.wecom_url}/page?{urlencode(query)}") as response,
    ):
        text = await response.text()
    return "OK" if "OK" in text else "refused"
