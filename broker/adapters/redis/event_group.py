"""What one group has done with the event log, as its scripts in Redis see it.

A group is three keys. `state` is a hash: how far the group has looked ("place", "number"), who owns a corp
("owner:<corp>"), what a member asks for ("terms:<member>"), the tries of an entry ("tries:<place>").
`times` orders members by when they are gone ("a<member>") and when they lose what they hold ("d<member>").
`index` is a set ordered as text, so that each question is one range of it; names in it are written with
their length, so that none is the beginning of another:

    o<place><corp>            open: looked at and not handled
    w<corp>:<place>           waiting: open, and held by nobody
    h<member>:<corp>:<place>  held
    r<owner>:<place><corp>    ready: a corp that has something waiting, who may have it ("" = anybody),
                              and the place of the first of it
    d<place>                  dead
    s<place>                  skip: acknowledged before the group looked at it
"""

# Begins all scripts of a group. What a call does is bounded by WORK and by what members hold.
GROUP = """
local log, head, groups, state, index, times = unpack(KEYS)
local group, channel, notice = unpack(ARGV, 1, 3)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local WORK, EXPIRED = 500, 8
local freed, unfinished, late = false, false, {}

local function add(item) redis.call('ZADD', index, 0, item) end
local function drop(item) return redis.call('ZREM', index, item) == 1 end
local function between(first, last, count)
  return redis.call('ZRANGEBYLEX', index, '[' .. first, '(' .. last, 'LIMIT', 0, count)
end
local function how_many(first, last)
  return redis.call('ZLEXCOUNT', index, '[' .. first, '(' .. last)
end
local function named(name) return #name .. ':' .. name .. ':' end
local function after(prefix) return prefix:sub(1, -2) .. ';' end
local function begun_with(prefix, count) return between(prefix, after(prefix), count) end
local function held_count(member)
  local mine = 'h' .. named(member)
  return how_many(mine, after(mine))
end

local function read(id, fields)
  local ms, turn = id:match('(%d+)-(%d+)')
  return {place = string.format('%013.0f-%06.0f', ms, turn), corp = fields[2], kind = fields[4],
          payload = fields[6], number = tonumber(fields[8])}
end
local function entries(first, count)
  local found = redis.call('XRANGE', log, first, '+', 'COUNT', count)
  for position, entry in ipairs(found) do found[position] = read(entry[1], entry[2]) end
  return found
end
local function entry(place)
  local found = redis.call('XRANGE', log, place, place)[1]
  return found and read(found[1], found[2])
end
local oldest = entries('-', 1)[1]
local floor = oldest and oldest.place or '~'

local function owner(corp) return redis.call('HGET', state, 'owner:' .. corp) or '' end
local function first_of(owner) return begun_with('r' .. named(owner), 1)[1] end

local function listing(corp, owner)
  local first = begun_with('w' .. named(corp), 1)[1]
  return first and 'r' .. named(owner) .. first:sub(-20) .. corp
end
-- Changes what is waiting of a corp, or who owns it, and keeps its place among the ready ones right.
local function change(corp, how)
  local owner_before = owner(corp)
  local before = listing(corp, owner_before)
  how()
  local owner_after = owner(corp)
  local now_listed = listing(corp, owner_after)
  if before == now_listed then return end
  if before then drop(before) end
  if now_listed then add(now_listed) end
  if now_listed and owner_after == '' and owner_before ~= '' then freed = true end
end

local function let_go(member, corp, place)
  drop('h' .. named(member) .. named(corp) .. place)
  if #begun_with('h' .. named(member) .. named(corp), 1) == 0 then
    redis.call('HDEL', state, 'owner:' .. corp)
  end
  if held_count(member) == 0 then redis.call('ZREM', times, 'd' .. member) end
end

-- The entry is handled, or not kept any more. Tells whether it was open, and who held it.
local function settle(corp, place)
  if not drop('o' .. place .. corp) then return false end
  local holder
  redis.call('HDEL', state, 'tries:' .. place)
  change(corp, function()
    if drop('w' .. named(corp) .. place) then return end
    holder = owner(corp)
    let_go(holder, corp, place)
  end)
  return true, holder
end

local function terms(member)
  local found = redis.call('HGET', state, 'terms:' .. member)
  local ack_timeout, max_tries, room = found:match('(%d+) (%d+) (%d+)')
  return tonumber(ack_timeout), tonumber(max_tries), tonumber(room)
end
local function forget(member)
  redis.call('HDEL', state, 'terms:' .. member)
  redis.call('ZREM', times, 'a' .. member, 'd' .. member)
end

-- Promises 5 and 7: the oldest that it held spends a try, or nothing does. Returns how much it held.
local function lose(member, spends)
  local mine, first = 'h' .. named(member), nil
  local held = begun_with(mine, 1000000)
  for _, item in ipairs(held) do
    local place, corp = item:sub(-20), item:sub(#mine + 1):match('^%d+:(.*)$'):sub(1, -22)
    if place < floor then
      settle(corp, place)
    else
      change(corp, function()
        let_go(member, corp, place)
        add('w' .. named(corp) .. place)
      end)
      if not first or place < first.place then first = {place = place, corp = corp} end
    end
  end
  redis.call('ZREM', times, 'd' .. member)
  if first and spends then
    local tries = redis.call('HINCRBY', state, 'tries:' .. first.place, 1)
    local _, max_tries = terms(member)
    if tries >= max_tries then
      drop('o' .. first.place .. first.corp)
      add('d' .. first.place)
      change(first.corp, function() drop('w' .. named(first.corp) .. first.place) end)
    end
  end
  return #held
end

-- Promises 5 and 6: what came first counts.
local function look_at_the_clock(member)
  local gone = tonumber(redis.call('ZSCORE', times, 'a' .. member) or 'inf')
  local loses = tonumber(redis.call('ZSCORE', times, 'd' .. member) or 'inf')
  if loses <= now and loses < gone then
    lose(member, true)
    late[member] = true
  end
  if gone <= now then
    lose(member, false)
    forget(member)
  end
end

-- Promise 10.
local trimmed = between('o', 'o' .. floor, WORK)
for _, item in ipairs(trimmed) do settle(item:sub(22), item:sub(2, 21)) end
unfinished = #trimmed == WORK
for _, letter in ipairs({'d', 's'}) do
  for _, item in ipairs(between(letter, letter .. floor, WORK)) do
    drop(item)
    redis.call('HDEL', state, 'tries:' .. item:sub(2))
  end
end

local function expire()
  local due = redis.call('ZRANGEBYSCORE', times, '-inf', now, 'LIMIT', 0, EXPIRED)
  for _, item in ipairs(due) do look_at_the_clock(item:sub(2)) end
  if #due == EXPIRED then unfinished = true end
end
local function tell(told) if told then redis.call('PUBLISH', channel, notice) end end
local function tell_freed() tell(freed and first_of('')) end
"""
