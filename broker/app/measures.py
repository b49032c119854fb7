"""What of the metrics follows the configuration, and what is measured when they are shown."""

from collections import Counter
from collections.abc import Iterable

from broker.app.core import Core
from broker.app.reloading.settings import LiveSettings
from broker.domain.shares import ShareList
from broker.domain.suites.catalog import Catalog
from broker.server.grpc.entry.admission import Admission
from broker.telemetry import zeros
from broker.telemetry.metrics import Metrics
from broker.usecases.admin import COUNTED
from broker.usecases.refusals.causes import count_causes


def measure(metrics: Metrics, settings: LiveSettings, admission: Admission, core: Core) -> None:
    """Show from now on what is expected of the configuration, and measure before each scrape."""

    def expect() -> None:
        zeros.expect_callers(metrics, settings.policy.names())
        zeros.expect_callbacks(metrics, settings.callbacks)
        zeros.expect_suites(metrics, settings.catalog.suites)
        zeros.expect_shares(metrics, settings.callbacks.keys() & _shared(settings.catalog))

    def count_calls() -> None:
        admission.report(lambda caller, calls: metrics.caller_calls.labels(caller).inc(calls))

    def show_refusals() -> None:
        causes = count_causes(core.error_cache.all_active(), COUNTED)
        metrics.show(metrics.refusals, {tuple(cause): count for cause, count in causes.items()})

    def show_shares() -> None:
        metrics.show(metrics.app_shares, _by_kind(core.sharing.lists.all()))

    zeros.expect_endpoints(metrics, COUNTED)
    expect()
    settings.policy.on_change(expect)
    for update in (count_calls, show_refusals, show_shares):
        metrics.update_by(update)


def _shared(catalog: Catalog) -> set[str]:
    """Return what may be shared with children."""
    apps = {app.name for app in catalog.apps.values() if app.share_kinds}
    return apps | {suite.name for suite in catalog.suites.values() if suite.share_kinds}


def _by_kind(lists: Iterable[ShareList]) -> Counter[tuple[str, ...]]:
    """Return how many children an app has by each kind of share, whichever corps share it."""
    counts: Counter[tuple[str, ...]] = Counter()
    for listing in lists:
        counts[listing.app, listing.share_kind] += len(listing.shares)
    return counts
