"""How requests describe a callback, and answers the verification of its URL."""

from broker.simulator import demo
from broker.simulator.answers import Answer
from broker.simulator.callbacks.client import Verification
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


def verified(verification: Verification) -> Answer:
    """Show whether the URL passed, and what it answered."""
    attempt = verification.attempt
    return {
        "passed": verification.passed,
        "status": attempt.status,
        "body": attempt.body,
        "error": attempt.error,
        "seconds": attempt.seconds,
    }
