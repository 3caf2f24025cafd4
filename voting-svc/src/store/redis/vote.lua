-- Counts a vote, unless it is known. Answers what became of it and, when it was counted, for how many milliseconds
-- votes are known now.
local votes, recent, order = KEYS[1], KEYS[2], KEYS[3]
local choice, key, window, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

if key == '' then
  redis.call('HINCRBY', votes, choice, 1)
  return {'counted', window}
end

-- The clock of this Redis is one for all who vote.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function age(entry)
  return now - tonumber(string.match(entry, '^%d+'))
end

local entry = redis.call('HGET', recent, key)
if entry and age(entry) < window then
  return {string.match(entry, '^%d+ (.*)$') == choice and 'again' or 'of another', 0}
end

redis.call('HINCRBY', votes, choice, 1)
local stamp = string.format('%.0f ', now)
redis.call('HSET', recent, key, stamp .. choice)
local length = redis.call('RPUSH', order, stamp .. key)

-- The oldest make room, a few at a time: a thousand are not worth making others wait.
local oldest
for _ = 1, 16 do
  oldest = redis.call('LINDEX', order, 0)
  if length <= most and age(oldest) < window then break end
  redis.call('LPOP', order)
  length = length - 1
  local gone, of_key = string.match(oldest, '^(%d+ )(.*)$')
  local latest = redis.call('HGET', recent, of_key)
  -- It may have come again since, when it was no longer known.
  if latest and string.sub(latest, 1, #gone) == gone then redis.call('HDEL', recent, of_key) end
end
if length < most then return {'counted', window} end
return {'counted', math.max(0, math.min(window, age(oldest)))}
