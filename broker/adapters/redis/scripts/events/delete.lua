-- Delete the group unless it has members. Return 'unknown', 'deleted' or 'in use'.
expire_members()
publish_if_freed()
if not redis.call('ZSCORE', groups, group) then return 'unknown' end
if member_count() > 0 then return 'in use' end
redis.call('ZREM', groups, group)
redis.call('UNLINK', state, index, times)
return 'deleted'
