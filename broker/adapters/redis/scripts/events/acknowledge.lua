-- ARGV: places. Return how many were open or dead.
expire_members()
if not redis.call('ZSCORE', groups, group) then return 0 end
local cursor = redis.call('HGET', state, 'place')
cursor = is_place(cursor) and cursor or '0-0'
local count, handled_by = 0, {}
for position = 4, #ARGV do
  local place = ARGV[position]
  local found = entry(place)
  if found then
    local was_open, holder = settle(found.corp, place)
    if was_open then
      if holder then handled_by[holder] = (handled_by[holder] or 0) + 1 end
    elseif drop('d' .. place) then
      was_open = true
      forget_counts(place)
    elseif place > cursor then
      was_open = redis.call('ZADD', index, 0, 's' .. place) == 1
    end
    if was_open then count = count + 1 end
  end
end
local newest = redis.call('HGET', head, 'place') or ''
local through = false
for member, handled in pairs(handled_by) do
  local ack_timeout, _, room = terms(member)
  local held = held_count(member)
  if held > 0 then redis.call('ZADD', times, now + ack_timeout, 'd' .. member) end
  -- Publish once half of the room is free: each acknowledgement would wake all members thousands of times.
  local half = math.floor(room / 2)
  if held <= half and held + handled > half then
    through = through or newest > cursor or first_ready(member) or first_ready('')
  end
end
publish_if(through or freed and first_ready(''))
return count
