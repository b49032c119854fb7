"""The fields of a callback of a suite or a provider."""

from broker.simulator import demo
from broker.simulator.control.form import ControlMistake, Form
from broker.simulator.crypto import CallbackKeys
from broker.simulator.world.events.callback import Callback, Format


def callback_of(form: Form) -> Callback:
    """Read where events go, and how; the keys default to the demo's."""
    token = form.text("token", demo.CALLBACK_TOKEN)
    aes_key = form.text("aes_key", demo.CALLBACK_AES_KEY)
    try:
        keys = CallbackKeys(token, aes_key)
    except ValueError as mistake:
        raise ControlMistake("aes_key", str(mistake)) from None
    try:
        return Callback(
            form.text("url"),
            keys,
            body_format=form.choice("format", Format, Format.XML),
            sealed_anew=form.flag("sealed_anew", True),
            within_seconds=form.number("within_seconds", 5),
            retries=form.integer("retries", 3),
            pause_seconds=form.number("pause_seconds", 0),
        )
    except ValueError as mistake:
        raise ControlMistake("url", str(mistake)) from None
