-- Removes the entry of a client, unless another owner has taken it over.
--
-- KEYS 1 entries   2 users (see presence-add.lua)
-- ARGV 1 client    2 owner
local before = redis.call('HGET', KEYS[1], ARGV[1])
if not before or string.sub(before, 1, 12) ~= ARGV[2] then return 0 end
local user = string.sub(before, 18, 17 + struct.unpack('>I4', before, 14))
redis.call('HDEL', KEYS[1], ARGV[1])
if redis.call('HINCRBY', KEYS[2], user, -1) <= 0 then redis.call('HDEL', KEYS[2], user) end
return 1
