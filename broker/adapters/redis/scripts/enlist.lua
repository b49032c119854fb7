-- KEYS: group. ARGV: name, when it ends in milliseconds. The group ends with its last name.
-- No broker lets a name end after the year 9999: an end beyond that gives way to the last one that there is.
local LATEST, MOST = '253402300799999', 1000
local endless = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. LATEST, '+inf', 'LIMIT', 0, MOST)
for _, name in ipairs(endless) do redis.call('ZADD', KEYS[1], LATEST, name) end
local ends = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or '-1')
if ends < tonumber(ARGV[2]) then redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1]) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ended = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, MOST)
for _, name in ipairs(ended) do redis.call('ZREM', KEYS[1], name) end
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
if last[2] then
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.min(tonumber(last[2]), tonumber(LATEST))))
end
