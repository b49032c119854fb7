-- ARGV: the place to begin with.
local found = entries(ARGV[4], 1)[1]
redis.call('UNLINK', state, index, times)
if found then
  local ms, turn = tonumber(found.place:sub(1, 13)), tonumber(found.place:sub(15))
  if turn == 0 then ms, turn = ms - 1, 999999 else turn = turn - 1 end
  local before = string.format('%013.0f-%06.0f', ms, turn)
  redis.call('HSET', state, 'place', before, 'number', string.format('%.0f', math.max(0, found.number - 1)))
else
  local newest, number = unpack(redis.call('HMGET', head, 'place', 'number'))
  redis.call('HSET', state, 'place', is_place(newest) and newest or '0-0', 'number', string.format('%.0f', whole(number)))
end
redis.call('ZADD', groups, 'NX', now, group)
publish_if(true)
