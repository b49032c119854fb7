-- KEYS: log, copy. Put the copy in the log's place, with what was appended since. Return 1; 0 if it lacks too
-- much (more is to be copied first); -1 if it is no copy of this log (any more).
local log, copy = unpack(KEYS)
local last = redis.call('XREVRANGE', copy, '+', '-', 'COUNT', 1)[1]
if not last then return -1 end
local since = redis.call('XRANGE', log, '(' .. last[1], '+', 'COUNT', 501)
if #since > 500 then return 0 end
for _, one in ipairs(since) do redis.call('XADD', copy, one[1], unpack(one[2])) end
local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
if first then redis.call('XTRIM', copy, 'MINID', first[1]) end
if redis.call('XLEN', copy) ~= redis.call('XLEN', log) then return -1 end
redis.call('PERSIST', copy)
redis.call('RENAME', copy, log)
return 1
