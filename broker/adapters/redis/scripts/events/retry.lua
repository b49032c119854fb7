-- ARGV: places. Return how many were dead.
expire_members()
local count = 0
for position = 4, #ARGV do
  local place = ARGV[position]
  local found = entry(place)
  if found and drop('d' .. place) then
    redis.call('HDEL', state, 'tries:' .. place)
    add('o' .. place .. found.corp)
    change(found.corp, function() add('w' .. named(found.corp) .. place) end)
    count = count + 1
  end
end
publish_if(count > 0 or freed)
return count
