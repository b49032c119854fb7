-- ARGV: the place to begin after, how many. Return dead entries.
local after_place, limit = ARGV[4], tonumber(ARGV[5])
local found = {}
for _, item in ipairs(redis.call('ZRANGEBYLEX', index, '(d' .. after_place, '(e', 'LIMIT', 0, limit)) do
  local dead = entry(item:sub(2))
  if dead then
    found[#found + 1] = {dead.place, dead.corp, dead.kind, dead.payload}
  else
    drop(item)
  end
end
return found
