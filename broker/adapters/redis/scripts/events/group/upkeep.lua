-- What every script does first: drop what the log no longer keeps (promise 10).
local trimmed = between('o', 'o' .. floor, WORK)
for _, item in ipairs(trimmed) do settle(item:sub(22), item:sub(2, 21)) end
for _, letter in ipairs({'d', 's'}) do
  for _, item in ipairs(between(letter, letter .. floor, WORK)) do
    drop(item)
    forget_counts(item:sub(2))
  end
end

-- Whether work is left for another call.
local unfinished = #trimmed == WORK

local function expire_members()
  local due = redis.call('ZRANGEBYSCORE', times, '-inf', now, 'LIMIT', 0, EXPIRED)
  if #due == 0 then
    due = redis.call('ZRANGEBYSCORE', times, string.format('(%.0f', now + DAY), '+inf', 'LIMIT', 0, EXPIRED)
  end
  for _, item in ipairs(due) do
    check_deadlines(item:sub(2))
    -- What is still there is no member's.
    if deadline(item) <= now then redis.call('ZREM', times, item) end
  end
  if #due == EXPIRED then unfinished = true end
end

local function publish_if(available) if available then redis.call('PUBLISH', channel, notice) end end
local function publish_if_freed() publish_if(freed and first_ready('')) end
