-- KEYS: log, head, seen. ARGV: milliseconds a key is remembered, milliseconds and number of entries kept,
-- corp, type, payload, channel, first word of the notice, names to notify. Return the place, "" for a repeat.
local log, head, seen = unpack(KEYS)
local once_in, age, count, corp, kind, payload, channel, word = unpack(ARGV, 1, 8)
if redis.call('EXISTS', seen) == 1 then return '' end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local newest, number = unpack(redis.call('HMGET', head, 'place', 'number'))
local ms, turn = now, 0
-- What is no place of ours, or a day ahead, is forged: the log would take nothing more after it.
local function of_ours(place) return place:match('^%d%d%d%d%d%d%d%d%d%d%d%d%d%-%d%d%d%d%d%d$')
  and tonumber(place:sub(1, 13)) <= now + 86400000 end
if newest and not of_ours(newest) then newest = nil end
if newest and tonumber(newest:sub(1, 13)) >= now then
  ms, turn = tonumber(newest:sub(1, 13)), tonumber(newest:sub(15)) + 1
  if turn > 999999 then ms, turn = ms + 1, 0 end
end
local place = string.format('%013.0f-%06.0f', ms, turn)
-- What is no number of ours is taken from the last entry: groups count their lag by it.
local function whole(text) return text and #text <= 15 and text:match('^%d+$') and tonumber(text) end
local function number_of(entry)
  for position = 1, entry and #entry[2] or 0, 2 do
    if entry[2][position] == 'number' then return whole(entry[2][position + 1]) end
  end
end
number = whole(number) or number_of(redis.pcall('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]) or 0
number = string.format('%.0f', number + 1)
-- The entry is written before its key: if the script failed in between, a key without an entry would make
-- a repeat look appended.
local function add()
  return redis.pcall('XADD', log, place, 'corp', corp, 'type', kind, 'payload', payload, 'number', number)
end
local function add_behind_the_top()
  local top = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  local top_ms = top and tonumber(top[1]:match('^%d+')) or 0
  place = string.format('%013.0f-%06.0f', math.max(ms, math.min(top_ms + 1, now + 86400000)), 0)
  return add()
end
-- Without what is a day ahead: behind such an entry nothing can be appended, not even once it is deleted.
local function write_the_stream_anew()
  local copy, ends = log .. ':copy', string.format('(%.0f', now + 86400000)
  local page = redis.call('XRANGE', log, '-', ends, 'COUNT', 500)
  redis.call('UNLINK', copy)
  while page[1] do
    for _, one in ipairs(page) do redis.call('XADD', copy, one[1], unpack(one[2])) end
    page = redis.call('XRANGE', log, '(' .. page[#page][1], ends, 'COUNT', 500)
  end
  redis.call('UNLINK', log)
  if redis.call('EXISTS', copy) == 1 then redis.call('RENAME', copy, log) end
end
local added = add()
if added.err and (added.err:find('top item') or added.err:find('exhausted')) then
  -- Somebody else added an entry.
  added = add_behind_the_top()
  if added.err then
    write_the_stream_anew()
    added = add_behind_the_top()
  end
end
if added.err then return added end
redis.call('HSET', head, 'place', place, 'number', number)
redis.call('SET', seen, place, 'PX', once_in)
redis.call('XTRIM', log, 'MAXLEN', count)
redis.call('XTRIM', log, 'MINID', string.format('%.0f', math.max(now - age, 0)))
for position = 9, #ARGV do
  redis.call('PUBLISH', channel, string.format('%s %.0f %s', word, tonumber(place:sub(1, 13)), ARGV[position]))
end
return place
