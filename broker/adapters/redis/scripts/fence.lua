-- Return the fencing number in a field. What is none, or beyond the year 5138 in milliseconds, counts as missing:
-- else nothing could be written over it. Doubles count on for 285,000 years after that.
local function fence_in(key, field)
  local number = tonumber(redis.call('HGET', key, field) or '0')
  if number and number >= 0 and number <= 1e14 then return number end
  return 0
end
