-- A corp's entries go to one member at a time (promise 3): its owner, as long as it holds one of them.
local function owner(corp) return redis.call('HGET', state, 'owner:' .. corp) or '' end
local function first_ready(owner) return starting_with('r' .. named(owner), 1)[1] end

local function ready_item(corp, owner)
  local first = starting_with('w' .. named(corp), 1)[1]
  return first and 'r' .. named(owner) .. first:sub(-20) .. corp
end

-- Whether a corp with waiting entries lost its owner: other members are then notified.
local freed = false

-- Change a corp's waiting entries or its owner, and keep its ready item up to date.
local function change(corp, how)
  local owner_before = owner(corp)
  local before = ready_item(corp, owner_before)
  how()
  local owner_after = owner(corp)
  local after = ready_item(corp, owner_after)
  if before == after then return end
  if before then drop(before) end
  if after then add(after) end
  if after and owner_after == '' and owner_before ~= '' then freed = true end
end

local function unhold(member, corp, place)
  drop('h' .. named(member) .. named(corp) .. place)
  if #starting_with('h' .. named(member) .. named(corp), 1) == 0 then
    redis.call('HDEL', state, 'owner:' .. corp)
  end
  if held_count(member) == 0 then redis.call('ZREM', times, 'd' .. member) end
end

local function forget_counts(place) redis.call('HDEL', state, 'tries:' .. place, 'losses:' .. place) end

-- Remove an entry that was handled or is no longer kept. Return whether it was open, and who held it.
local function settle(corp, place)
  if not drop('o' .. place .. corp) then return false end
  local holder
  forget_counts(place)
  change(corp, function()
    if drop('w' .. named(corp) .. place) then return end
    holder = owner(corp)
    unhold(holder, corp, place)
  end)
  return true, holder
end
