-- The members of the group: what they ask for, and when they lose what they hold.
local function terms(member)
  local found = redis.call('HGET', state, 'terms:' .. member)
  -- A member without terms is one that no broker knows: it loses what it holds at once.
  local ack_timeout, max_tries, room = (found or ''):match('^(%d+) (%d+) (%d+)$')
  return tonumber(ack_timeout or 0), tonumber(max_tries or 1e9), tonumber(room or 1)
end
local function forget(member)
  redis.call('HDEL', state, 'terms:' .. member)
  redis.call('ZREM', times, 'a' .. member, 'd' .. member)
end

local function bury(corp, place)
  drop('o' .. place .. corp)
  add('d' .. place)
  change(corp, function() drop('w' .. named(corp) .. place) end)
end

-- Free what a member holds; if it `spends`, the oldest entry uses up a try (promises 5 and 7).
-- Entries that its subscriber did not see were not handed out (promise 11). Return how many it held.
local function lose(member, spends, unseen)
  local prefix, first = 'h' .. named(member), nil
  local held = starting_with(prefix, 1000000)
  for _, item in ipairs(held) do
    local place, corp = item:sub(-20), item:sub(#prefix + 1):match('^%d+:(.*)$'):sub(1, -22)
    if place < floor then
      settle(corp, place)
    else
      if not unseen[place] then redis.call('HINCRBY', state, 'losses:' .. place, 1) end
      change(corp, function()
        unhold(member, corp, place)
        add('w' .. named(corp) .. place)
      end)
      if not first or place < first.place then first = {place = place, corp = corp} end
    end
  end
  redis.call('ZREM', times, 'd' .. member)
  if first and spends then
    local tries = redis.call('HINCRBY', state, 'tries:' .. first.place, 1)
    local _, max_tries = terms(member)
    if tries >= max_tries then bury(first.corp, first.place) end
  end
  return #held
end

-- Members that acknowledged too late: they get nothing now, so that others come first.
local late = {}

-- Promises 5 and 6: whichever deadline came first counts.
local function check_deadlines(member)
  local gone = tonumber(redis.call('ZSCORE', times, 'a' .. member) or 'inf')
  local loses = tonumber(redis.call('ZSCORE', times, 'd' .. member) or 'inf')
  if loses <= now and loses < gone then
    lose(member, true, {})
    late[member] = true
  end
  if gone <= now then
    lose(member, false, {})
    forget(member)
  end
end
