-- KEYS: log, head, seen. ARGV: milliseconds a key is remembered, milliseconds and number of entries kept,
-- corp, type, payload, channel, first word of the notice, names to notify. Return the place, "" for a repeat.
local log, head, seen = unpack(KEYS)
local once_in, age, count, corp, kind, payload, channel, word = unpack(ARGV, 1, 8)
if redis.call('EXISTS', seen) == 1 then return '' end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local newest, number = unpack(redis.call('HMGET', head, 'place', 'number'))
local ms, turn = now, 0
if newest and tonumber(newest:sub(1, 13)) >= now then
  ms, turn = tonumber(newest:sub(1, 13)), tonumber(newest:sub(15)) + 1
  if turn > 999999 then ms, turn = ms + 1, 0 end
end
local place = string.format('%013.0f-%06.0f', ms, turn)
number = string.format('%.0f', (tonumber(number) or 0) + 1)
-- The entry is written before its key: if the script failed in between, a key without an entry would make
-- a repeat look appended.
redis.call('XADD', log, place, 'corp', corp, 'type', kind, 'payload', payload, 'number', number)
redis.call('HSET', head, 'place', place, 'number', number)
redis.call('SET', seen, place, 'PX', once_in)
redis.call('XTRIM', log, 'MAXLEN', count)
redis.call('XTRIM', log, 'MINID', string.format('%.0f', math.max(now - age, 0)))
for position = 9, #ARGV do
  redis.call('PUBLISH', channel, string.format('%s %.0f %s', word, ms, ARGV[position]))
end
return place
