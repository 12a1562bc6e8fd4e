-- Adds or replaces the entry of a client.
--
-- KEYS 1 entries: client -> owner (12 bytes), client info   2 users: user -> number of clients
-- ARGV 1 client   2 user   3 entry
local before = redis.call('HGET', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
-- The user follows 12 bytes of owner and one of flags, behind its length.
local user = before and string.sub(before, 18, 17 + struct.unpack('>I4', before, 14))
if user == ARGV[2] then return 0 end
redis.call('HINCRBY', KEYS[2], ARGV[2], 1)
if user and redis.call('HINCRBY', KEYS[2], user, -1) <= 0 then redis.call('HDEL', KEYS[2], user) end
return 1
