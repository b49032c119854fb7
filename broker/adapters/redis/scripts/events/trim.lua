-- KEYS: log. ARGV: milliseconds and number of entries kept.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('XTRIM', KEYS[1], 'MAXLEN', ARGV[2])
redis.call('XTRIM', KEYS[1], 'MINID', string.format('%.0f', math.max(now - ARGV[1], 0)))
