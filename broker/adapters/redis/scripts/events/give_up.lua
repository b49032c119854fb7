-- ARGV: places. Return how many were open.
expire_members()
local count = 0
for position = 4, #ARGV do
  local place = ARGV[position]
  local found = entry(place)
  if found and settle(found.corp, place) then
    add('d' .. place)
    count = count + 1
  end
end
publish_if_freed()
return count
