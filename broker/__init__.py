"""wecom-broker: the one place that talks to WeCom (企业微信) for a fleet of services.

A request flows inwards: server → usecases → ports (domain) → adapters. `app` builds it all.
"""

__version__ = "0.1.0"
