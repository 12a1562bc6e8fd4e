-- Stores a publication and sends it to the subscribers, as one step.
--
-- KEYS 1 stream
--      2 position: e epoch, o offset, r server that wrote last, v version, w version epoch
--      3 result under the idempotency key, when there is one
-- ARGV 1 run id of this server, those of other masters behind it, 12 characters each; '' when unknown
--      2 epoch, should a new one be due
--      3 time and body, as they are kept          4 size of the history
--      5 time to live of the history, ms          6 time to live of the position, ms
--      7 pub/sub channel                          8 PUBLISH or SPUBLISH
--      9 '1': send the previous publication along
--     10 time to live of the result, ms, '' without idempotency key
--     11 version, '0' without                    12 version epoch
-- Returns offset, epoch, and 0, or 1 when suppressed by idempotency, 2 by version.
local stream, meta = KEYS[1], KEYS[2]
local run = string.sub(ARGV[1], 1, 12)

if ARGV[10] ~= '' then
  local known = redis.call('GET', KEYS[3])
  if known then
    local offset, epoch = string.match(known, '^(%d+):(.*)$')
    return {tonumber(offset), epoch, 1}
  end
end

local position = redis.call('HMGET', meta, 'e', 'r', 'v', 'w', 'o')
local epoch = position[1]
local metaTtl = math.max(tonumber(ARGV[6]), tonumber(ARGV[5]))

if epoch and ARGV[11] ~= '0' and (position[4] or '') == ARGV[12]
  and tonumber(ARGV[11]) <= tonumber(position[3] or 0) then
  redis.call('PEXPIRE', meta, metaTtl)
  return {tonumber(position[5] or 0), epoch, 2}
end

-- The first change: out of memory, it fails here and nothing has happened.
local offset = redis.call('HINCRBY', meta, 'o', 1)
local number = string.format('%.0f', offset)

if not epoch then
  -- What is left of a stream whose position is gone cannot be told from the new one.
  epoch = ARGV[2]
  redis.call('DEL', stream)
  redis.call('HSET', meta, 'e', epoch, 'r', run)
elseif run ~= '' and position[2] ~= run then
  -- Another server than the one that wrote last, or the same after a restart: what that one wrote last may be missing here,
  -- and its offsets are about to be given again. A new epoch tells everyone who may have seen them. Only when the other is
  -- still a master, the slot was moved here with all that was in it.
  local hasMoved = #(position[2] or '') == 12 and string.find(ARGV[1], position[2], 13, true)
  if not hasMoved then epoch = ARGV[2] end
  redis.call('HSET', meta, 'e', epoch, 'r', run)
end
if ARGV[11] ~= '0' then redis.call('HSET', meta, 'v', ARGV[11], 'w', ARGV[12]) end

local previous = '\0'
if ARGV[9] == '1' then
  local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  if last then
    local entry = last[2][2]
    local lastOffset = tonumber(string.match(last[1], '^%d+'))
    previous = '\1' .. struct.pack('>dI4', lastOffset, #entry) .. entry
  end
end

redis.call('XADD', stream, 'MAXLEN', ARGV[4], number .. '-0', 'd', ARGV[3])
redis.call('PEXPIRE', stream, ARGV[5])
redis.call('PEXPIRE', meta, metaTtl)
if ARGV[10] ~= '' then redis.call('SET', KEYS[3], number .. ':' .. epoch, 'PX', ARGV[10]) end
redis.call(ARGV[8], ARGV[7], '\2' .. struct.pack('>dI4', offset, #epoch) .. epoch .. previous .. ARGV[3])
return {offset, epoch, 0}
