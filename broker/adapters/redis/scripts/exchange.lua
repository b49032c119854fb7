-- KEYS: record. ARGV: the payload as it was read, and the one to put in its place.
if redis.call('HGET', KEYS[1], 'payload') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'payload', ARGV[2])
return 1
