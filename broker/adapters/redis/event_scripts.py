"""What the event log does inside Redis: one script an operation, so that each is one step."""

# The entry comes before its key: what an error leaves half done must not be a key without an entry, as the
# repeat would then be taken for done.
APPEND = """
local log, head, seen = unpack(KEYS)
local once_in, age, count, corp, kind, payload, channel, word = unpack(ARGV, 1, 8)
if redis.call('EXISTS', seen) == 1 then return '' end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local newest, number = unpack(redis.call('HMGET', head, 'place', 'number'))
local ms, turn = now, 0
if newest and tonumber(newest:sub(1, 13)) >= now then
  ms, turn = tonumber(newest:sub(1, 13)), tonumber(newest:sub(15)) + 1
  if turn > 999999 then ms, turn = ms + 1, 0 end
end
local place = string.format('%013.0f-%06.0f', ms, turn)
number = string.format('%.0f', (tonumber(number) or 0) + 1)
redis.call('XADD', log, place, 'corp', corp, 'type', kind, 'payload', payload, 'number', number)
redis.call('HSET', head, 'place', place, 'number', number)
redis.call('SET', seen, place, 'PX', once_in)
redis.call('XTRIM', log, 'MAXLEN', count)
redis.call('XTRIM', log, 'MINID', string.format('%.0f', math.max(now - age, 0)))
for position = 9, #ARGV do
  redis.call('PUBLISH', channel, string.format('%s %.0f %s', word, ms, ARGV[position]))
end
return place
"""

OPEN = """
local function owner_of(name) return name:match('^(.*)/') or '' end
if redis.call('ZSCORE', groups, group) then return 1 end
local others = 0
for _, name in ipairs(redis.call('ZRANGE', groups, 0, -1)) do
  if owner_of(name) == owner_of(group) then others = others + 1 end
end
if others >= tonumber(ARGV[4]) then return 0 end
redis.call('ZADD', groups, now, group)
return 1
"""

TAKE = """
local member = ARGV[4]
local room, alive_for, ack_timeout, max_tries = unpack(ARGV, 5, 8)
local wanted, all = {}, #ARGV == 8
for position = 9, #ARGV do wanted[ARGV[position]] = true end

redis.call('ZADD', groups, now, group)
look_at_the_clock(member)
expire()
redis.call('HSET', state, 'terms:' .. member, ack_timeout .. ' ' .. max_tries .. ' ' .. room)
redis.call('ZADD', times, now + alive_for, 'a' .. member)
if late[member] then
  tell_freed()
  return {0}
end

local held, work, taken = held_count(member), WORK, {}
local free = room - held
local function give(found)
  if held == 0 and #taken == 0 then redis.call('ZADD', times, now + ack_timeout, 'd' .. member) end
  add('h' .. named(member) .. named(found.corp) .. found.place)
  redis.call('HSET', state, 'owner:' .. found.corp, member)
  local tries = redis.call('HGET', state, 'tries:' .. found.place) or '0'
  taken[#taken + 1] = {found.place, found.corp, found.kind, found.payload, tries}
  free = free - 1
end

-- What waits is older than what nobody has looked at; the corp with the oldest comes first.
local function ready_corp()
  local mine, anybodys = first_of(member), first_of('')
  mine = mine and mine:sub(#named(member) + 2)
  anybodys = anybodys and anybodys:sub(#named('') + 2)
  local first = mine and anybodys and (mine < anybodys and mine or anybodys) or mine or anybodys
  return first and first:sub(21)
end
local corp = ready_corp()
while corp and free > 0 and work > 0 do
  change(corp, function()
    for _, item in ipairs(begun_with('w' .. named(corp), math.min(free, work))) do
      local place = item:sub(-20)
      local found = entry(place)
      drop(item)
      work = work - 1
      if found and (all or wanted[found.kind]) then
        give(found)
      else
        drop('o' .. place .. corp)
        redis.call('HDEL', state, 'tries:' .. place)
      end
    end
  end)
  corp = ready_corp()
end

local place, number = unpack(redis.call('HMGET', state, 'place', 'number'))
place, number = place or '0-0', number or 0
local page
while free > 0 and work > 0 do
  page = entries('(' .. place, math.min(math.max(free, 16), work))
  for _, found in ipairs(page) do
    if free == 0 then break end
    place, number, work = found.place, found.number, work - 1
    if not drop('s' .. place) and (all or wanted[found.kind]) then
      local who = owner(found.corp)
      local waiting = #begun_with('w' .. named(found.corp), 1) > 0
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
tell_freed()
local more = free > 0 and (unfinished or work <= 0)
return {more and 1 or 0, unpack(taken)}
"""

