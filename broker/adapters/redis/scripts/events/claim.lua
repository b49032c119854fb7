-- ARGV: member, room, alive_for, ack_timeout, max_tries, types wanted (none = all).
-- Return whether there may be more to claim at once, and the entries for the member.
local member = ARGV[4]
local room, alive_for, ack_timeout, max_tries = unpack(ARGV, 5, 8)
local wanted, all = {}, #ARGV == 8
for position = 9, #ARGV do wanted[ARGV[position]] = true end

redis.call('ZADD', groups, now, group)
check_deadlines(member)
expire_members()
redis.call('HSET', state, 'terms:' .. member, ack_timeout .. ' ' .. max_tries .. ' ' .. room)
redis.call('ZADD', times, now + alive_for, 'a' .. member)
if late[member] then
  publish_if_freed()
  return {0}
end

local held, work, taken = held_count(member), WORK, {}
local free = room - held
local function give(found)
  if held == 0 and #taken == 0 then redis.call('ZADD', times, now + ack_timeout, 'd' .. member) end
  add('h' .. named(member) .. named(found.corp) .. found.place)
  redis.call('HSET', state, 'owner:' .. found.corp, member)
  local tries, losses = unpack(redis.call('HMGET', state, 'tries:' .. found.place, 'losses:' .. found.place))
  taken[#taken + 1] = {found.place, found.corp, found.kind, found.payload, whole(tries), whole(losses)}
  free = free - 1
end

-- Waiting entries are older than new ones; the corp with the oldest waiting entry comes first.
-- An item that says anything else than the corp's own keys would be the first for ever.
local function first_corp(whose)
  while work > 0 do
    local item = first_ready(whose)
    local rest = item and item:sub(#named(whose) + 2)
    if not item or ready_item(rest:sub(21), owner(rest:sub(21))) == item then return rest end
    drop(item)
    work = work - 1
  end
end
local function ready_corp()
  local mine, anybodys = first_corp(member), first_corp('')
  local first = mine and anybodys and (mine < anybodys and mine or anybodys) or mine or anybodys
  return first and first:sub(21)
end
local corp = ready_corp()
while corp and free > 0 and work > 0 do
  change(corp, function()
    for _, item in ipairs(starting_with('w' .. named(corp), math.min(free, work))) do
      local place = item:sub(-20)
      local found = entry(place)
      drop(item)
      work = work - 1
      if found and (all or wanted[found.kind]) then
        give(found)
      else
        drop('o' .. place .. corp)
        forget_counts(place)
      end
    end
  end)
  corp = ready_corp()
end

local place, number, newest = progress()
local page
while free > 0 and work > 0 do
  page = entries('(' .. place, math.min(math.max(free, 16), work))
  for _, found in ipairs(page) do
    if free == 0 then break end
    place, number, work = found.place, math.max(number, math.min(found.number, newest)), work - 1
    if not drop('s' .. place) and (all or wanted[found.kind]) then
      local who = owner(found.corp)
      local waiting = #starting_with('w' .. named(found.corp), 1) > 0
      add('o' .. place .. found.corp)
      if waiting then
        add('w' .. named(found.corp) .. place)
      elseif who == '' or who == member then
        give(found)
      else
        change(found.corp, function() add('w' .. named(found.corp) .. place) end)
      end
    end
  end
  if #page == 0 then break end
end
redis.call('HSET', state, 'place', place, 'number', string.format('%.0f', number))
publish_if_freed()
local more = free > 0 and (unfinished or work <= 0)
return {more and 1 or 0, unpack(taken)}
