"""What WeCom sends to an app's callback URL (回调): the messages, their envelopes, and how they are sent."""
