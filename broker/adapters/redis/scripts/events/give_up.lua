-- ARGV: places. Return how many were open.
expire_members()
local count = 0
for position = 4, #ARGV do
  local place = ARGV[position]
  local found = entry(place)
  local losses = redis.call('HGET', state, 'losses:' .. place)
  if found and settle(found.corp, place) then
    add('d' .. place)
    if losses then redis.call('HSET', state, 'losses:' .. place, losses) end
    count = count + 1
  end
end
publish_if_freed()
return count
