-- ARGV: member, whether that costs a try (yes, no), places that never reached its subscriber.
-- Return how many it held.
expire_members()
local member = ARGV[4]
if redis.call('HEXISTS', state, 'terms:' .. member) == 0 then
  publish_if_freed()
  return 0
end
local unseen = {}
for position = 6, #ARGV do unseen[ARGV[position]] = true end
local held = lose(member, ARGV[5] == 'yes', unseen)
forget(member)
publish_if(held > 0 or freed)
return held
