-- KEYS: record. ARGV: fence, payload. A record that was forgotten since it was read stays forgotten.
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then return 0 end
if redis.call('HGET', KEYS[1], 'payload') == '' then return 0 end
redis.call('HSET', KEYS[1], 'payload', ARGV[2])
return 1
