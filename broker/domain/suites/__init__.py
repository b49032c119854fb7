"""Third-party suites (第三方应用), 代开发 templates, and the corps that authorised them."""
