-- KEYS: record. ARGV: fence, payload, when to forget it, channel, notice.
if fence_in(KEYS[1], 'fence') >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'payload', ARGV[2])
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1
