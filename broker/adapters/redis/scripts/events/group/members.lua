-- The members of the group: what they ask for, and when they lose what they hold.
local function terms(member)
  local found = redis.call('HGET', state, 'terms:' .. member)
  -- A member without terms is one that no broker knows: it loses what it holds at once.
  local ack_timeout, max_tries, room = (found or ''):match('^(%d+) (%d+) (%d+)$')
  return tonumber(ack_timeout or 0), tonumber(max_tries or 1e9), tonumber(room or 1)
end
local function member_count()
  local count = 0
  for _, item in ipairs(redis.call('ZRANGEBYSCORE', times, '(' .. now, '+inf')) do
    if item:sub(1, 1) == 'a' then count = count + 1 end
  end
  return count
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
    local place, corp = item:sub(-20), (item:sub(#prefix + 1):match('^%d+:(.*)$') or ''):sub(1, -22)
    if not is_place(place) or item ~= prefix .. named(corp) .. place then
      drop(item)
    elseif place < floor then
      settle(corp, place)
    else
      if not unseen[place] then add_one('losses:' .. place) end
      change(corp, function()
        unhold(member, corp, place)
        add('w' .. named(corp) .. place)
      end)
      if not first or place < first.place then first = {place = place, corp = corp} end
    end
  end
  redis.call('ZREM', times, 'd' .. member)
  if first and spends then
    local tries = add_one('tries:' .. first.place)
    local _, max_tries = terms(member)
    if tries >= max_tries then bury(first.corp, first.place) end
  end
  return #held
end

-- Members that acknowledged too late: they get nothing now, so that others come first.
local late = {}

-- Promises 5 and 6: whichever deadline came first counts.
-- No broker sets one that is a day away.
local function deadline(item)
  local found = redis.call('ZSCORE', times, item)
  local ends = found and tonumber(found) or math.huge
  if found and not (ends <= now + DAY) then return 0 end
  return ends
end
local function check_deadlines(member)
  local gone, loses = deadline('a' .. member), deadline('d' .. member)
  if loses <= now and loses < gone then
    lose(member, true, {})
    late[member] = true
  end
  if gone <= now then
    lose(member, false, {})
    forget(member)
  end
end

-- Who has something ready, but holds none of that corp, or is no member: what waits for it would wait for ever.
local function mend_owners()
  for _, item in ipairs(between('r1', 's', WORK)) do
    local length = tonumber(item:match('^r(%d+):') or '')
    local who = length and item:sub(#tostring(length) + 3, #tostring(length) + 2 + length) or ''
    local corp = length and item:sub(#('r' .. named(who)) + 21) or ''
    if item ~= ready_item(corp, who) or owner(corp) ~= who then
      drop(item)
      -- The right one, if there is any.
      local ready = ready_item(corp, owner(corp))
      if ready then add(ready) end
    elseif redis.call('HEXISTS', state, 'terms:' .. who) == 0 then
      lose(who, false, {})
      change(corp, function() redis.call('HDEL', state, 'owner:' .. corp) end)
    elseif #starting_with('h' .. named(who) .. named(corp), 1) == 0 then
      change(corp, function() redis.call('HDEL', state, 'owner:' .. corp) end)
    end
  end
end
