-- ARGV: milliseconds. Forget the group if nobody used it for that long.
local used = redis.call('ZSCORE', groups, group)
if not used or tonumber(used) > now - tonumber(ARGV[4]) then return 0 end
redis.call('ZREM', groups, group)
redis.call('UNLINK', state, index, times)
return 1
