-- KEYS: lease, record. ARGV: owner, milliseconds, floor. Return {1, fence}, or {0, milliseconds left}.
-- The fence is at least the time in milliseconds: a Redis that lost its data issues larger ones than before.
-- It exceeds the record's too, or nothing could be committed under it.
-- Holders renew a lease long before it ends: one that ends later than two leases from now was not taken here.
local left = redis.call('PTTL', KEYS[1])
if left > 0 and left <= 2 * ARGV[2] then return {0, left} end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local issued = fence_in(KEYS[2], 'issued')
local written = fence_in(KEYS[2], 'fence')
local fence = math.max(issued + 1, written + 1, now, tonumber(ARGV[3]) + 1)
redis.call('HSET', KEYS[2], 'issued', string.format('%.0f', fence))
if redis.call('PTTL', KEYS[2]) < 0 then redis.call('PEXPIRE', KEYS[2], 86400000) end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {1, string.format('%.0f', fence)}
