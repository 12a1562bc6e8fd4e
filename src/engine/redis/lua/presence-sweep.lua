-- Removes entries of an owner that is gone: one step through the channel.
--
-- KEYS 1 entries   2 users (see presence-add.lua)
-- ARGV 1 owner     2 cursor, '0' at first   3 entries to look at, about
-- Returns the next cursor, '0' at the end.
local step = redis.call('HSCAN', KEYS[1], ARGV[2], 'COUNT', ARGV[3])
local found = step[2]
for at = 1, #found, 2 do
  local entry = found[at + 1]
  if string.sub(entry, 1, 12) == ARGV[1] then
    local user = string.sub(entry, 18, 17 + struct.unpack('>I4', entry, 14))
    redis.call('HDEL', KEYS[1], found[at])
    if redis.call('HINCRBY', KEYS[2], user, -1) <= 0 then redis.call('HDEL', KEYS[2], user) end
  end
end
return step[1]
