-- KEYS: counter. ARGV: milliseconds of the window, which opens at the first count.
-- A counter that no broker wrote (another form, or a window that lasts far longer) begins anew.
local held, left = redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])
if held and (not held:match('^%d+$') or #held > 15 or left < 0 or left > 2 * ARGV[1] + 60000) then
  redis.call('DEL', KEYS[1])
end
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return count
