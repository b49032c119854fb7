-- The entries of the log, as tables.
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

-- '~' sorts after every place: an empty log keeps nothing.
local oldest = entries('-', 1)[1]
local floor = oldest and oldest.place or '~'
