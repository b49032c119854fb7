-- Return the fencing number in a field. All else counts as missing, or the record could never be written.
local function fence_in(key, field)
  local number = tonumber(redis.call('HGET', key, field) or '0')
  if number and number >= 0 and number < 2 ^ 53 then return number end
  return 0
end
