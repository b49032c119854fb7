-- KEYS: counter. ARGV: milliseconds of the window, which opens at the first count.
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return count
