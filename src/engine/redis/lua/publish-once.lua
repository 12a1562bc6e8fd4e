-- Sends a publication without history, unless its idempotency key was seen.
--
-- KEYS 1 result under the idempotency key
-- ARGV 1 time to live of the result, ms   2 pub/sub channel   3 PUBLISH or SPUBLISH   4 message
-- Returns 0, or 1 when suppressed.
if not redis.call('SET', KEYS[1], '0:', 'NX', 'PX', ARGV[1]) then return 1 end
redis.call(ARGV[3], ARGV[2], ARGV[4])
return 0
