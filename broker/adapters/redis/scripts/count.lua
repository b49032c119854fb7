-- KEYS: counter. ARGV: milliseconds of the window, which the first one opens.
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return count
