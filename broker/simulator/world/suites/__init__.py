"""Providers (服务商), their suites, and the corps that authorised them."""
