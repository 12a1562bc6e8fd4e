#!lua flags=allow-oom
-- Takes it upon a worker to clear up after an owner whose lease has ended. From now on that owner cannot renew it.
--
-- KEYS 1 leases   2 claim on the owner (see lease-renew.lua)
-- ARGV 1 member   2 who claims   3 length of the claim, ms
-- Returns 1 when it is the caller's.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local untilMs = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not untilMs or tonumber(untilMs) > now then return 0 end
if redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then return 1 end
return 0
