-- KEYS: record. ARGV: fence, channel, notice. An empty payload, kept for a day, marks a forgotten record.
if fence_in(KEYS[1], 'fence') > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'payload', '')
redis.call('PEXPIRE', KEYS[1], 86400000)
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
