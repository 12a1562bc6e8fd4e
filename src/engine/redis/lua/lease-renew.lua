#!lua flags=allow-oom
-- Renews the lease of a worker, also on a full server: it says that the worker lives, and takes no new memory.
--
-- KEYS 1 leases: member (owner, a space, node) -> end, ms since 1970   2 somebody clears up after this owner
-- ARGV 1 member   2 length of a lease, ms   3 '1': it is new   4 most expired members to name
-- Returns 1, or 0 when the lease is lost for good, and members whose lease has ended, each with its end.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[3] ~= '1' then
  if redis.call('EXISTS', KEYS[2]) == 1 or not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return {0, {}} end
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[2]), ARGV[1])
local ended = '(' .. string.format('%.0f', now)
return {1, redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ended, 'WITHSCORES', 'LIMIT', 0, ARGV[4])}
