"""`wecom-broker suites`: which corps authorised a suite, links that install it, and backups."""
