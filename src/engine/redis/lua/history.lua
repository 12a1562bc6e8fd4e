-- Reads a stream and its position.
--
-- KEYS 1 stream   2 position (see publish.lua)
-- ARGV 1 run id of this server, others   2 epoch, should the stream not exist
--      3 time to live of the position, ms, '' to leave everything as it is
--      4 limit, '0' position only, '-1' all
--      5 offset to begin after, '' without  6 '1': backwards
-- Returns offset, epoch ('' when the stream does not exist and is left alone), entries.
local stream, meta = KEYS[1], KEYS[2]
local position = redis.call('HMGET', meta, 'o', 'e')
local offset, epoch = tonumber(position[1] or 0), position[2]

if not epoch and ARGV[3] == '' then return {0, '', {}} end
if not epoch then
  offset, epoch = 0, ARGV[2]
  redis.call('HSET', meta, 'e', epoch, 'r', string.sub(ARGV[1], 1, 12), 'o', 0)
  redis.call('DEL', stream)
end
if ARGV[3] ~= '' then redis.call('PEXPIRE', meta, ARGV[3]) end

local limit, since = tonumber(ARGV[4]), ARGV[5]
if limit == 0 then return {offset, epoch, {}} end
local count = limit > 0 and limit or 4294967295
if ARGV[6] ~= '1' then
  local start = since == '' and '-' or '(' .. since .. '-0'
  return {offset, epoch, redis.call('XRANGE', stream, start, '+', 'COUNT', count)}
end
if since == '0' then return {offset, epoch, {}} end
local last = since == '' and '+' or '(' .. since .. '-0'
return {offset, epoch, redis.call('XREVRANGE', stream, last, '-', 'COUNT', count)}
