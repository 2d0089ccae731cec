-- A set of URIs, the popular ones more often:  wrk -s zipf.lua http://PROXY -- ORIGIN KEYS [EXPONENT] [PATH]
-- PATH0 to PATH(KEYS-1), /hit/ unless told, are chosen by Zipf's law with EXPONENT, 0.9 unless told: 0 is even.
-- With another origin than bench/origin, give a PATH that it answers.
function init(args)
	local origin, keys, exponent = args[1], tonumber(args[2]), tonumber(args[3] or 0.9)
	before = "GET http://" .. origin .. (args[4] or "/hit/")
	after = " HTTP/1.1\r\nHost: " .. origin .. "\r\n\r\n"
	sums, sum = {}, 0
	for n = 1, keys do
		sum = sum + n ^ -exponent
		sums[n] = sum
	end
	math.randomseed(os.time())
end

-- The first whose sum is above a random number.
function request()
	local at, low, high = math.random() * sum, 1, #sums
	while low < high do
		local middle = math.floor((low + high) / 2)
		if sums[middle] > at then
			high = middle
		else
			low = middle + 1
		end
	end
	return before .. (low - 1) .. after
end
