-- Adds a worker to those that have subscribers in a channel.
--
-- KEYS 1 owners with subscribers   ARGV 1 owner
-- Returns 1 when it is the first.
if redis.call('SADD', KEYS[1], ARGV[1]) == 1 and redis.call('SCARD', KEYS[1]) == 1 then return 1 end
return 0
