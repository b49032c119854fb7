-- KEYS: keys of one slot. ARGV: the type that each should have. Remove what is of another type, and return it.
local wrong = {}
for position, key in ipairs(KEYS) do
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= ARGV[position] then
    redis.call('UNLINK', key)
    wrong[#wrong + 1] = key .. ' was a ' .. found
  end
end
return wrong
