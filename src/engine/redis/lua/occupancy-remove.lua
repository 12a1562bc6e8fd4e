#!lua flags=allow-oom
-- Removes a worker from those that have subscribers in a channel; also on a full server, for it takes no memory.
--
-- KEYS 1 owners with subscribers   ARGV 1 owner
-- Returns 1 when it was the last, 2 when it was not among them and nobody is, else 0.
local removed = redis.call('SREM', KEYS[1], ARGV[1])
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
return removed == 1 and 1 or 2
