"""What each request passes on its way in: limits and rules; and the streams that stay open."""
