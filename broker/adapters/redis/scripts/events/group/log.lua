-- The entries of the log, as tables. One of another form, which no broker wrote, has empty fields: it is given
-- up by whoever claims it, since it does not open, and the others go on. One at a place that is none is removed.
local function read(id, fields)
  local named = {corp = '', type = '', payload = ''}
  for position = 1, #fields, 2 do named[fields[position]] = fields[position + 1] end
  local ms, turn = id:match('(%d+)-(%d+)')
  return {place = string.format('%013.0f-%06.0f', ms, turn), corp = named.corp, kind = named.type,
          payload = named.payload, number = whole(named.number)}
end
local function entries(first, count)
  local found, kept = redis.call('XRANGE', log, first, '+', 'COUNT', count), {}
  for _, entry in ipairs(found) do
    local one = read(entry[1], entry[2])
    if #one.place == 20 then kept[#kept + 1] = one else redis.call('XDEL', log, entry[1]) end
  end
  return kept
end
local function entry(place)
  if not is_place(place) then return nil end
  local found = redis.call('XRANGE', log, place, place)[1]
  return found and read(found[1], found[2])
end

-- A user without the right to mend may not ask for it.
local function last_entry()
  local found = redis.pcall('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  return found and read(found[1], found[2])
end
-- Where the group stands. Nobody has looked further, or counted more, than there is: such a group begins anew.
local function progress()
  local place, number = unpack(redis.call('HMGET', state, 'place', 'number'))
  local newest, count = last_entry(), whole(redis.call('HGET', head, 'number'))
  place, number = is_place(place) and place or '0-0', math.min(whole(number), count)
  if newest and is_place(newest.place) and place > newest.place then place = '0-0' end
  return place, number, count
end

-- '~' sorts after every place: an empty log keeps nothing.
local oldest = entries('-', 1)[1]
local floor = oldest and oldest.place or '~'
