-- KEYS: record. ARGV: damaged payload, fence, payload, when to forget it, channel, notice.
-- What no broker wrote gives way, whatever its number.
if redis.call('HGET', KEYS[1], 'payload') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'fence', ARGV[2], 'payload', ARGV[3])
redis.call('PEXPIREAT', KEYS[1], ARGV[4])
redis.call('PUBLISH', ARGV[5], ARGV[6])
return 1
