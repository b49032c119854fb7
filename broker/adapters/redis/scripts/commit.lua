-- KEYS: lease, record. ARGV: owner, fence, payload, when to forget it, channel, notice.
-- Owner check, fence check, write, release and notice are one step (engine rule 3).
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if fence_in(KEYS[2], 'fence') >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[2], 'fence', ARGV[2], 'payload', ARGV[3])
redis.call('PEXPIREAT', KEYS[2], ARGV[4])
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[5], ARGV[6])
return 1
