"""Callback envelopes and the messages inside them, as WeCom seals and writes them."""
