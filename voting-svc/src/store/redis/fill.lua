-- Puts votes where there are none. Answers whether there were none.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
if #ARGV > 0 then redis.call('HSET', KEYS[1], unpack(ARGV)) end
return 1
