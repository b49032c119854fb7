-- KEYS: record. ARGV: the most bytes that a payload may have. Return fence and payload, false where there is none.
-- What is larger no broker wrote: it gives way here, so that it is carried to no broker.
local fence, payload = unpack(redis.call('HMGET', KEYS[1], 'fence', 'payload'))
if payload and #payload > tonumber(ARGV[1]) then
  payload = 'too large'
  redis.call('HSET', KEYS[1], 'payload', payload)
end
return {fence, payload}
