-- ARGV: milliseconds. Forget the group if nobody used it for that long.
local used = tonumber(redis.call('ZSCORE', groups, group) or '')
if not used then return 0 end
if used > now + DAY then redis.call('ZADD', groups, now, group) end
if used > now - tonumber(ARGV[4]) then return 0 end
redis.call('ZREM', groups, group)
redis.call('UNLINK', state, index, times)
return 1
