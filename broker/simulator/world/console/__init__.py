"""What happens in the provider's console (服务商后台) and in the corps that use its suites."""
