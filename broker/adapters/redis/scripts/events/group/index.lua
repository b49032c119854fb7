-- One group's progress in the log of an app, in three keys. `state` is a hash: how far the group has looked
-- ("place", "number"), who owns a corp ("owner:<corp>"), what a member asks for ("terms:<member>"), the tries
-- of an entry ("tries:<place>"), and how often it was handed out in vain ("losses:<place>"). `times` orders
-- members by when they count as gone ("a<member>") and by when they lose what they hold ("d<member>").
-- `index` is a set ordered as text, so that each query is one range of it; names in it are written with their
-- length, so that none is a prefix of another:
--
--   o<place><corp>            open: looked at and not handled
--   w<corp>:<place>           waiting: open, and held by nobody
--   h<member>:<corp>:<place>  held
--   r<owner>:<place><corp>    ready: a corp that has something waiting, who may have it ("" = anybody),
--                             and the place of the first of it
--   d<place>                  dead
--   s<place>                  skip: acknowledged before the group looked at it
local log, head, groups, state, index, times = unpack(KEYS)
local group, channel, notice = unpack(ARGV, 1, 3)

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- A call looks at this many entries and expires this many members at most, and the caller calls again for
-- the rest: Redis serves nobody else while a script runs.
local WORK, EXPIRED = 500, 8
local DAY = 86400000

-- Whoever writes to Redis may put anything here: what no broker wrote is dropped where it is met.
local function is_place(text)
  return text and text:match('^%d%d%d%d%d%d%d%d%d%d%d%d%d%-%d%d%d%d%d%d$')
end
-- Return the number, 0 for anything else.
local function whole(text) return text and #text <= 15 and text:match('^%d+$') and tonumber(text) or 0 end
local function add_one(field)
  local found = redis.call('HGET', state, field)
  if found and (#found > 15 or not found:match('^%d+$')) then redis.call('HDEL', state, field) end
  return redis.call('HINCRBY', state, field, 1)
end
local function add(item) redis.call('ZADD', index, 0, item) end
local function drop(item) return redis.call('ZREM', index, item) == 1 end
local function between(first, last, count)
  return redis.call('ZRANGEBYLEX', index, '[' .. first, '(' .. last, 'LIMIT', 0, count)
end
local function count_between(first, last)
  return redis.call('ZLEXCOUNT', index, '[' .. first, '(' .. last)
end

local function named(name) return #name .. ':' .. name .. ':' end
-- A prefix ends with ':', and ';' is the character after that.
local function end_of(prefix) return prefix:sub(1, -2) .. ';' end
local function starting_with(prefix, count) return between(prefix, end_of(prefix), count) end
local function held_count(member)
  local held = 'h' .. named(member)
  return count_between(held, end_of(held))
end
