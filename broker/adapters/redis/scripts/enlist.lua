-- KEYS: group. ARGV: name, when it ends in milliseconds. The group ends with its last name.
local ends = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or '-1')
if ends < tonumber(ARGV[2]) then redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1]) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ended = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
for _, name in ipairs(ended) do redis.call('ZREM', KEYS[1], name) end
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
if last[2] then redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last[2])) end
