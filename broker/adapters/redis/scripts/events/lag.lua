-- Return how many entries are open, how many dead, the time of the oldest open one in milliseconds, its place
-- and tries where they are known, and how many members there are.
expire_members()
publish_if_freed()
mend_owners()
local place, number, newest = progress()
local unseen = oldest and math.max(0, newest - math.max(number, oldest.number - 1)) or 0
local skipped = count_between('s' .. floor, 't')
local open = math.max(0, count_between('o' .. floor, 'p') + unseen - skipped)
local first = between('o' .. floor, 'p', 1)[1]
if first and not is_place(first:sub(2, 21)) then
  drop(first)
  first = nil
end
local stuck = first and first:sub(2, 21)
local looked = 0
while not stuck and open > 0 and looked < WORK do
  local page = entries('(' .. place, 100)
  if #page == 0 then break end
  for _, found in ipairs(page) do
    place, looked = found.place, looked + 1
    if not redis.call('ZSCORE', index, 's' .. place) then
      stuck = place
      break
    end
  end
end
local since = stuck and stuck:sub(1, 13)
-- All these were acknowledged before the group looked at them: the oldest open one is not older.
if not since and looked > 0 and open > 0 then since = place:sub(1, 13) end
local tries = stuck and whole(redis.call('HGET', state, 'tries:' .. stuck)) or 0
return {open, count_between('d' .. floor, 'e'), since or '', stuck or '', tries, member_count()}
