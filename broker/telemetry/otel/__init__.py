"""OpenTelemetry: only this package imports it, and this package is imported only where tracing is on."""
