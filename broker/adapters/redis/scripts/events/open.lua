-- ARGV: how many groups one owner may have. Return 0 for one too many.
local function owner_of(name) return name:match('^(.*)/') or '' end
if redis.call('ZSCORE', groups, group) then return 1 end
local others = 0
for _, name in ipairs(redis.call('ZRANGE', groups, 0, -1)) do
  if owner_of(name) == owner_of(group) then others = others + 1 end
end
if others >= tonumber(ARGV[4]) then return 0 end
redis.call('ZADD', groups, now, group)
return 1