# Who was busy may have more when half of its room is free, not at each acknowledgement: that would wake
# everybody thousands of times.
ACKNOWLEDGE = """
expire()
if not redis.call('ZSCORE', groups, group) then return 0 end
local cursor = redis.call('HGET', state, 'place') or '0-0'
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
      redis.call('HDEL', state, 'tries:' .. place)
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
  local half = math.floor(room / 2)
  if held <= half and held + handled > half then
    through = through or newest > cursor or first_of(member) or first_of('')
  end
end
tell(through or freed and first_of(''))
return count
"""

GIVE_UP = """
expire()
local count = 0
for position = 4, #ARGV do
  local place = ARGV[position]
  local found = entry(place)
  if found and settle(found.corp, place) then
    add('d' .. place)
    count = count + 1
  end
end
tell_freed()
return count
"""

RELEASE = """
expire()
local member = ARGV[4]
if redis.call('HEXISTS', state, 'terms:' .. member) == 0 then
  tell_freed()
  return 0
end
local held = lose(member, ARGV[5] == 'yes')
forget(member)
tell(held > 0 or freed)
return held
"""

REWIND = """
local found = entries(ARGV[4], 1)[1]
redis.call('UNLINK', state, index, times)
if found then
  local ms, turn = tonumber(found.place:sub(1, 13)), tonumber(found.place:sub(15))
  if turn == 0 then ms, turn = ms - 1, 999999 else turn = turn - 1 end
  local before = string.format('%013.0f-%06.0f', ms, turn)
  redis.call('HSET', state, 'place', before, 'number', string.format('%.0f', found.number - 1))
else
  local newest, number = unpack(redis.call('HMGET', head, 'place', 'number'))
  redis.call('HSET', state, 'place', newest or '0-0', 'number', number or 0)
end
redis.call('ZADD', groups, 'NX', now, group)
tell(true)
"""

DEAD = """
local after_place, limit = ARGV[4], tonumber(ARGV[5])
local found = {}
for _, item in ipairs(redis.call('ZRANGEBYLEX', index, '(d' .. after_place, '(e', 'LIMIT', 0, limit)) do
  local dead = entry(item:sub(2))
  if dead then found[#found + 1] = {dead.place, dead.corp, dead.kind, dead.payload} end
end
return found
"""

RETRY = """
expire()
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
tell(count > 0 or freed)
return count
"""

LAG = """
expire()
tell_freed()
local place, number = unpack(redis.call('HMGET', state, 'place', 'number'))
place, number = place or '0-0', tonumber(number or 0)
local newest = tonumber(redis.call('HGET', head, 'number') or 0)
local unseen = oldest and math.max(0, newest - math.max(number, oldest.number - 1)) or 0
local skipped = how_many('s' .. floor, 't')
local open = how_many('o' .. floor, 'p') + unseen - skipped
local first = between('o' .. floor, 'p', 1)[1]
local since = first and first:sub(2, 14)
local looked = 0
while not since and open > 0 and looked < WORK do
  local page = entries('(' .. place, 100)
  if #page == 0 then break end
  for _, found in ipairs(page) do
    place, looked = found.place, looked + 1
    if not redis.call('ZSCORE', index, 's' .. place) then
      since = place:sub(1, 13)
      break
    end
  end
end
-- So far all was acknowledged before anybody looked at it: the oldest is no older than that.
if not since and looked > 0 and open > 0 then since = place:sub(1, 13) end
return {open, how_many('d' .. floor, 'e'), since or ''}
"""

FORGET = """
local used = redis.call('ZSCORE', groups, group)
if not used or tonumber(used) > now - tonumber(ARGV[4]) then return 0 end
redis.call('ZREM', groups, group)
redis.call('UNLINK', state, index, times)
return 1
"""
